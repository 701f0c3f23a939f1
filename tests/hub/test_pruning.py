"""Growth: what is settled is forgotten after its time, told as a count in the journal; what is open never is."""

from __future__ import annotations

import pytest
from tests.hub.conftest import YAML, body

from isthmus.hub import leases, metrics, pruning
from isthmus.hub.lanes import effects
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import OutcomeSegment, ParkedMessage
from isthmus.hub.pump import parking
from isthmus.kernel.errors import Conflict
from isthmus.kernel.record import Reason
from isthmus.ledger import audit, sealer
from isthmus.ledger.ids import source
from isthmus.ledger.models import SystemEvent

TERMS = YAML + "    limits: {delivery_days: 10, outcome_days: 20, parked_days: 30}\n"


@pytest.fixture
def kept(hub):
    """A connection with short terms, a delivery of each state, a batch of outcomes, and parked messages."""
    hub.apply(TERMS)
    hub.poison.update({"bad", "worse"})
    hub.send(body({"key": "fine"}, {"key": "bad"}, {"key": "worse"}))
    hub.run()
    first = ParkedMessage.objects.get(subject__contains="bad")
    hub.book.perform(lambda work: parking.dismiss(work, first.id, "not needed"))
    for state in ("done", "dropped", "dead", "due", "waiting", "sending"):
        owed(hub, state)
    owed(hub, "done", kind="converge")
    owed(hub, "done", connection="former")
    return hub


def owed(hub, state, *, kind="once", connection="web"):
    def act(work):
        name = source.new_id()
        at = {"created_at": work.now, "updated_at": work.now, "done_at": work.now}
        work.insert(
            Delivery, id=name, organisation=hub.book.organisation, connection=connection, kind=kind, subject=name,
            record=name, key=name, state=state, verb=f"{state}-{kind}", **at,
        )  # fmt: skip

    hub.book.perform(act)


def prune(hub):
    now = hub.book.clock.now()
    held = leases.take(pruning.LEASE, now=now, holder="test", held_for=pruning.HELD_FOR)
    return pruning.prune(now, held)


def states():
    return sorted(f"{each.connection} {each.verb}" for each in Delivery.objects.all())


def days(hub, count):
    hub.book.clock.forward(hours=24 * count)


def test_each_kind_is_forgotten_after_its_own_time_and_not_before(kept):
    open_ones = ["web dead-once", "web done-converge", "web due-once", "web sending-once", "web waiting-once"]
    settled = ["former done-once", "web done-once", "web dropped-once"]
    days(kept, 9)
    prune(kept)
    assert states() == sorted([*open_ones, *settled])
    days(kept, 2)
    prune(kept)
    assert states() == sorted([*open_ones, "former done-once"]), "what is open is owed, however old"
    assert OutcomeSegment.objects.exists()
    days(kept, 10)
    prune(kept)
    assert not OutcomeSegment.objects.exists()
    assert ParkedMessage.objects.count() == 2
    days(kept, 10)
    prune(kept)
    (left,) = ParkedMessage.objects.all()
    assert left.state == parking.PARKED, "what waits for a person is kept"
    days(kept, 160)
    prune(kept)
    assert states() == open_ones, "a connection that is gone keeps the terms of the house"


def test_what_was_forgotten_is_told_once_as_a_count_and_counted(kept):
    before = metrics.PRUNED.labels("deliveries")._value.get()
    days(kept, 11)
    prune(kept)
    prune(kept)
    told = [
        each.facts for each in SystemEvent.objects.filter(subject="connection:web") if "what" in each.facts
    ]
    assert [(each["what"], each["count"], each["days"]) for each in told] == [("deliveries", 2, 10)]
    assert metrics.PRUNED.labels("deliveries")._value.get() == before + 2


def test_the_book_verifies_without_what_was_forgotten(kept):
    days(kept, 31)
    prune(kept)
    sealer.seal_all(kept.book.clock.now())
    assert audit.verify_store().ok


def test_a_bounded_number_goes_at_once_and_the_rest_follows(kept, monkeypatch):
    monkeypatch.setattr(pruning, "ROWS_MAX", 1)
    days(kept, 11)
    pruner = pruning.Pruner("test")
    rounds = 0
    while pruner.step(kept.book.clock.now()):
        rounds += 1
    assert rounds == 2
    assert "web done-once" not in states()
    assert pruner.step(kept.book.clock.now()) is False
    owed(kept, "done")
    days(kept, 11)
    assert pruner.step(kept.book.clock.now()) is True, "an hour later it looks again"


def test_of_two_processes_one_prunes(kept):
    days(kept, 11)
    now = kept.book.clock.now()
    assert leases.take(pruning.LEASE, now=now, holder="elsewhere", held_for=pruning.HELD_FOR)
    assert pruning.Pruner("here").step(now) is False
    assert "web done-once" in states()


def test_who_lost_the_lease_removes_nothing(kept):
    days(kept, 11)
    now = kept.book.clock.now()
    held = leases.take(pruning.LEASE, now=now, holder="first", held_for=pruning.HELD_FOR)
    kept.book.clock.forward(minutes=2)
    assert leases.take(pruning.LEASE, now=kept.book.clock.now(), holder="second", held_for=pruning.HELD_FOR)
    with pytest.raises(Conflict):
        pruning.prune(now, held)
    assert "web done-once" in states()


def test_an_effect_asked_for_again_within_the_time_is_the_same_effect(kept):
    """Why effects are kept for months: the row is what makes a second wish the same wish."""
    from isthmus.practices.incident.models import Incident

    record = kept.book.perform(
        lambda work: work.create(
            Incident, organisation=kept.book.organisation, values={"title": "x", "state": "new"}, why=[Reason(rule="t", text="t")]
        )
    )  # fmt: skip

    def ask(work):
        return effects.once(work, "web", "notify", {}, key="k", record=record)

    first = kept.book.perform(ask)
    now = kept.book.clock.now()
    kept.book.perform(
        lambda work: work.advance(Delivery, where={"id": first}, values={"state": "done", "done_at": now})
    )
    days(kept, 9)
    prune(kept)
    assert kept.book.perform(ask) == first
    days(kept, 2)
    prune(kept)
    assert kept.book.perform(ask) != first
