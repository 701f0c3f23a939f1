"""Dead-man checks: sources that must be heard from, looked at every few seconds, silent or not.

A silence goes the way of every alert: it is taken as an event of the source `isthmus`, so that silences, correlation,
automation and incidents treat it like any other, and it clears by itself once the source is heard again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from django.db.models import Max, QuerySet

from isthmus.blueprint.models import Generation
from isthmus.hub import connections, due
from isthmus.hub.models import Due, IntakeOffset, PollState
from isthmus.hub.observing import Seen
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json
from isthmus.ledger import organisations, scope
from isthmus.ledger.ids import source
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring.deciding import HEARTBEAT
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules import expecting
from isthmus.practices.monitoring.rules.expecting import Expectation

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

LOOK: Final = "monitoring.expected"
LOOK_SECONDS: Final = 15
AWAY_LOOKS: Final = 8
"""So many missed looks mean that the hub was away, not its sources."""
OWN: Final = "isthmus"
"""The name under which the hub raises alerts of its own."""
ONE, MANY = "SourceSilent", "SourcesSilentTogether"


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is expected of a source and when it was last heard; `silent` says it in words ("" = it is not)."""

    connection: str
    every: int
    heartbeat: bool
    heard_at: Instant | None
    silent: str


def health(now: Instant) -> dict[str, Health]:
    """Return every expectation of the blueprint with what was heard."""
    if not plans.current().section.expected:
        return {}
    row = Due.objects.filter(what=LOOK, subject=LOOK).first()
    return {
        each.connection: Health(
            connection=each.connection,
            every=each.every,
            heartbeat=each.connection in plans.current().heartbeats,
            heard_at=each.heard_at,
            silent=expecting.reason_of(each).text if each.due_at <= now else "",
        )
        for each in _expected(_since(row), now)
    }


def visible(now: Instant) -> list[Health]:
    """Return the expectations about sources of the organisations that the open scope shows."""
    seen = scope.current()
    homes = {name: each.organisation for name, each in connections.in_force().items()}
    with scope.everywhere("what is expected belongs to the blueprint; only sources in sight are shown"):
        held = health(now)
    return [each for name, each in sorted(held.items()) if seen is None or homes.get(name) in seen]


def look(work: Work, row: Due, now: Instant) -> None:
    """See who is silent, raise and clear alerts about it (about what is not expected any more, too), and come again."""
    from isthmus.practices.monitoring import service

    section = plans.current().section
    expected = _expected(_awake(row, now), now)
    found = expecting.judge(expected, now, together=section.silent_together)
    homes = {name: each.organisation for name, each in connections.in_force().items()}
    seens = [
        _event(homes[each.connection], ONE, each.connection, section.expected[each.connection].severity, now,
               why=expecting.reason_of(each).text)
        for each in found.own if not each.alerting
    ]  # fmt: skip
    seens += [_event(homes[each.connection], ONE, each.connection, "", now, why="") for each in found.back]
    names = {each.connection for each in expected}
    seens += [
        _event(home, ONE, name, "", now, why="") for name, home in _alerting().items() if name not in names
    ]
    seens += _shared(found, now)
    if seens:
        service.take(work, seens, now)
    if not expected:
        return
    since: dict[str, Json] = {each.connection: int(each.since) for each in expected}
    at = Instant(now + LOOK_SECONDS * SECOND)
    payload: dict[str, Json] = {"since": since, "looked_at": int(now)}
    due.schedule(work, LOOK, LOOK, at, organisation=row.organisation, payload=payload)


def _since(row: Due | None) -> dict[str, int]:
    """Return since when each source is expected."""
    return dict((row.payload or {}).get("since", {})) if row is not None else {}


def _awake(row: Due, now: Instant) -> dict[str, int]:
    """Return since when each source is expected; a hub that was away itself begins to expect anew."""
    looked_at = (row.payload or {}).get("looked_at", now)
    if now - looked_at > AWAY_LOOKS * LOOK_SECONDS * SECOND:
        return {}
    return _since(row)


