"""The pump: every acknowledged message has its effect once, in order, and what fails is in sight."""

from __future__ import annotations

import pytest
from django.db import DataError, OperationalError
from tests.hub.conftest import YAML, body

from isthmus.hub import observing
from isthmus.hub.intake.segment_files import day_of
from isthmus.hub.models import EventId, IntakeOffset, OutcomeSegment, ParkedMessage
from isthmus.hub.pump import outcomes, parking
from isthmus.hub.pump.pump import Pump
from isthmus.hub.pump.redrive import redrive, redrive_all
from isthmus.kernel.errors import NotFound
from isthmus.ledger import keys


def offset() -> int:
    return IntakeOffset.objects.get(connection="web").position


def test_each_message_has_its_effect_and_the_offset_follows(hub):
    hub.send(*(body({"key": f"k{number}", "id": f"e{number}"}) for number in range(40)))
    hub.run()
    assert hub.effects() == {f"k{number}": 1 for number in range(40)}
    assert offset() == 40


def test_an_empty_log_writes_nothing(hub):
    hub.run()
    assert not IntakeOffset.objects.exists()


def test_the_same_event_a_hundred_times_has_one_effect(hub):
    hub.send(*(body({"key": "k", "id": "same"}) for _ in range(100)))
    hub.run()
    hub.send(body({"key": "k", "id": "same"}))
    hub.run()
    assert hub.effects() == {"k": 1}
    assert offset() == 101


def test_two_events_with_equal_text_and_different_ids_have_two_effects(hub):
    hub.send(body({"key": "k", "text": "t", "id": "one"}), body({"key": "k", "text": "t", "id": "two"}))
    hub.run()
    assert hub.effects() == {"k": 2}


def test_without_ids_a_state_that_returns_is_a_new_event_and_one_that_is_repeated_is_not(hub):
    for text in ("up", "up", "down", "down", "up"):
        hub.send(body({"key": "k", "text": text}))
        hub.run()
    assert hub.effects() == {"k": 3}


def test_an_event_is_recognised_as_long_as_the_connection_says_and_no_longer(hub, monkeypatch):
    hub.send(body({"key": "k", "id": "e"}))
    hub.run()
    from isthmus.hub.housekeeping import forget_expired

    hub.book.clock.forward(hours=29 * 24)
    assert forget_expired(hub.book.clock.now()) == 0
    hub.book.clock.forward(hours=2 * 24)
    assert forget_expired(hub.book.clock.now()) == 1
    assert not EventId.objects.exists()


def test_the_counter_of_repeats_is_told_but_the_reaction_is_not(hub, monkeypatch):
    told = []
    monkeypatch.setattr(observing, "_repeats", {"alert": lambda work, seens, now: told.extend(seens)})
    hub.send(body({"key": "k", "id": "e"}), body({"key": "k", "id": "e"}))
    hub.run()
    assert hub.reacted == ["k"]
    assert [each.message_position for each in told] == [2]


def test_outcomes_name_every_message_and_fit_the_root_in_the_journal(hub):
    hub.send(body({"key": "a", "id": "1"}, {"key": "b", "id": "2"}), body({"key": "a", "id": "1"}))
    hub.run()
    segment = OutcomeSegment.objects.get()
    rows = [
        (row.position, row.place, row.what)
        for message in hub.log.read("web", 0, messages_max=9)
        for row in outcomes.of_message(message.id)
    ]
    assert rows == [(1, 0, "entry"), (1, 1, "entry"), (2, 0, "repeat")]
    root = IntakeOffset.objects.get().outcomes_root
    assert outcomes.root_of(bytes(segment.body)) == root
    assert outcomes.root_of(bytes(segment.body).replace(b"repeat", b"ignore")) != root


def test_a_crash_before_the_commit_changes_nothing_and_the_next_pump_takes_all(hub, monkeypatch):
    hub.send(*(body({"key": f"k{number}", "id": f"e{number}"}) for number in range(10)))

    class PowerCut(BaseException):
        pass

    def cut(*_, **__):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr("isthmus.ledger.flush._write_side", cut)
        with pytest.raises(PowerCut):
            hub.run()
    assert hub.effects() == {}
    assert not IntakeOffset.objects.exists()
    hub.run(Pump(hub.log))
    assert hub.effects() == {f"k{number}": 1 for number in range(10)}


def test_a_crash_after_the_commit_repeats_nothing(hub):
    hub.send(body({"key": "a"}), body({"key": "b"}))
    hub.run()
    hub.run(Pump(hub.log))
    assert hub.effects() == {"a": 1, "b": 1}


