"""PagerDuty's webhook v3: signed with HMAC-SHA256, with several signatures while a secret is rotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder, shape_error
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.mapping import Envelope, Event, Incident, from_event
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.observation import Observation

_decode = decoder(Envelope)
_WITHOUT_INCIDENT = frozenset({"incident.annotated", "incident.status_update_published"})
"""Types of events about an incident whose `data` is something else (a note, an update)."""


class PagerDutySource(WebhookSource):
    """A pure source of incidents. The signature says nothing about time; repeats are known by their event."""

    scheme_name = "pagerduty"

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return the alert that the event speaks of, or that somebody looks after an incident of ours; pings and
        events about other things give nothing."""
        del headers
        event = _decode(body).event
        if not _speaks_of_incident(event):
            return []
        try:
            incident = msgspec.convert(event.data, Incident)
        except msgspec.ValidationError as cause:
            raise _below(cause) from cause
        config = cast("PagerDutyConfig", context.config)
        found = from_event(event, incident, context.connection, config)
        return [] if found is None else [found]


def _speaks_of_incident(event: Event) -> bool:
    if event.resource_type != "incident" or event.event_type in _WITHOUT_INCIDENT:
        return False
    return bool(event.data.get("type", "incident") == "incident")


def _below(cause: msgspec.ValidationError) -> Rejected:
    """Return the refusal with its place in the whole body, not in `data` alone."""
    found = shape_error(cause)
    path = f"/event/data{found.problems[0].path}"
    message = found.problems[0].message
    return Rejected(f"{path}: {message}.", problems=(Problem(path=path, message=message),))
