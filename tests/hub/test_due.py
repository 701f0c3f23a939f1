"""Waits: they end once, in time order, and one that fails stops nobody."""

from __future__ import annotations

import pytest

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.sweeper import sweep
from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import SECOND
from isthmus.kernel.record import Reason
from isthmus.ledger.models import SystemEvent


@pytest.fixture
def handled(book, monkeypatch):
    found = []

    def handle(work, row, now):
        found.append((row.subject, row.payload))
        work.journal(row.organisation, f"handled:{row.subject}", {}, [Reason(rule="test", text="handled")])

    def fail(work, row, now):
        found.append((row.subject, "raised"))
        raise Rejected("This never works.")

    def again(work, row, now):
        found.append((row.subject, "again"))
        due.schedule(work, "again", row.subject, now + 60 * SECOND, organisation=row.organisation)

    monkeypatch.setattr(due, "_handlers", {"test": handle, "fail": fail, "again": again})
    return found


def schedule(book, what, subject, *, seconds=0, **more):
    at = book.clock.now() + seconds * SECOND
    book.perform(lambda work: due.schedule(work, what, subject, at, organisation=book.organisation, **more))


def test_a_wait_is_handled_when_it_is_over_once_and_not_before(book, handled):
    schedule(book, "test", "a", seconds=60, payload={"n": 1})
    assert sweep(book.clock.now()) == 0
    book.clock.forward(seconds=61)
    assert sweep(book.clock.now()) == 1
    assert sweep(book.clock.now()) == 0
    assert handled == [("a", {"n": 1})]
    assert not Due.objects.exists()


def test_the_oldest_wait_is_handled_first(book, handled):
    for subject, seconds in (("late", 30), ("early", 10), ("middle", 20)):
        schedule(book, "test", subject, seconds=seconds)
    book.clock.forward(seconds=40)
    sweep(book.clock.now())
    assert [subject for subject, _ in handled] == ["early", "middle", "late"]


def test_scheduling_again_moves_the_wait_instead_of_adding_one(book, handled):
    schedule(book, "test", "a", seconds=10)
    schedule(book, "test", "a", seconds=100)
    book.clock.forward(seconds=50)
    assert sweep(book.clock.now()) == 0
    book.clock.forward(seconds=60)
    sweep(book.clock.now())
    assert len(handled) == 1


def test_waits_of_different_keys_are_different(book, handled):
    schedule(book, "test", "a", key="x")
    schedule(book, "test", "a", key="y")
    book.clock.forward(seconds=1)
    sweep(book.clock.now())
    assert len(handled) == 2


def test_a_cancelled_wait_does_not_happen(book, handled):
    schedule(book, "test", "a")
    book.perform(lambda work: due.cancel(work, "test", "a", organisation=book.organisation))
    book.clock.forward(seconds=1)
    assert sweep(book.clock.now()) == 0


def test_a_handler_that_raises_stops_nobody_and_comes_back_later_with_its_error_in_sight(book, handled):
    schedule(book, "fail", "bad")
    schedule(book, "test", "good", seconds=1)
    book.clock.forward(seconds=2)
    sweep(book.clock.now())
    assert handled == [("bad", "raised"), ("good", None)]
    row = Due.objects.get()
    assert row.last_error == "This never works."
    assert row.attempts == 1
    assert sweep(book.clock.now()) == 0, "it was pushed ahead"
    book.clock.forward(seconds=16)
    sweep(book.clock.now())
    assert Due.objects.get().attempts == 2


def test_a_claim_whose_process_dies_comes_back_after_the_lease(book, handled):
    schedule(book, "test", "a")
    book.clock.forward(seconds=1)
    assert len(due.claim(book.clock.now(), seconds=30)) == 1
    assert due.claim(book.clock.now(), seconds=30) == []
    book.clock.forward(seconds=31)
    assert sweep(book.clock.now()) == 1
    assert len(handled) == 1


def test_a_claim_that_was_lost_finishes_nothing(book, handled):
    schedule(book, "test", "a")
    book.clock.forward(seconds=1)
    lost = due.claim(book.clock.now(), seconds=30)[0]
    book.clock.forward(seconds=31)
    held = due.claim(book.clock.now(), seconds=30)[0]
    with pytest.raises(Conflict):
        book.perform(lambda work: due.finish(work, lost))
    book.perform(lambda work: due.finish(work, held))
    assert not Due.objects.exists()


def test_a_wait_set_anew_while_it_is_handled_survives(book, handled):
    schedule(book, "test", "a")
    book.clock.forward(seconds=1)
    row = due.claim(book.clock.now(), seconds=30)[0]
    schedule(book, "test", "a", seconds=5)
    with pytest.raises(Conflict):
        book.perform(lambda work: due.finish(work, row))
    assert Due.objects.get().claimed_until == 0


def test_a_handler_may_schedule_its_own_wait_again(book, handled):
    schedule(book, "again", "a")
    book.clock.forward(seconds=1)
    sweep(book.clock.now())
    assert sweep(book.clock.now()) == 0
    book.clock.forward(seconds=61)
    sweep(book.clock.now())
    assert handled == [("a", "again"), ("a", "again")]


def test_rows_of_a_lane_are_left_to_the_lane(book, handled):
    schedule(book, "test", "a", lane="snow")
    book.clock.forward(seconds=1)
    assert sweep(book.clock.now()) == 0
    assert [row.subject for row in due.claim(book.clock.now(), seconds=30, lane="snow")] == ["a"]


def test_a_crash_between_claim_and_commit_handles_it_once_in_the_end(book, handled, monkeypatch):
    schedule(book, "test", "a")
    book.clock.forward(seconds=1)

    class PowerCut(BaseException):
        pass

    real = due.finish

    def cut(*_):
        raise PowerCut

    monkeypatch.setattr(due, "finish", cut)
    with pytest.raises(PowerCut):
        sweep(book.clock.now())
    monkeypatch.setattr(due, "finish", real)
    book.clock.forward(seconds=16)
    sweep(book.clock.now())
    sweep(book.clock.now())
    assert SystemEvent.objects.filter(subject="handled:a").count() == 1


def test_what_a_dead_process_had_claimed_is_given_back_at_the_restart_unless_it_keeps_killing(book, handled):
    schedule(book, "converge", "link", lane="snow")
    schedule(book, "test", "timer")
    now = book.clock.now()
    for attempt in range(due.RELEASE_ATTEMPTS_MAX + 1):
        (row,) = due.claim(book.clock.now(), seconds=180, lane="snow")
        assert row.attempts == attempt + 1
        assert due.claim(book.clock.now(), seconds=180, lane="snow") == []
        given_back = due.release(book.clock.now())
        if attempt + 1 >= due.RELEASE_ATTEMPTS_MAX:
            break
        assert given_back == 1
    assert given_back == 0, "a row that may be what kills the process waits for its claim to run out"
    due.claim(now, seconds=180)
    assert due.release(book.clock.now()) == 0, "the sweeper's own rows come back by their push"
