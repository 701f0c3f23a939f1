"""The envelope of SNS: typed, with the members under the names that are signed."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta, Struct

NOTIFICATION = "Notification"
SUBSCRIBED = "SubscriptionConfirmation"
UNSUBSCRIBED = "UnsubscribeConfirmation"
TYPE_HEADER = "x-amz-sns-message-type"
RAW_HEADER = "x-amz-sns-rawdelivery"

Short = Annotated[str, Meta(min_length=1, max_length=2_048)]


class Message(Struct, frozen=True, omit_defaults=True):
    """One SNS message. `Timestamp` stays text, because the text is signed; `moment` reads it."""

    Type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    MessageId: Annotated[str, Meta(min_length=1, max_length=100)]
    TopicArn: Short
    Message: Annotated[str, Meta(max_length=280_000)]
    Timestamp: Short
    SignatureVersion: Literal["1", "2"]
    Signature: Annotated[str, Meta(min_length=1, max_length=4_096)]
    SigningCertURL: Short
    Subject: str | None = None
    Token: str | None = None
    SubscribeURL: str | None = None


def moment(text: str) -> dt.datetime | None:
    """Return a time as AWS writes it (`…Z`, `…+0000`), None if it is none or has no zone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
