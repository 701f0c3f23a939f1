"""One mail, read: addresses, thread, text, attachments. Pure; the standard library does the parsing."""

from __future__ import annotations

import datetime as dt
import hashlib
import html.parser
import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from isthmus.connectors.kit.mailing import is_own
from isthmus.kernel.errors import Problem, Rejected

TEXT_CHARACTERS_MAX = 32_000
REFERENCES_MAX = 50
HOPS_MAX = 50
"""A mail that went through more servers goes round in a circle."""
_PARTS_MAX = 200
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_ID = re.compile(r"<([^<>\s]{1,250})>")


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of a mail, without its content."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Mail:
    """What a mail says. `root` is the id of the mail that began the thread ("" = this one).

    `id` is its Message-ID, else made from its bytes below the lines of servers: the same whichever way it came.
    `automatic` says why it was not written by a person for us, "" if it was. `cut`: only its beginning is here.
    """

    id: str
    root: str
    sender: str
    sender_name: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    sent_at: dt.datetime | None
    attachments: tuple[Attachment, ...]
    automatic: str
    results: tuple[str, ...]
    cut: bool = False


def read(raw: bytes, *, cut: bool = False) -> Mail:
    """Return a mail; raise `Rejected` if it is none. `cut`: only the beginning of it is given."""
    try:
        message = message_from_bytes(raw, policy=policy.default)
        senders = _addresses(message, "from")
        if len(senders) != 1:
            text = "is missing" if not senders else "names several senders"
            raise Rejected(f"/from {text}.", problems=(Problem(path="/from", message=text),))
        name, sender = senders[0]
        return Mail(
            id=_first_id(message, "message-id") or f"sha256:{hashlib.sha256(_untraced(raw)).hexdigest()}",
            root=_root(message),
            sender=sender,
            sender_name=name,
            recipients=tuple(
                address
                for header in ("delivered-to", "x-original-to", "to", "cc")
                for _, address in _addresses(message, header)
            ),
            subject=" ".join(_header(message, "subject").split())[:500],
            text=_text(message)[:TEXT_CHARACTERS_MAX],
            sent_at=_date(message),
            attachments=_attachments(message),
            automatic=_automatic(message, sender),
            results=tuple(str(each) for each in message.get_all("authentication-results", []))[:20],
            cut=cut,
        )
    except (MessageError, UnicodeError, LookupError, ValueError, AttributeError, RecursionError) as cause:
        problem = Problem(path="", message="is no mail that can be read")
        raise Rejected("The body is no mail that can be read.", problems=(problem,)) from cause


def head(raw: bytes) -> bytes:
    """Return a mail without its body, never less of its head than `read` reads: it too ends at the first empty line."""
    found = _EMPTY_LINE.search(raw)
    return raw[: found.end()] if found else raw


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, "") or "")


def _addresses(message: EmailMessage, name: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for header in message.get_all(name, []):
        if isinstance(header, AddressHeader):
            found += [(each.display_name, each.addr_spec.lower()) for each in header.addresses if each.domain]
        elif "@" in str(header):
            found.append(("", str(header).strip().strip("<>").lower()))
    return found


def _first_id(message: EmailMessage, name: str) -> str:
    found = _ID.search(_header(message, name))
    return found[1] if found else ""


def _root(message: EmailMessage) -> str:
    references = _ID.findall(_header(message, "references"))[:REFERENCES_MAX]
    return references[0] if references else _first_id(message, "in-reply-to")


def _date(message: EmailMessage) -> dt.datetime | None:
    """Return when it was sent; a time without zone is none."""
    try:
        found = parsedate_to_datetime(_header(message, "date"))
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo is not None else None


def _automatic(message: EmailMessage, sender: str) -> str:
    """Return why a mail was not written by a person for us, "" if it was.

    RFC 3834 (Auto-Submitted), RFC 2919 and 2369 (lists), RFC 3464 and 8098 (reports), common practice, ourselves.
    """
    submitted = _header(message, "auto-submitted").partition(";")[0].strip().lower()
    if submitted not in {"", "no"}:
        return f"Auto-Submitted: {submitted[:40]}"
    precedence = _header(message, "precedence").strip().lower()
    if precedence in {"bulk", "junk", "list", "auto_reply"}:
        return f"Precedence: {precedence}"
    if _header(message, "return-path").strip() == "<>":
        return "it has no return path, as bounces have"
    for name in sorted({each.lower() for each in message}):
        if name.startswith("list-") or name in {"x-autoreply", "x-autorespond"}:
            return f"it has {name[:40]}"
    if message.get_content_type() in {"multipart/report", "message/delivery-status"}:
        return "it is a report of a mail server"
    if sender.rpartition("@")[0] == "mailer-daemon":
        return "a mail server wrote it"
    if is_own(_header(message, "message-id").strip()):
        return "a hub wrote it"
    if len(message.get_all("received", [])) > HOPS_MAX:
        return "it went through too many servers"
    return ""


_TRACE = re.compile(
    rb"(?:(?:return-path|delivered-to|x-original-to|received|authentication-results)\s*:[^\n]*\n(?:[ \t][^\n]*\n)*)+",
    re.IGNORECASE,
)


def _untraced(raw: bytes) -> bytes:
    """Return the bytes of a mail as it was before servers put their lines on top, with plain line ends."""
    plain = raw.replace(b"\r\n", b"\n")
    found = _TRACE.match(plain)
    return plain[found.end() :] if found else plain


def _text(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    content = body.get_content()
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\0", "")
    return _plain(text) if body.get_content_subtype() == "html" else text.strip()


def _attachments(message: EmailMessage) -> tuple[Attachment, ...]:
    found = []
    for count, part in enumerate(message.iter_attachments()):
        if count >= _PARTS_MAX:
            break
        content = part.get_payload(decode=True)
        found.append(
            Attachment(
                name=(part.get_filename() or "")[:200],
                kind=part.get_content_type(),
                size=len(content) if isinstance(content, bytes) else 0,
            )
        )
    return tuple(found)


class _Stripper(html.parser.HTMLParser):
    """Keeps the text of HTML; blocks become lines, scripts and styles nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._hidden += tag in {"script", "style", "head"}
        if tag in {"br", "p", "div", "tr", "li"}:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= self._hidden > 0 and tag in {"script", "style", "head"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _plain(text: str) -> str:
    stripper = _Stripper()
    stripper.feed(text)
    lines = "".join(stripper.parts).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines).strip()
