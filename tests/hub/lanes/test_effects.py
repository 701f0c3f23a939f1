"""Effects that happen once: the same key is the same effect; one subject keeps its order."""

from isthmus.hub import due
from isthmus.hub.lanes import effects, turns
from isthmus.hub.lanes.calls import Fault, Result
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.kinds.incident import INCIDENT
from isthmus.practices.incident.models import Incident


def straight(_kind, _start, end):
    return [end]


def test_an_effect_is_asked_for_once_sent_in_order_and_done(book):
    def ask(work):
        record = work.create(
            Incident, organisation=book.organisation, why=[], values={"title": "t", "state": "new"}
        )
        assert record.kind == INCIDENT.name
        return [
            effects.once(work, "chat", "post", {"text": each}, key=each, record=record)
            for each in ("one", "two")
        ], record

    (first, second), record = book.perform(ask)
    assert (
        book.perform(
            lambda work: effects.once(work, "chat", "post", {"text": "other"}, key="one", record=record)
        )
        == first
    )
    book.clock.forward(seconds=1)
    rows = due.claim(book.clock.now(), seconds=60, lane="chat")
    (turn,) = book.perform(lambda work: turns.begin(work, rows, straight))
    assert (turn.payload, turn.key) == ({"text": "one"}, "one"), "the second waits for the first"
    book.perform(lambda work: turns.conclude(work, [Result(turn=turn)], straight, 0.5))
    assert Delivery.objects.get(id=first).state == "done"
    book.clock.forward(seconds=5)
    rows = due.claim(book.clock.now(), seconds=60, lane="chat")
    (next_turn,) = book.perform(lambda work: turns.begin(work, rows, straight))
    assert next_turn.key == "two"
    fault = Fault(fault="rejected", cause="no such channel", remedy="name another")
    book.perform(lambda work: turns.conclude(work, [Result(turn=next_turn, fault=fault)], straight, 0.5))
    held = Delivery.objects.get(id=second)
    assert (held.state, held.fault, held.remedy) == ("dead", "rejected", "name another")
