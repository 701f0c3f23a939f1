"""Mail, whichever way it comes: posted by a mail server with a token, handed over by SMTP, or fetched from a mailbox.

All three are judged by the same policy about who may write (`trust.py`), and read by the same rules.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import cast

from isthmus.connectors.kit.mailing import CUT_HEADER, Relay
from isthmus.connectors.kit.ports import Context, Refused
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.mapping import INCIDENT, is_reply, observation, reading, reply, unsure
from isthmus.connectors.mail.message import Mail, read
from isthmus.connectors.mail.trust import refused
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json


class MailSource(WebhookSource):
    """A pure source (`Source`, `kit.completing.Completable` and `Named`, `kit.mailing.Mailing`)."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        """Judge the mail server by its token, then the sender by the policy."""
        unknown = super().authenticate(headers, body, context, now)
        if unknown is not None:
            return unknown
        try:
            return self.judge(body, context)
        except Rejected:
            return None  # Its shape is refused by `check`, with its place.

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check that it is a mail. Whether it says enough is found out later: the server is rid of it either way."""
        del headers, context
        read(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the incident that a mail opens or comments on; raise where a person has to look."""
        return self._told(read(body, cut=CUT_HEADER in headers), context, {})

    def complete(
        self, body: bytes, headers: Mapping[str, str], context: Context, given: Mapping[str, Json]
    ) -> list[Observation]:
        """Return the incident of a mail with what a person gave."""
        return self._told(read(body, cut=CUT_HEADER in headers), context, given)

    def name(self, body: bytes, headers: Mapping[str, str], context: Context) -> str:
        """Return how the mail is known, also while it waits for a person."""
        del headers, context
        return read(body).id

    # Over SMTP

    def receives(self, recipient: str, context: Context) -> bool:
        """Return whether an address is one of ours, with or without a token behind a plus."""
        local, _, domain = recipient.lower().rpartition("@")
        plain = f"{local.partition('+')[0]}@{domain}"
        return plain in {each.lower() for each in _config(context).addresses}

    def admits(self, relay: Relay, context: Context) -> bool:
        """Return whether a mail server's address lies in one of the connection's networks."""
        try:
            address = ipaddress.ip_address(relay.address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        networks = (ipaddress.ip_network(each) for each in _config(context).smtp_peers)
        return any(each.version == address.version and address in each for each in networks)

    def offers_sign_in(self, context: Context) -> bool:
        """Return whether the connection has an account for mail servers, and its password is there."""
        return bool(_config(context).smtp_user and context.secret("smtp_password"))

    def signs_in(self, user: str, password: str, context: Context) -> bool:
        """Return whether this is the connection's account."""
        if not self.offers_sign_in(context):
            return False
        right = (_config(context).smtp_user, context.secret("smtp_password"))
        # Both are always compared, so that the time does not tell which of them was right.
        same = [
            hmac.compare_digest(a.encode(), b.encode()) for a, b in zip((user, password), right, strict=True)
        ]
        return all(same)

    def judge(self, body: bytes, context: Context) -> Refused | None:
        """Judge who wrote a mail by its head; raise `Rejected` if it has none."""
        return refused(body, _config(context))

    def _told(self, mail: Mail, context: Context, given: Mapping[str, Json]) -> list[Observation]:
        config = _config(context)
        if mail.automatic or mail.sender in {each.lower() for each in config.addresses}:
            return []  # An answering machine, or ourselves: the beginning of a loop.
        if is_reply(mail, config) and not given:
            return [reply(mail, context, config)]
        found = reading(mail, config, context.mappings.get("incident", INCIDENT), given)
        if found.confidence < config.confidence_min:
            raise unsure(found, config)
        return [observation(mail, found, context, config)]


def _config(context: Context) -> MailConfig:
    return cast("MailConfig", context.config)
