"""SNS' calls: authenticated by the signature in the body, from pinned topics, with a certificate from a pinned host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from isthmus.connectors.kit.fetching import KEY_NEEDED
from isthmus.connectors.kit.ports import Context, Refused
from isthmus.connectors.kit.webhook import decoder
from isthmus.connectors.sns.config import SnsConfig
from isthmus.connectors.sns.mapping import observations
from isthmus.connectors.sns.message import RAW_HEADER, SUBSCRIBED, TYPE_HEADER, Message, moment
from isthmus.connectors.sns.signing import certificate_url, confirmation_url, verified
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import HOUR, Instant, from_datetime
from isthmus.kernel.observation import Observation

_decode = decoder(Message)
_quick = msgspec.json.Decoder(Message)


class SnsSource:
    """A pure source (`Source` and `kit.fetching.Fetching`)."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        """Judge topic, age and signature, the cheap checks first; nothing is fetched here."""
        config = cast("SnsConfig", context.config)
        if headers.get(RAW_HEADER, "").lower() == "true":
            text = "Raw message delivery carries no signature: turn it off for this subscription."
            return Refused(status=403, reason="raw", text=text)
        message = _message(body)
        if message is None:
            return Refused(status=401, reason="missing", text="The body is no signed SNS message.")
        if headers.get(TYPE_HEADER, message.Type) != message.Type:
            return Refused(status=401, reason="malformed", text="Header and body disagree about the type.")
        if message.TopicArn not in config.topics:
            return Refused(
                status=403, reason="topic", text="This topic is not one of the connection's topics."
            )
        if (refused := _too_old(message, config, now)) is not None:
            return refused
        if config.sha256_only and message.SignatureVersion == "1":
            text = "This connection takes signature version 2 only: set it on the topic."
            return Refused(status=403, reason="version", text=text)
        return _judged(message, context, now)

    def key_url(self, headers: Mapping[str, str], body: bytes, context: Context) -> str:
        """Return where the certificate of this message is; see `signing.certificate_url`."""
        del headers
        message = _message(body)
        return "" if message is None else certificate_url(message, cast("SnsConfig", context.config))

    def visit_url(self, headers: Mapping[str, str], body: bytes, context: Context) -> str:
        """Return the link that confirms a subscription. An unsubscription's link would subscribe again: never that."""
        del headers
        message = _message(body)
        if message is None or message.Type != SUBSCRIBED:
            return ""
        return confirmation_url(message, cast("SnsConfig", context.config))

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape, alarm included."""
        self.parse(body, headers, context)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the alarm, or what happened to the subscription."""
        del headers
        config = cast("SnsConfig", context.config)
        message = _decode(body)
        if message.Type == SUBSCRIBED and not confirmation_url(message, config):
            raise Rejected(
                "/SubscribeURL does not lead to SNS in the topic's region.",
                remedy="Subscribe the topic anew from the AWS console.",
                problems=(
                    Problem(path="/SubscribeURL", message="does not lead to SNS in the topic's region"),
                ),
            )
        return observations(message, context.connection, config)

    def sign(self, body: bytes, context: Context, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the headers of an authentic request: the signature itself is in the body."""
        del now, nonce, context
        message = _message(body)
        return {} if message is None else {TYPE_HEADER: message.Type}


def _message(body: bytes) -> Message | None:
    try:
        return _quick.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _too_old(message: Message, config: SnsConfig, now: Instant) -> Refused | None:
    stated = moment(message.Timestamp)
    if stated is None:
        return Refused(status=401, reason="malformed", text="The message's Timestamp is no time.")
    if abs(now - from_datetime(stated)) > config.age_hours_max * HOUR:
        return Refused(status=401, reason="late", text="The message is too old, or from the future.")
    return None


def _judged(message: Message, context: Context, now: Instant) -> Refused | None:
    config = cast("SnsConfig", context.config)
    if config.certificate is not None:
        certificates = context.secret("certificate").encode()
        if not certificates:
            text = "This connection has no certificate to check against; it accepts nothing until it has."
            return Refused(status=403, reason="no_secret", text=text)
    else:
        url = certificate_url(message, config)
        if not url:
            text = "The signing certificate is not at SNS' own address in the topic's region."
            return Refused(status=401, reason="certificate", text=text)
        if url not in context.keys:
            text = "The signing certificate could not be fetched; check the hub's way to it, or pin `certificate`."
            return Refused(status=503, reason=KEY_NEEDED, text=text)
        certificates = context.keys[url]
    if verified(message, certificates, now):
        return None
    return Refused(
        status=401, reason="wrong", text="The signature is wrong, or its certificate not valid now."
    )
