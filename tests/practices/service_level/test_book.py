"""Clocks in the book: the verifier stays green, projections follow from entries, both organisations keep apart."""

from __future__ import annotations

import os
import random
import sqlite3
from typing import Any

import pytest
from tests.practices.service_level.conftest import OFFICE

from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant, from_rfc3339
from isthmus.ledger import checkpoint, reading, scope, sealer
from isthmus.ledger.verify import replay
from isthmus.ledger.verify.findings import Report
from isthmus.practices.service_level import service, standing
from isthmus.practices.service_level.models import SlaClock

OPENED = from_rfc3339("2026-03-27T08:00:00Z")
LEVELS = [{"name": "d", "calendar": "office", "targets": {"response": {"within": "PT1H"}, "resolution": {"within": "PT8H"}}}]  # fmt: skip


def lived(desk: Any, seed: int) -> list[str]:
    """Let incidents live through random changes, late ones among them, and the sweeps in between."""
    rng = random.Random(seed)
    desk.apply(calendars=[OFFICE], service_levels=LEVELS)
    found = []
    for _ in range(3):
        incident = desk.open(at=OPENED)
        found.append(incident.id)
        known = OPENED
        for _ in range(6):
            known += rng.randrange(1, 9) * HOUR
            state = rng.choice(
                [each for each in ("in_progress", "on_hold") if each != desk.again(incident).state]
            )
            late = rng.randrange(0, 3) * HOUR
            desk.change(incident, {"state": state}, occurred=max(OPENED, known - late), now=known)
            desk.sweep(known + MINUTE)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_every_projection_of_a_clock_follows_from_its_entries(desk: Any, seed: int) -> None:
    lived(desk, seed)
    assert SlaClock.objects.count() == 6
    for clock in SlaClock.objects.all():
        told = reading.as_of(SlaClock, clock.id)
        assert told is not None
        for name in (
            "state",
            "elapsed",
            "due_at",
            "breached",
            "reached",
            "counted_at",
            "amount",
            "started_at",
        ):
            assert told[name] == getattr(clock, name), (clock, name)


@pytest.mark.parametrize("seed", range(3))
def test_what_a_clock_stores_is_what_its_record_s_history_tells(desk: Any, seed: int) -> None:
    now = Instant(OPENED + 9 * DAY)
    for record in lived(desk, seed):
        for clock in service.clocks_of(record):
            folded = service.folded(clock)
            assert folded is not None
            assert service.elapsed(clock, service.terms_of(clock), now) == folded.elapsed(now)
            assert (clock.state, clock.elapsed, clock.started_at) == (
                folded.status,
                folded.counted,
                folded.started_at,
            )


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="the offline verifier reads the embedded store"
)
def test_the_offline_verifier_finds_nothing_and_finds_a_doctored_clock(desk: Any) -> None:
    lived(desk, 1)
    sealer.seal_all(desk.book.clock.now())
    checkpoint.make(desk.book.clock.now())
    assert findings(desk) == []
    with sqlite3.connect(desk.book.path) as book:
        book.execute("UPDATE service_level_clock SET elapsed = elapsed + 1")
    book.close()
    assert len(findings(desk)) == 6


def findings(desk: Any) -> list[str]:
    report = Report()
    book = sqlite3.connect(desk.book.path)
    replay.verify(book, report)
    book.close()
    return [str(each) for each in report.findings]


def test_clocks_of_one_organisation_are_not_seen_by_another(desk: Any) -> None:
    lived(desk, 2)
    other = desk.book.add_organisation("elsewhere")
    clock = SlaClock.objects.first()
    assert clock is not None
    with scope.within([other]):
        assert SlaClock.objects.count() == 0
        assert standing.standing({}, Instant(OPENED)).open == 0


@pytest.mark.parametrize("seed", range(2))
def test_how_all_clocks_stand_is_how_each_one_stands(desk: Any, seed: int) -> None:
    lived(desk, seed)
    now = Instant(OPENED + 5 * DAY)
    over = near = paused = 0
    clocks = list(SlaClock.objects.filter(state__in=("running", "paused")))
    for clock in clocks:
        counted = service.elapsed(clock, service.terms_of(clock), now)
        over += counted >= clock.amount
        near += clock.amount > counted >= clock.amount * 3 / 4
        paused += clock.state == "paused"
    found = standing.standing({}, now)
    assert (found.open, found.over, found.near, found.paused) == (len(clocks), over, near, paused)
