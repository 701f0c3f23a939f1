"""PagerDuty both ways: what is open and what changed since comes in; the hub acts on incidents, and raises its own.

Incidents that PagerDuty got from others are alerts here; their key is the incident's id, and acts go over REST. What the
hub raised itself has a key of ours: it is raised, acknowledged and resolved by events (Events API v2) and read back over
REST where the connection has a key for it. Every effect looks first: a repeat does nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Literal, cast

from isthmus.connectors.kit import doubt
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.pagerduty import events
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.mapping import Incident, from_listed
from isthmus.connectors.pagerduty.polling import Polling
from isthmus.connectors.pagerduty.rest import Rest
from isthmus.connectors.pagerduty.sending import Events
from isthmus.kernel import wild
from isthmus.kernel.errors import IsthmusError, NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json

STATUSES: Mapping[events.Action, Literal["acknowledged", "resolved"]] = {
    "acknowledge": "acknowledged",
    "resolve": "resolved",
}
STUCK_SECONDS = 30.0
"""How long to wait before an event that was taken and changed nothing is sent again."""


class PagerDutyClient:
    """A `Poller` that acknowledges, resolves and notes, and a `Notifier`."""

    def __init__(self, context: Context) -> None:
        config = cast("PagerDutyConfig", context.config)
        self._context, self._config = context, config
        self._rest, self._events = Rest(context), Events(context)
        self._polling = Polling(context, self._rest)
        if not config.url and not self._events.usable:
            raise NeedsOperator(
                "The connection has neither url nor routing_key, so it cannot be called.",
                remedy="Set one of them, or only receive.",
            )

    async def close(self) -> None:
        """Release the sessions."""
        await self._rest.close()
        await self._events.close()

    async def probe(self) -> Probe:
        """Ask what the key may do; an integration can only be tried with an event."""
        if not self._rest.usable and self._events.usable:
            return Probe(
                product="PagerDuty",
                version="Events v2",
                notes=(
                    "The Events API has no harmless call: whether the key is right shows the first event.",
                ),
            )
        answer = await self._rest.get("/abilities")
        abilities = answer.wild()["abilities"].tame(wild.each(wild.text))
        notes = () if self._config.from_ else ("Without `from`, nothing can be acknowledged or resolved.",)
        return Probe(product="PagerDuty", version=f"REST v2, {len(abilities)} abilities", notes=notes)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield open incidents at first, then every incident whose log grew since `watermark`."""
        del kind
        async for page in self._polling.changed_since(watermark):
            yield page

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Raise an alert of ours; `ref.key` is its key. A 202 is no proof: where REST may look, an incident has to show.

        After a doubt an open incident with the key settles it; without REST the event is sent again, which PagerDuty
        adds to the alert that is open.
        """
        event = events.trigger(message, idempotency_key, self._config)
        key = str(event["dedup_key"])
        if doubt.exists() and self._rest.usable and (held := await self._rest.open_by_key(key)) is not None:
            return self._raised(key, held)
        await self._events.send(event)
        if not self._rest.usable:
            return self._raised(key, None)
        try:
            held, shown = await self._rest.awaited(key, lambda each: each is not None)
        except IsthmusError:
            return self._raised(key, None)  # That nobody may look takes nothing from the answer.
        if not shown:
            raise UnknownOutcome(
                "PagerDuty took the event, and no open incident shows its key.",
                remedy="See whether the service is disabled or in maintenance, or an event rule drops or pauses it.",
            )
        return self._raised(key, held)

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Acknowledge an incident that is open and not acknowledged yet, assigned to whoever took it if they are known."""
        del labels
        return await self._turn(alert, "acknowledge", by, comment, idempotency_key)

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Say that PagerDuty has no such thing, unless nothing is acknowledged any more."""
        del labels, by, comment, idempotency_key
        held = await self._held(alert)
        if held is None or held.status != "acknowledged":
            return self._written(alert, held)
        raise Rejected(
            "PagerDuty does not take an acknowledgement back.",
            remedy="Reassign the incident there; it is triggered again and pages whoever is next.",
        )

    async def resolve(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Resolve an incident that is not resolved yet."""
        del labels
        return await self._turn(alert, "resolve", by, comment, idempotency_key)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Leave a note, once."""
        del labels
        held = await self._held(alert)
        if held is None:
            raise NotFound("PagerDuty has no open incident of this key.", remedy="It is over there.")
        await self._rest.note(held.id, _said(by, text), idempotency_key)
        return self._written(alert, held)

    async def _turn(self, alert: str, action: events.Action, by: str, comment: str, key: str) -> Written:
        if self._of_ours(alert):
            return await self._turn_ours(alert, action, by, comment, key)
        held = await self._rest.incident(alert)
        if action == "acknowledge":
            held = await self._rest.assign(held, by)
        held = await self._rest.turn(held, STATUSES[action])
        if comment:
            await self._rest.note(alert, _said(by, comment), key)
        return self._written(alert, held)

    async def _turn_ours(
        self, alert: str, action: events.Action, by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Say by an event what became of something that the hub raised, and look whether it stuck."""
        if not self._rest.usable:
            await self._events.send(events.follow_up(action, alert))
            return self._written(alert, None)
        held, done = await self._rest.open_by_key(alert), _done(action)
        if held is not None and self._config.from_:
            if action == "acknowledge":
                held = await self._rest.assign(held, by)
            if comment:
                await self._rest.note(held.id, _said(by, comment), idempotency_key)
        if held is None or not done(held):
            # Also where nothing shows: what was raised a moment ago may not be there to see yet.
            await self._events.send(events.follow_up(action, alert))
            held, stuck = await self._rest.awaited(alert, done)
            if not stuck:
                raise Retryable(
                    f"PagerDuty took the event, and the incident is still {held.status if held else 'open'}.",
                    remedy="It is sent again; see whether an event rule of the service drops it.",
                    after_seconds=STUCK_SECONDS,
                )
        return self._written(alert, held)

    async def _held(self, alert: str) -> Incident | None:
        if self._of_ours(alert):
            return await self._rest.open_by_key(alert)
        return await self._rest.incident(alert)

    def _of_ours(self, alert: str) -> bool:
        return events.is_own_key(alert, self._config)

    def _raised(self, key: str, held: Incident | None) -> Written:
        url = "" if held is None else held.html_url
        number = None if held is None else held.number or held.incident_number
        label = "" if number is None else f"#{number}"
        ref = ExternalRef(connection=self._context.connection, kind="message", key=key, label=label, url=url)
        return Written(ref=ref, version="" if held is None else held.id)

    def _written(self, alert: str, held: Incident | None) -> Written:
        if self._of_ours(alert):
            return self._raised(alert, held)
        url = "" if held is None else held.html_url
        ref = ExternalRef(connection=self._context.connection, kind="alert", key=alert, url=url)
        seen = None if held is None else from_listed(held, self._context.connection, self._config)
        return Written(ref=ref, observation=seen)


def _done(action: events.Action) -> Callable[[Incident | None], bool]:
    """Return what an incident of ours looks like after an action; one that is over is done in any case."""
    return lambda held: held is None or (action == "acknowledge" and held.status == "acknowledged")


def _said(by: str, text: str) -> str:
    return f"{by}: {text}" if by else text
