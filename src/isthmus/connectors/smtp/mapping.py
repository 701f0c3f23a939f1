"""A message as mail: plain text with an HTML twin, an id that follows from our key, marked as automatic. Pure."""

from __future__ import annotations

import email.policy
import html
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from isthmus.connectors.kit.mailing import own_id
from isthmus.connectors.smtp.config import SmtpConfig
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.record import Json

SUBJECT_MAX = 200
POLICY = email.policy.SMTP.clone(cte_type="7bit")


def domain_of(config: SmtpConfig) -> str:
    """Return our name in ids and in HELO."""
    return config.domain or config.sender.rpartition("@")[2] or "isthmus.invalid"


def address(text: str) -> str:
    """Return a plain address; `Rejected` for anything that is more, or less."""
    try:
        found = Address(addr_spec=text.strip())
    except (ValueError, IndexError) as cause:
        raise _no_address() from cause
    if not found.username or not found.domain or any(ord(each) < 33 for each in text.strip()):
        raise _no_address()
    return found.addr_spec


def _no_address() -> Rejected:
    return Rejected(
        "The recipient is no mail address.",
        remedy="Correct the channel's recipient or the contact card.",
        problems=(Problem(path="/recipient", message="is no mail address"),),
    )


def mail(message: Mapping[str, Json], key: str, config: SmtpConfig, *, at: float) -> EmailMessage:
    """Return the mail of a message."""
    # Seven bits and CRLF: a server without 8BITMIME takes it as well, and no line is too long.
    domain, found = domain_of(config), EmailMessage(policy=POLICY)
    found["From"] = Address(display_name=config.sender_name, addr_spec=address(config.sender))
    found["To"] = address(str(message.get("recipient") or ""))
    found["Subject"] = " ".join(str(message.get("title") or "").split())[:SUBJECT_MAX]
    found["Date"] = formatdate(at, usegmt=True)
    found["Message-ID"] = own_id(key, domain)
    if thread := str(message.get("thread") or ""):
        found["In-Reply-To"] = found["References"] = thread
    # RFC 3834: no vacation note answers this, and no mail loop begins.
    found["Auto-Submitted"] = "auto-generated"
    found["X-Auto-Response-Suppress"] = "All"
    if str(message.get("severity") or "") in {"critical", "error"}:
        found["Importance"], found["X-Priority"] = "high", "1"
    found["Content-Language"] = str(message.get("locale") or "en")[:12]
    lines, links = _parts(message)
    plain = "\n".join(
        [str(message.get("text") or ""), "", *lines, "", *(f"{label}: {url}" for label, url in links)]
    )
    found.set_content(plain.strip() + "\n")
    found.add_alternative(_page(message, links), subtype="html")
    return found


def _parts(message: Mapping[str, Json]) -> tuple[list[str], list[tuple[str, str]]]:
    facts: Any = message.get("facts")
    lines = [f"{each[0]}: {each[1]}" for each in (facts if isinstance(facts, list) else []) if len(each) == 2]
    actions: Any = message.get("actions")
    links = [
        (str(each["label"]), str(each["url"]))
        for each in (actions if isinstance(actions, list) else [])
        if isinstance(each, dict) and each.get("url")
    ]
    if link := str(message.get("link") or ""):
        links.append(("Öffnen" if str(message.get("locale") or "").startswith("de") else "Open", link))
    return lines, links


def _page(message: Mapping[str, Json], links: list[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><th align=left>{html.escape(line.partition(': ')[0])}</th><td>{html.escape(line.partition(': ')[2])}</td></tr>"
        for line in _parts(message)[0]
    )
    buttons = " · ".join(
        f'<a href="{html.escape(url, quote=True)}">{html.escape(label)}</a>' for label, url in links
    )
    return (
        f"<h2>{html.escape(str(message.get('title') or ''))}</h2>"
        f"<p>{html.escape(str(message.get('text') or ''))}</p><table>{rows}</table><p>{buttons}</p>"
    )
