"""Configuration of mail that becomes incidents: who may write, how it is proved, what a mail must say."""

from __future__ import annotations

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


class MailConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Mail in. It never approves anything and never changes a state: it opens incidents and comments on them."""

    secret: Annotated[
        SecretRef, Meta(description="The bearer token with which our mail server hands mail over.")
    ]
    previous_secret: Annotated[
        SecretRef | None,
        Meta(description="The token before the last rotation, accepted until it is removed."),
    ] = None
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

    def __post_init__(self) -> None:
        if self.proof != "none" and not self.authority:
            raise ValueError(f"proof {self.proof} needs the authority whose Authentication-Results count")
        for each in self.addresses:
            if each.count("@") != 1 or "+" in each.partition("@")[0]:
                raise ValueError(f"{each!r} is no address without a plus")
        try:
            compiled = re.compile(self.reference)
        except re.error as cause:
            raise ValueError(f"reference is no regular expression: {cause}") from cause
        if self.reference and compiled.groups != 1:
            raise ValueError("reference needs exactly one group")