def _shared(found: expecting.Silent, now: Instant) -> list[Seen]:
    """Return the event that many sources are silent, or that they are not any more, in the hub's own organisation."""
    home = organisations.root()
    running = Alert.objects.filter(
        organisation=home, connection=OWN, external_key=MANY, open=True, state="firing"
    ).exists()
    if found.together and not running:
        names = ", ".join(each.connection for each in found.together)
        text = f"{len(found.together)} sources fell silent together: {names}. Look at the hub's own network first."
        return [_event(home, MANY, "", "critical", now, why=text)]
    if running and not found.together:
        return [_event(home, MANY, "", "", now, why="")]
    return []


def _expected(since: dict[str, int], now: Instant) -> list[Expectation]:
    section = plans.current().section
    usable = connections.in_force()
    names = [name for name in section.expected if name in usable]
    if not names:
        return []
    heard, alerting = _heard(names), _alerting()
    return [
        Expectation(
            connection=name,
            every=microseconds(section.expected[name].every),
            since=Instant(since.get(name, now)),
            heard_at=heard.get(name),
            alerting=name in alerting,
        )
        for name in sorted(names)
    ]


def _firing() -> QuerySet[Alert]:
    """Return the alerts that fire: by organisation, so that the store does not go through those of all times."""
    everywhere = organisations.descendants([organisations.root()])
    return Alert.objects.filter(organisation__in=everywhere, state="firing", open=True)


def _alerting() -> dict[str, str]:
    """Return the sources whose silence is an alert of its own, with the organisation of the alert."""
    rows = _firing().filter(connection=OWN, external_key__startswith=f"{ONE}:")
    return {key.partition(":")[2]: home for key, home in rows.values_list("external_key", "organisation")}


def _heard(names: list[str]) -> dict[str, Instant]:
    """Return when each source was last heard: its heartbeat, or else any message and any poll that it answered."""
    beating = [name for name in names if name in plans.current().heartbeats]
    found: dict[str, int] = {}
    rows: list[tuple[str, int | None]] = []
    alerts = _firing().filter(connection__in=beating, decision=HEARTBEAT)
    rows += alerts.values_list("connection").annotate(at=Max("last_seen_at"))
    others = [name for name in names if name not in beating]
    offsets = IntakeOffset.objects.filter(connection__in=others)
    rows += offsets.values_list("connection").annotate(at=Max("updated_at"))
    polls = PollState.objects.filter(connection__in=others, failures=0)
    rows += polls.values_list("connection").annotate(at=Max("finished_at"))
    for name, at in rows:
        if at is not None:
            found[name] = max(at, found.get(name, 0))
    return {name: Instant(at) for name, at in found.items()}


def _event(organisation: str, name: str, connection: str, severity: str, now: Instant, *, why: str) -> Seen:
    """Return an event of the hub's own: firing with a severity, cleared without one."""
    key = f"{name}:{connection}" if connection else name
    labels: dict[str, Any] = {"alertname": name}
    if connection:
        labels["source"] = connection
    values: dict[str, Any] = {
        "external_key": key,
        "state": "firing" if severity else "resolved",
        "severity": severity or "critical",
        "summary": f"{connection} is silent" if connection else "Several sources are silent",
        "labels": labels,
        "annotations": {"description": why} if why else {},
        "starts_at": now if severity else None,
        "ends_at": None if severity else now,
    }
    return Seen(
        message_position=0,
        place=0,
        connection=OWN,
        organisation=organisation,
        observation=Observation(
            kind="alert",
            external=ExternalRef(connection=OWN, kind="alert", key=key),
            values=values,
            event_id=f"{key}:{now}:{values['state']}",
            occurred_at=now,
        ),
        received_at=now,
        message_id="",
        trace=source.new_trace(),
        door="timer",
    )


def prepare(work: Work) -> None:
    """When a blueprint with expectations is applied: begin to look, keeping since when each source is expected."""
    for record in work.created_or_changed():
        if not isinstance(record, Generation) or record.state != "applied" or not record.content:
            continue
        plain = msgspec.json.decode(record.content)
        names = (plain.get("monitoring") or {}).get("expected") or {}
        before = _since(Due.objects.filter(what=LOOK, subject=LOOK).first())
        since: dict[str, Json] = {name: int(before.get(name, work.now)) for name in names}
        if since:
            payload: dict[str, Json] = {"since": since, "looked_at": int(work.now)}
            at = Instant(work.now + SECOND)
            due.schedule(work, LOOK, LOOK, at, organisation=record.organisation, payload=payload)


def register() -> None:
    """Make the handler known; called when the app is ready."""
    due.register(LOOK, look)