def test_two_pumps_at_once_share_the_work_without_doing_any_of_it_twice(hub):
    one, two = Pump(hub.log), Pump(hub.log)
    hub.send(body({"key": "a"}))
    assert one.round() == 1
    hub.send(body({"key": "b"}))
    assert two.round() == 1
    hub.send(body({"key": "c"}))
    one.round()
    hub.run(one)
    hub.run(two)
    assert hub.effects() == {"a": 1, "b": 1, "c": 1}


def test_a_poison_message_is_parked_with_cause_and_remedy_and_the_others_go_on(hub):
    hub.poison.add("bad")
    hub.send(body({"key": "a"}), body({"key": "bad"}), body({"key": "b"}))
    hub.run()
    parked = ParkedMessage.objects.get()
    assert hub.effects() == {"a": 1, "b": 1}
    assert offset() == 3
    assert (parked.cause, parked.remedy, parked.position) == (
        "Item bad is poison.",
        "Take the poison away.",
        2,
    )


def test_only_the_failing_observation_of_a_message_is_parked(hub):
    hub.poison.add("bad")
    hub.send(body({"key": "a"}, {"key": "bad"}, {"key": "b"}))
    hub.run()
    assert hub.effects() == {"a": 1, "b": 1}
    assert [each.place for each in ParkedMessage.objects.all()] == [1]


def test_later_messages_about_the_same_record_wait_behind_and_are_redriven_in_order(hub):
    hub.poison.add("bad")
    hub.send(body({"key": "bad", "text": "first"}), body({"key": "ok"}))
    hub.run()
    hub.poison.clear()
    hub.send(body({"key": "bad", "text": "second"}), body({"key": "ok", "text": "again"}))
    hub.run()
    first, second = ParkedMessage.objects.order_by("position")
    assert hub.effects() == {"ok": 2}
    assert (second.behind, second.cause) == (first.id, "An earlier message about the same record is parked.")

    hub.reacted.clear()
    done = redrive(hub.log, second.id, hub.book.actor())
    assert done.taken == (first.id, second.id)
    assert hub.reacted == ["bad", "bad"]
    assert hub.effects() == {"ok": 2, "bad": 2}
    assert not ParkedMessage.objects.filter(state=parking.PARKED).exists()
    hub.send(body({"key": "bad", "text": "third"}))
    hub.run()
    assert hub.effects()["bad"] == 3


def test_redriving_what_still_fails_keeps_it_parked_and_counts(hub):
    hub.poison.add("bad")
    hub.send(body({"key": "bad"}), body({"key": "bad", "text": "later"}))
    hub.run()
    first = ParkedMessage.objects.order_by("position").first()
    done = redrive(hub.log, first.id, hub.book.actor())
    assert (done.taken, done.failed, done.cause) == ((), first.id, "Item bad is poison.")
    assert ParkedMessage.objects.get(id=first.id).attempts == 2
    assert ParkedMessage.objects.filter(state=parking.PARKED).count() == 2


def test_everything_of_a_connection_can_be_redriven_at_once(hub):
    hub.poison |= {"x", "y"}
    hub.send(body({"key": "x"}), body({"key": "y"}), body({"key": "x", "text": "2"}))
    hub.run()
    hub.poison.clear()
    assert [len(each.taken) for each in redrive_all(hub.log, "web", hub.book.actor())] == [2, 1]
    assert hub.effects() == {"x": 2, "y": 1}


def test_a_dismissed_message_frees_those_behind_it(hub):
    hub.poison.add("bad")
    hub.send(body({"key": "bad"}), body({"key": "bad", "text": "later"}))
    hub.run()
    first, second = ParkedMessage.objects.order_by("position")
    hub.book.perform(lambda work: parking.dismiss(work, first.id, "A test of the sender."))
    hub.poison.clear()
    assert redrive(hub.log, second.id, hub.book.actor()).taken == (second.id,)
    assert hub.effects() == {"bad": 1}
    with pytest.raises(NotFound):
        redrive(hub.log, first.id, hub.book.actor())


def test_a_message_that_does_not_parse_any_more_is_parked_with_its_problems(hub):
    hub.send(b'{"items": 3}', body({"key": "a"}))
    hub.run()
    parked = ParkedMessage.objects.get()
    assert parked.problems[0]["path"] == "/items"
    assert hub.effects() == {"a": 1}


def test_a_fault_of_the_store_parks_nothing_and_the_messages_are_taken_later(hub, monkeypatch):
    hub.send(body({"key": "a"}), body({"key": "b"}))

    def away(*_):
        raise OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(observing, "_reactions", {"alert": away})
        with pytest.raises(OperationalError):
            hub.run()
    assert not ParkedMessage.objects.exists()
    hub.run()
    assert hub.effects() == {"a": 1, "b": 1}


