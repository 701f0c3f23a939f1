"""CloudEvents that are posted to us: any declared scheme, three content modes, meaning by rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from isthmus.connectors.cloudevents.config import CloudEventsConfig
from isthmus.connectors.cloudevents.event import events, identity
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.ruling import observations
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.kernel import wild
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Scheme
from isthmus.kernel.wild import Wild


class CloudEventsSource(WebhookSource):
    """A pure source that knows no producer."""

    def scheme(self, context: Context) -> Scheme:
        """Return the scheme that the connection names."""
        return SCHEMES[cast("CloudEventsConfig", context.config).authentication]

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return what the connection's rules see in the events, in their order."""
        config = cast("CloudEventsConfig", context.config)
        found: list[Observation] = []
        for event in events(body, headers):
            told = observations(event, headers, context, config.rules, identity(event))
            found += [_timed(each, event) for each in told]
        return found


def _timed(observation: Observation, event: Wild) -> Observation:
    """Return the observation with the event's time, where no rule says otherwise."""
    if observation.occurred_at is not None or event["time"].missing:
        return observation
    return replace(observation, occurred_at=event["time"].tame(wild.moment))
