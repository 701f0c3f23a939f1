"""May this sender open incidents by mail? Pure: the mail and the policy go in, a refusal or None comes out.

Only the Authentication-Results of our own mail server count, and of these the topmost: whatever stands below was
there before the mail reached it, and anybody can write that.
"""

from __future__ import annotations

import re

from isthmus.connectors.kit.ports import Refused
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.message import Mail, head, read

_RESULT = re.compile(r"\b(dmarc|dkim)\s*=\s*([a-z]+)([^;]*)", re.IGNORECASE)
_DOMAIN = re.compile(r"header\.(?:from|d|i)\s*=\s*@?([A-Za-z0-9.-]+)")


def refused(raw: bytes, config: MailConfig) -> Refused | None:
    """Return why the sender of a mail is not heard, by its head alone; raise `Rejected` if that is no mail's."""
    return refusal(read(head(raw)), config)


def refusal(mail: Mail, config: MailConfig) -> Refused | None:
    """Return why a sender is not heard, None if they are."""
    if not allowed(mail.sender, config.senders):
        return Refused(status=403, reason="sender", text="This sender is not on the connection's list.")
    if config.proof != "none" and not proved(mail, config):
        text = f"Our mail server did not find {config.proof}=pass for the sender's domain."
        return Refused(status=403, reason="unproved", text=text)
    return None


def allowed(sender: str, senders: list[str]) -> bool:
    """Return whether an address or its domain is on a list."""
    domain = "@" + sender.rpartition("@")[2]
    return any(each.lower() in {sender, domain} for each in senders)


def proved(mail: Mail, config: MailConfig) -> bool:
    """Return whether our mail server vouches for the domain in From."""
    for header in mail.results:
        authority, _, results = header.partition(";")
        if authority.strip().partition(" ")[0].lower() != config.authority.lower():
            continue
        return any(_vouches(found, mail, config) for found in _RESULT.finditer(results))
    return False


def _vouches(found: re.Match[str], mail: Mail, config: MailConfig) -> bool:
    method, result, more = found[1].lower(), found[2].lower(), found[3]
    if method != config.proof or result != "pass":
        return False
    domain = mail.sender.rpartition("@")[2]
    stated = _DOMAIN.search(more)
    if stated is None:
        return method == "dmarc"  # DMARC is about the domain in From; a signature may be anybody's.
    named = stated[1].lower()
    return domain == named or domain.endswith(f".{named}")