def test_a_value_that_the_store_cannot_hold_is_parked_and_not_tried_for_ever(hub, monkeypatch):
    hub.send(body({"key": "bad"}), body({"key": "good"}))

    def picky(work, seens, now):
        if any(each.observation.external.key == "bad" for each in seens):
            raise DataError("string or blob too big")
        return hub.react(work, seens, now)

    monkeypatch.setattr(observing, "_reactions", {"alert": picky})
    hub.run()
    assert hub.effects() == {"good": 1}
    assert ParkedMessage.objects.count() == 1
    assert offset() == 2


def test_a_connection_whose_log_cannot_be_opened_holds_up_no_other(hub):
    hub.apply(YAML + YAML.split("connections:\n")[1].replace("web:", "aaa:"))
    hub.send(body({"key": "lost"}), connection="aaa")
    hub.send(body({"key": "k"}))
    keys.ring().destroy(f"intake:aaa:{day_of(hub.book.clock.now())}")
    hub.run()
    assert hub.effects() == {"k": 1}


def test_a_connection_that_moves_to_another_organisation_goes_on_where_it_was(hub):
    hub.send(body({"key": "before", "id": "e1"}))
    hub.run()
    hub.book.add_organisation("acme")
    hub.apply(YAML + "    organisation: acme\n")
    hub.send(body({"key": "after", "id": "e2"}))
    hub.run()
    hub.apply(YAML)
    hub.run()
    assert hub.effects() == {"before": 1, "after": 1}


def test_what_no_practice_reacts_to_is_ignored_in_sight(hub, monkeypatch):
    monkeypatch.setattr(observing, "_reactions", {})
    position = hub.send(body({"key": "a"}))
    hub.run()
    message = hub.log.read("web", position - 1, messages_max=1)[0]
    assert [(row.what, row.reason) for row in outcomes.of_message(message.id)] == [
        ("ignored", "nobody reacts to alert")
    ]


def test_a_reaction_that_answers_for_too_few_is_a_fault_not_a_loss(hub, monkeypatch):
    monkeypatch.setattr(observing, "_reactions", {"alert": lambda work, seens, now: []})
    hub.send(body({"key": "a"}))
    hub.run()
    assert "answered 0 of 1" in ParkedMessage.objects.get().cause


def test_an_object_of_no_organisation_is_parked_until_the_rule_knows_it(hub):
    hub.apply("""
connections:
  web:
    connector: tiny
    organisation: {field: name, table: {ours: Root}}
    config: {secret: {secret: "env:TINY_TOKEN"}}
""")
    hub.send(body({"key": "a", "text": "ours"}), body({"key": "b", "text": "theirs"}))
    hub.run()
    assert hub.effects() == {"a": 1}
    parked = ParkedMessage.objects.get()
    assert "No organisation rule" in parked.cause
    hub.apply("""
connections:
  web:
    connector: tiny
    organisation: {field: name, table: {ours: Root, theirs: Root}}
    config: {secret: {secret: "env:TINY_TOKEN"}}
""")
    redrive(hub.log, parked.id, hub.book.actor())
    assert hub.effects() == {"a": 1, "b": 1}


def test_the_batch_grows_while_the_turnstile_is_held_briefly_and_shrinks_when_it_is_not():
    from isthmus.hub.pump.pump import BATCH_MAX, BATCH_MIN, Partition

    partition = Partition(connection=None, context=None, position=0)
    for _ in range(10):
        partition.adapt(0.001)
    assert partition.size == BATCH_MAX
    for _ in range(10):
        partition.adapt(0.1)
    assert partition.size == BATCH_MIN


def test_a_wrong_message_of_a_removed_connection_waits_in_the_log(hub):
    hub.send(body({"key": "a"}))
    hub.apply("connections: {}")
    hub.run()
    assert hub.effects() == {}
    hub.apply("connections:\n  web:\n    connector: tiny\n")
    hub.run()
    assert hub.effects() == {"a": 1}


def test_a_person_may_ask_for_a_redrive_and_the_sweeper_does_it(hub):
    from isthmus.hub.sweeper import sweep

    hub.poison.add("bad")
    hub.send(body({"key": "bad"}), body({"key": "bad", "text": "later"}))
    hub.run()
    first = ParkedMessage.objects.order_by("position").first()
    hub.poison.clear()
    hub.book.perform(lambda work: parking.redrive(work, first.id))
    hub.book.clock.forward(seconds=1)
    sweep(hub.book.clock.now())
    assert hub.effects() == {"bad": 2}
    with pytest.raises(NotFound):
        hub.book.perform(lambda work: parking.redrive(work, first.id))
