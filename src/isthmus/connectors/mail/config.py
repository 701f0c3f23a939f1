"""Configuration of mail that becomes incidents: which ways it comes in, who may write, what a mail must say."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from msgspec import Meta, field

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

IncidentField = Literal["title", "description", "impact", "urgency", "category", "assignment_group"]

LABELS: dict[str, IncidentField] = {
    "title": "title",
    "summary": "title",
    "description": "description",
    "details": "description",
    "impact": "impact",
    "urgency": "urgency",
    "category": "category",
    "group": "assignment_group",
}
IDLE_SECONDS_MAX = 28 * 60
"""RFC 2177: a server may hang up on who has been idle for half an hour, so IDLE is renewed before 29 minutes."""


class MailConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Mail in. It never approves anything and never changes a state: it opens incidents and comments on them."""

    secret: Annotated[
        SecretRef | None,
        Meta(
            description="The bearer token with which our mail server posts mail; without one nothing is posted."
        ),
    ] = None
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The token before the last rotation, accepted until it is removed."),
    ] = None
    imap_host: Annotated[
        str, Meta(description="The IMAP server of a mailbox to read, e.g. imap.example.com; empty: none.")
    ] = ""
    imap_port: Annotated[
        int, Meta(ge=1, le=65_535, description="Its port: 993 for TLS, 143 for STARTTLS.")
    ] = 993
    imap_security: Annotated[
        Literal["tls", "starttls", "none"],
        Meta(
            description="tls, starttls (refused if the server does not offer it), or none inside a network."
        ),
    ] = "tls"
    imap_ca: Annotated[
        str,
        Meta(
            description="The certificate of the server's own authority (PEM text); empty: it comes from a public one."
        ),
    ] = ""
    imap_user: Annotated[str, Meta(description="The account of the mailbox.")] = ""
    imap_password: Annotated[
        SecretRef | None, Meta(description="Its password, or an application password.")
    ] = None
    imap_folder: Annotated[str, Meta(description="The folder that is read.", min_length=1)] = "INBOX"
    imap_history_days: Annotated[
        int,
        Meta(ge=0, le=3_650, description="How old mail may be that lies there already at the first reading."),
    ] = 1
    imap_after: Annotated[
        Literal["leave", "seen", "move"],
        Meta(description="What happens to a mail once the hub has it: nothing, marked as read, or moved."),
    ] = "leave"
    imap_move_to: Annotated[str, Meta(description="The folder that mail is moved to.")] = ""
    imap_idle_seconds: Annotated[
        int,
        Meta(
            ge=30,
            le=IDLE_SECONDS_MAX,
            description="After how long IDLE is renewed: firewalls forget silent connections.",
        ),
    ] = 540
    smtp_peers: Annotated[
        list[str],
        Meta(
            description="Networks whose mail servers may hand mail over by SMTP, e.g. 192.0.2.0/28.",
            max_length=100,
        ),
    ] = []
    smtp_user: Annotated[
        str, Meta(description="The account with which mail servers sign in to hand mail over by SMTP.")
    ] = ""
    smtp_password: Annotated[SecretRef | None, Meta(description="That account's password.")] = None
    addresses: Annotated[
        list[str],
        Meta(
            description="The addresses that this mail is sent to; what stands behind a plus is a token.",
            min_length=1,
            max_length=50,
        ),
    ]
    senders: Annotated[
        list[str],
        Meta(
            description="Who may write: addresses, or domains as @example.com. Others are refused.",
            min_length=1,
            max_length=1_000,
        ),
    ]
    proof: Annotated[
        Literal["dmarc", "dkim", "none"],
        Meta(description="What our mail server must have found out about the sender's domain."),
    ] = "dmarc"
    authority: Annotated[
        str,
        Meta(
            description="The name under which our mail server writes Authentication-Results; only its own count."
        ),
    ] = ""
    required: Annotated[
        list[IncidentField], Meta(description="What a mail must say to become an incident by itself.")
    ] = field(default_factory=lambda: ["title", "impact", "urgency"])
    labels: Annotated[
        dict[str, IncidentField],
        Meta(description="Label of a line in the text (`Impact: high`), in small letters → field."),
    ] = field(default_factory=lambda: dict(LABELS))
    tokens: Annotated[
        dict[str, dict[str, str]],
        Meta(
            description="Token behind the plus of our address, or [token] in the subject → values it stands for."
        ),
    ] = {}
    reference: Annotated[
        str,
        Meta(
            description="Regular expression with one group that finds the sender's own reference in a subject; mails "
            "with the same one are about the same incident.",
            max_length=200,
        ),
    ] = r"\[[Rr]ef:? ?([A-Za-z0-9._-]{1,60})\]"
    confidence_min: Annotated[
        int,
        Meta(
            description="How sure the reading must be (0 to 100); below, a person completes it.", ge=1, le=100
        ),
    ] = 80
    attachments_max: Annotated[
        int, Meta(description="A mail with more attachments is completed by a person.", ge=0, le=200)
    ] = 20

    @property
    def called(self) -> bool:
        """Whether there is a mailbox to read."""
        return bool(self.imap_host)

    def __post_init__(self) -> None:
        for fault in (
            *_policy_faults(self),
            *_mailbox_faults(self),
            *_handing_over_faults(self),
        ):
            raise ValueError(fault)


def _policy_faults(config: MailConfig) -> list[str]:
    found = []
    if config.proof != "none" and not config.authority:
        found.append(f"proof {config.proof} needs the authority whose Authentication-Results count")
    found += [
        f"{each!r} is no address without a plus"
        for each in config.addresses
        if each.count("@") != 1 or "+" in each.partition("@")[0]
    ]
    try:
        compiled = re.compile(config.reference)
    except re.error as cause:
        return [*found, f"reference is no regular expression: {cause}"]
    if config.reference and compiled.groups != 1:
        found.append("reference needs exactly one group")
    return found


def _mailbox_faults(config: MailConfig) -> list[str]:
    found = []
    if config.imap_host and not (config.imap_user and config.imap_password):
        found.append("imap_host needs imap_user and imap_password")
    if (config.imap_after == "move") is not bool(config.imap_move_to):
        found.append("imap_after: move and imap_move_to belong together")
    if config.imap_move_to and config.imap_move_to == config.imap_folder:
        found.append("imap_move_to is the folder that is read: mail would be moved in a circle")
    return found


def _handing_over_faults(config: MailConfig) -> list[str]:
    found = []
    if bool(config.smtp_user) is not bool(config.smtp_password):
        found.append("smtp_user and smtp_password belong together")
    for each in config.smtp_peers:
        try:
            ipaddress.ip_network(each)
        except ValueError:
            found.append(f"smtp_peers: {each!r} is no network")
    if not (config.secret or config.imap_host or config.smtp_peers or config.smtp_user):
        found.append("mail has no way in: give secret, imap_host, smtp_peers or smtp_user")
    return found
