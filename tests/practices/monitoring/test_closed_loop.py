"""Alert and incident stay in step: stability, flapping, re-fire, human work, moved windows, a process that is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from isthmus.ledger import reading
from isthmus.practices.change import service as changes
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import index

TESTS = Path(__file__).parents[2]


def why(record: str) -> list[str]:
    return [reason.text for entry in reading.history(record) for reason in entry.why]


def test_a_flap_restarts_the_time_of_stability(monitor: Any) -> None:
    monitor.fire(host="web-01")
    for _ in range(3):
        monitor.clear(host="web-01")
        monitor.pass_time(minutes=4)
        assert monitor.incidents()[0].state == "new"
        monitor.fire(host="web-01")
        monitor.pass_time(seconds=10)
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=29)
    assert monitor.incidents()[0].state != "resolved", "it flapped: it is believed later"
    monitor.pass_time(minutes=2)
    (incident,) = monitor.incidents()
    assert incident.state == "resolved"


@pytest.mark.parametrize("worked", [True, False])
def test_over_human_work_it_is_noted_and_left_open_and_without_it_resolved(
    monitor: Any, *, worked: bool
) -> None:
    monitor.fire(host="web-01")
    (incident,) = monitor.incidents()
    if worked:
        monitor.book.perform(
            lambda work: incidents.comment(
                work, incidents.get(work, incident.id), "I am looking at the disk."
            ),
            actor=monitor.book.actor("agent"),
        )
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=6)
    assert monitor.incidents()[0].state == ("new" if worked else "resolved")
    assert any("left open for them" in text for text in why(incident.id)) == worked


def test_after_the_window_of_reopening_it_is_a_new_incident(monitor: Any) -> None:
    monitor.fire(host="web-01")
    monitor.clear(host="web-01")
    monitor.pass_time(minutes=6)
    monitor.pass_time(minutes=60)
    monitor.fire(host="web-01")
    assert [each.state for each in monitor.incidents()] == ["resolved", "new"]
    assert len(monitor.alerts()) == 2


def test_a_window_that_is_moved_away_keeps_nothing_quiet(monitor: Any, world: Any) -> None:
    change = world.authorised()
    monitor.fire(host="db")
    assert monitor.incidents() == []
    later = monitor.book.clock.now() + 86_400_000_000
    world.do("ada", changes.update, change, {"window_start": later, "window_end": later + 3_600_000_000})
    monitor.pass_time(seconds=2)
    assert len(monitor.incidents()) == 1
    (alert,) = monitor.alerts()
    assert any("was changed" in text for text in why(alert.id))


_CHILD = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import conftest, django
from pathlib import Path
from isthmus.ledger import ids, scope, organisations
ids.source.offset = {offset}
import conftest as setting
if {database!r} is None:
    setting._point_at(Path({directory!r}), setting._sqlite(Path({directory!r})))
else:
    from isthmus.django_settings import _database
    setting._become_postgres()
    setting._point_at(Path({directory!r}), _database({database!r}))
from isthmus.kernel.actor import Origin, system
from isthmus.ledger.door import perform
from isthmus.practices.monitoring import service
from practices.monitoring.conftest import Monitor
from types import SimpleNamespace
with scope.everywhere("a test"):
    book = SimpleNamespace(clock=setting.Clock(), organisation={organisation!r})
    monitor = Monitor(book=book, monkeypatch=None)
    for state in ("firing", "resolved"):
        seen = monitor.event("Down", state=state, host="web-01")
        perform(lambda work: service.take(work, [seen], work.now), actor=system("pump"), origin=Origin(channel="webhook"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="the child opens the data directory by itself"
)
def test_a_process_killed_while_an_alert_is_clear_still_has_its_incident_resolved_once(monitor: Any) -> None:
    from isthmus.ledger import ids

    book = monitor.book
    script = _CHILD.format(
        tests=str(TESTS), directory=str(book.directory), organisation=book.organisation, offset=ids.source.offset, database=None
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    (incident,) = monitor.incidents()
    monitor.pass_time(minutes=4)
    assert monitor.incidents()[0].state == "new", "not before it was stable"
    index.forget()
    monitor.pass_time(minutes=2)
    assert monitor.incidents()[0].state == "resolved"
    resolutions = [
        entry
        for entry in reading.history(incident.id)
        if entry.changes.get("state", ["", ""])[1] == "resolved"
    ]
    assert len(resolutions) == 1


def mixed(monitor: Any, organisation: str, order: random.Random) -> list[Any]:
    """An hour of a shop: repeats, two rules, a storm of texts, clears; the same for every organisation."""
    events = []
    for number in range(60):
        host, name = f"web-{order.randrange(6)}", order.choice(("Down", "Crash", "Slow"))
        state = "resolved" if number % 7 == 6 else "firing"
        text = f"{name} {order.choice(('in queue billing', 'in queue orders'))} at {number}"
        events.append(monitor.event(name, state=state, host=host, summary=text, organisation=organisation))
    return events


def test_replaying_history_gives_the_groups_of_live_processing(monitor: Any) -> None:
    rule = {"name": "crashes", "match": {"alertname": "Crash"}, "similarity": 85}
    slow = {"name": "slow", "match": {"alertname": "Slow"}, "by": ["host"], "threshold": 2}
    monitor.configure(monitoring={"correlation": {"rules": [rule, slow]}})
    live, replay = monitor.book.organisation, monitor.book.add_organisation("Replay")
    for organisation in (live, replay):
        index.forget()
        for event in mixed(monitor, organisation, random.Random(5)):
            monitor.send(event)
    found: dict[str, dict[str, set[Any]]] = {live: defaultdict(set), replay: defaultdict(set)}
    for alert in monitor.alerts():
        words = (
            alert.labels["alertname"],
            alert.labels["host"],
            alert.state,
            alert.decision,
            alert.occurrences,
        )
        found[alert.organisation][alert.incident].add(words)
    assert sorted(map(sorted, found[live].values())) == sorted(map(sorted, found[replay].values()))
    assert len(found[live]) > 3
