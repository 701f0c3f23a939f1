"""Client of the Events API v2: one call is one event. A 202 says that an event was taken, not what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, Problem, Rejected, UnknownOutcome
from isthmus.kernel.wild import Wild

_ROUTING = "/routing_key"
_ERRORS_MAX = 20


class Events:
    """The integration whose key the connection holds."""

    def __init__(self, context: Context) -> None:
        config = cast("PagerDutyConfig", context.config)
        self._routing_key = context.secret("routing_key") if config.routing_key is not None else ""
        self._http = HttpClient(
            config.events_url,
            limits=context.limits,
            headers={"Accept": "application/json"},
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
            problems=_problems,
        )

    @property
    def usable(self) -> bool:
        """Whether the connection has an integration to send to."""
        return bool(self._routing_key)

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send one event. `UnknownOutcome` is harmless here: the same event again is no second incident."""
        if not self.usable:
            raise NeedsOperator(
                "The connection has no integration of PagerDuty to send events to.",
                remedy="Set routing_key to the key of an Events API v2 integration.",
            )
        body = {"routing_key": self._routing_key, **event}
        try:
            answer = await self._http.call("POST", "/v2/enqueue", json=body)
        except Rejected as refused:
            if not any(each.path == _ROUTING for each in refused.problems):
                raise
            raise NeedsOperator(
                "PagerDuty does not know the integration key of this connection.",
                remedy="Renew routing_key: the key of an Events API v2 integration, 32 characters.",
            ) from refused
        taken = answer.wild()["dedup_key"].tame(wild.optional(wild.text, ""))
        if taken != event["dedup_key"]:
            raise UnknownOutcome(
                f"{answer.where} answered {answer.status} without the key of the event.",
                remedy="It is sent again: the same key makes no second incident.",
            )


def _problems(body: Wild) -> tuple[Problem, ...]:
    """Return what a 400 complains about, by the field that its sentences name; the sentences may quote the event."""
    said = [each.tame(wild.text) for each in body["errors"].items()][:_ERRORS_MAX]
    named = ("routing_key", "summary", "severity", "source", "dedup_key", "event_action")
    found = [name for name in named if any(name in each for each in said)]
    return tuple(Problem(path=f"/{name}", message="PagerDuty refuses it") for name in found)
