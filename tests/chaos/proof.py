"""What must hold after a run has come to rest, read from the book and from inside the partners."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from tests.chaos.installation import PARTNERS, Installation
from tests.chaos.player import Played
from tests.chaos.script import Ticket

from isthmus.cli.demo.tickets import Desks
from isthmus.hub import connections
from isthmus.hub.intake.keys import RingKeys
from isthmus.hub.intake.log import open_log
from isthmus.hub.lanes.levels import CONVERGE
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due, IntakeOffset, ParkedMessage, PollState
from isthmus.hub.pump import outcomes
from isthmus.hub.sync import loading
from isthmus.hub.sync.algorithm.spelling import normal
from isthmus.hub.sync.models import Conflict, Link, LinkRun
from isthmus.kernel.instant import MINUTE
from isthmus.kernel.merge import Form, gather
from isthmus.kernel.observation import ExternalRef
from isthmus.ledger import audit
from isthmus.ledger.ids import source
from isthmus.ledger.models import Entry
from isthmus.ledger.reading import history
from isthmus.practices.incident.models import Comment, Incident
from isthmus.practices.monitoring.models import Alert

COMPARED = ("priority", "description", "state", "tags")
UNCONDITIONAL = ("at snow", "at jira")
REST_SECONDS = 4.0
"""How long nothing may happen any more."""
SETTLE_SECONDS = 900.0
"""What a process claimed at five deaths in a row keeps its claim for eight minutes: it may have been the cause."""


@dataclass(frozen=True, kw_only=True)
class Rest:
    """How a ticket ended."""

    values: dict[str, Any]
    comments: list[str]


def settle(*, seconds: float = SETTLE_SECONDS) -> None:
    """Wait until nothing is owed, nothing is under way and two polls of everything found nothing new."""
    until, before = time.monotonic() + seconds, None
    quiet_since, polled = time.monotonic(), Polled()
    while time.monotonic() < until:
        owed, now = _owed(), _pulse()
        if owed or now != before:
            quiet_since, polled, before = time.monotonic(), Polled(), now
        elif polled.twice() and time.monotonic() - quiet_since > REST_SECONDS:
            return
        time.sleep(0.2)
    raise AssertionError(f"It never came to rest: {_owed()}")


class Polled:
    """Which polls have ended since a moment. One at which the hub died several times in a row waits for minutes."""

    def __init__(self) -> None:
        self._since = source.now()
        self._ends: dict[tuple[str, str], set[int]] = {}

    def twice(self) -> bool:
        """Return whether every poll has ended twice by now."""
        for connection, kind, at in PollState.objects.values_list("connection", "kind", "finished_at"):
            ends = self._ends.setdefault((connection, kind), set())
            if at is not None and at > self._since:
                ends.add(at)
        return all(len(ends) >= 2 for ends in self._ends.values())


def _owed() -> list[str]:
    soon = source.now() + 10 * MINUTE
    found = [
        f"converge {each.subject} at {each.lane}: {each.last_error}"
        for each in Due.objects.filter(what=CONVERGE, due_at__lt=soon)
    ]
    found += [
        f"operation of {each.link} at {each.connection} is {each.operation_state}"
        for each in LinkRun.objects.filter(operation__isnull=False)
    ]
    found += [
        f"delivery {each.subject} to {each.connection} is {each.state}: {each.cause}"
        for each in Delivery.objects.exclude(state="done")
    ]
    found += [f"{name}: {gap} messages are not taken" for name, gap in _behind().items() if gap]
    return found


def _behind() -> dict[str, int]:
    log = open_log(settings.ISTHMUS, RingKeys())
    try:
        taken = dict(IntakeOffset.objects.values_list("connection", "position"))
        return {name: log.durable(name) - taken.get(name, 0) for name in (*PARTNERS, "prometheus")}
    finally:
        log.close()


def _pulse() -> int:
    return Entry.objects.filter(kind__in=("incident", "comment", "link", "conflict")).count()


def rest_of(script: list[Ticket], played: Played) -> dict[str, Rest]:
    """Return how the tickets ended in the hub, by the part of their name that both runs share."""
    found = {}
    for ticket in script:
        incident = Incident.objects.get(id=played.incidents[ticket.name])
        said = sorted(each.body for each in Comment.objects.filter(record=incident.id))
        short = ticket.name.partition("-")[2]
        values = {name: getattr(incident, name) for name in COMPARED}
        found[short] = Rest(
            values={name: _unnamed(value, ticket.name) for name, value in values.items()},
            comments=[_unnamed(each, ticket.name) for each in said],
        )
    return found


def _unnamed(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_unnamed(each, name) for each in value]
    return value.replace(name, "*") if isinstance(value, str) else value


def assert_as_told(script: list[Ticket], played: Played) -> None:
    """Owned and disjoint fields hold the last value of whoever decides; comments are there once."""
    for ticket in script:
        incident = Incident.objects.get(id=played.incidents[ticket.name])
        held = {name: getattr(incident, name) for name in ticket.expected}
        assert held == ticket.expected, ticket.name
        assert set(incident.tags or []) == ticket.tags, f"{ticket.name} has the tags {incident.tags}"
        said = Counter(each.body for each in Comment.objects.filter(record=incident.id))
        assert said == Counter(ticket.comments), ticket.name


def assert_contested_kept(script: list[Ticket], played: Played, *, late_writes: bool) -> list[str]:
    """A contested field holds a value that someone wrote; every other one can still be had back from the hub.

    ServiceNow and Jira have no conditional write: a request of ours that lands late (`late_writes`: that fault
    was planned) overwrites what a person wrote between our look and its landing, and only that vendor's own
    history still has it. Those values are returned, to be told; nowhere else may one be missing.
    """
    overwritten = []
    for ticket in script:
        incident = Incident.objects.get(id=played.incidents[ticket.name])
        assert incident.title in ticket.contested, f"{incident.title!r} was written by nobody"
        kept = {incident.title}
        for entry in history(incident.id):
            kept |= {value for value in entry.changes.get("title", ()) if isinstance(value, str)}
        for conflict in Conflict.objects.filter(record=incident.id, field="title"):
            kept |= {conflict.ours, conflict.theirs}
        lost = set(ticket.contested) - kept
        excused = {each for each in lost if late_writes and each.endswith(UNCONDITIONAL)}
        assert lost == excused, f"{ticket.name}: {lost} cannot be had back (title is {incident.title!r})"
        overwritten += sorted(excused)
    return overwritten


def assert_nothing_twice_nothing_lost(town: Installation, scripts: list[Ticket], runs: list[Played]) -> None:
    """One incident per story, one ticket per incident and system, one outcome per alert that was acknowledged."""
    assert Incident.objects.count() == len(scripts)
    desks = Desks(town.partners)
    for name in PARTNERS:
        inside: Any = town.partners.all[name].inside
        assert desks.count(name) == len(scripts), name
        links = list(Link.objects.filter(connection=name, state="active"))
        assert len(links) == len({each.external_key for each in links}) == len(scripts), name
        for link in links:
            found = inside.find_all("incident", link.correlation) if name == "tracker" else town.partners.inside(
                lambda i=inside, c=link.correlation: i.find_all("incident", c))  # fmt: skip
            assert set(found) <= {link.external_key}, f"{name} holds a twin of {link.external_label}"
    for played in runs:
        for message, count in played.accepted.items():
            rows = outcomes.of_message(message)
            assert len(rows) == count, (
                f"message {message} was acknowledged and has {len(rows)} of {count} outcomes"
            )
            assert {each.what for each in rows} <= {"entry", "repeat", "suppressed", "ignored"}, rows
        for name, events in played.rained.items():
            (alert,) = Alert.objects.filter(summary=name)
            assert alert.occurrences == len(events), (
                f"{name}: {alert.occurrences} occurrences of {len(events)} events"
            )
    assert not ParkedMessage.objects.filter(state="parked").exists()


def decide_conflicts(town: Installation) -> int:
    """Have ada decide whatever waits for a person; return how many there were."""
    waiting = set(Conflict.objects.filter(state="open", winner="undecided").values_list("id", flat=True))
    for each in sorted(waiting):
        if Conflict.objects.get(id=each).state == "open":
            answer = town.call(
                "POST", f"/conflicts/{each}/decision", {"winner": "ours"}, key=f"decide-{each}"
            )
            assert answer.status < 300, answer
    return len(waiting)


def assert_all_sides_equal(town: Installation) -> list[str]:
    """Every ticket, read by the connector, says what the hub holds; return the parts that are parked in sight."""
    return asyncio.run(_compare(town))


async def _compare(town: Installation) -> list[str]:
    from asgiref.sync import sync_to_async

    parked: list[str] = []
    for name in PARTNERS:
        client: Any = (await sync_to_async(connections.open)(name)).client
        try:
            for link, loaded, comments in await sync_to_async(_loaded)(town, name):
                ref = ExternalRef(connection=name, kind=link.external_kind, key=link.external_key)
                seen = await client.read(ref)
                for part, shape in loaded.context.shapes.items():
                    state = loaded.state.parts.get(part)
                    if state is not None and state.flag == "divergent":
                        parked.append(f"{link.external_label}: {part} ({state.why})")
                        continue
                    if not loaded.context.policy(part).outbound or any(
                        each not in seen.values for each in shape.members
                    ):
                        continue
                    ours = normal(shape, loaded.context.spelling, loaded.view.fields[part].value)
                    theirs = gather(shape, seen.values)
                    if shape.form is Form.SET:
                        theirs = sorted(theirs or [])
                    assert theirs == ours, (
                        f"{link.external_label} at {name}: {part} is {theirs!r}, here {ours!r}"
                    )
                there = Counter(each.body.strip() for each in await client.comments(ref) if not each.deleted)
                assert there == comments, (
                    f"comments of {link.external_label} at {name}: only there {there - comments}, only here {comments - there}"
                )
        finally:
            await client.close()
    return parked


def _loaded(town: Installation, name: str) -> list[tuple[Link, Any, Counter[str]]]:
    links = list(Link.objects.filter(connection=name, state="active"))

    def act(work: Any) -> Any:
        return loading.load(work, [each.id for each in links])

    found = town.book.perform(act)
    said = loading.comments_of({each.record for each in links})
    return [
        (
            each,
            found[each.id],
            Counter(one.body for one in said.get(each.record, {}).values() if not one.deleted),
        )
        for each in links
    ]


def assert_sound(town: Installation) -> str:
    """The standalone verifier finds nothing: chains, columns, projections against the replay, witness. On the scaled
    store it is the hub's own, which reads what the other reads from a file."""
    if town.on_postgres:
        report = audit.verify_store()
        assert report.ok, report.findings
        return str(report.counts)
    command = [sys.executable, "-m", "isthmus.ledger.verify", str(town.book.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout
