"""Mail that our mail server hands over: a token says it is ours, the policy says who may write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from isthmus.connectors.kit.ports import Context, Refused
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.mapping import INCIDENT, is_reply, observation, reading, reply, unsure
from isthmus.connectors.mail.message import Mail, read
from isthmus.connectors.mail.trust import refusal
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json


class MailSource(WebhookSource):
    """A pure source (`Source` and `kit.completing.Completable`)."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        """Judge the mail server by its token, then the sender by the policy."""
        refused = super().authenticate(headers, body, context, now)
        if refused is not None:
            return refused
        try:
            return refusal(read(body), cast("MailConfig", context.config))
        except Rejected:
            return None  # Its shape is refused by `check`, with its place.

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check that it is a mail. Whether it says enough is found out later: the server is rid of it either way."""
        del headers, context
        read(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the incident that a mail opens or comments on; raise where a person has to look."""
        del headers
        return self._told(read(body), context, {})

    def complete(
        self, body: bytes, headers: Mapping[str, str], context: Context, given: Mapping[str, Json]
    ) -> list[Observation]:
        """Return the incident of a mail with what a person gave."""
        del headers
        return self._told(read(body), context, given)

    def _told(self, mail: Mail, context: Context, given: Mapping[str, Json]) -> list[Observation]:
        config = cast("MailConfig", context.config)
        if mail.automatic or mail.sender in {each.lower() for each in config.addresses}:
            return []  # An answering machine, or ourselves: the beginning of a loop.
        if is_reply(mail, config) and not given:
            return [reply(mail, context, config)]
        found = reading(mail, config, context.mappings.get("incident", INCIDENT), given)
        if found.confidence < config.confidence_min:
            raise unsure(found, config)
        return [observation(mail, found, context, config)]
