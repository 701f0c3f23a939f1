"""Major incidents: each workflow trigger has one owner, refusals are recorded and offered, the end gives them back."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.errors import Conflict, Forbidden, Rejected
from isthmus.kernel.instant import MINUTE
from isthmus.ledger import reading
from isthmus.practices.incident import escalating, hooks, major, reviewing, service
from isthmus.practices.incident.models import Incident, IncidentReview, TriggerHandover, Wait

DESKS = {"service-desk": {"roles": ["agent"]}, "operations": {"members": ["otto"]}}


@pytest.fixture
def room(desk: Any) -> Any:
    desk.apply(
        desks=DESKS,
        incident={
            "major": {
                "owner": "service-desk", "triggers": {"resolve": "operations", "emergency_change": "operations"},
                "update_every": "PT20M", "review_within": "P2D",
            },
            "paths": {"gold": {"functional": ["first", "second"], "hierarchical": ["shift lead", "head of IT"]}, "plain": {"functional": ["first"]}},
            "escalation": [{"name": "urgent", "path": "gold", "priorities": ["1"]}],
            "default_path": "plain",
        },
    )  # fmt: skip
    desk.ann, desk.otto = desk.person("ann", "agent"), desk.person("otto", "change_manager")
    return desk


def act(desk: Any, who: Any, incident: Incident, step: Any, *args: Any, **more: Any) -> Any:
    return desk.by(who, lambda work: step(work, service.get(work, incident.id), *args, **more))


def declared(desk: Any, **values: Any) -> Incident:
    incident = desk.open(**values)
    act(desk, desk.ann, incident, service.declare_major, owner="service-desk", reason="The shop is down.")
    return desk.again(incident)


FIX = {"code": "fixed", "notes": "Restarted."}


def test_a_trigger_of_operations_fired_by_the_desk_is_refused_offered_and_logged(room):
    incident = declared(room)
    with pytest.raises(Forbidden, match="operations owns the trigger “resolve”, not service-desk"):
        act(room, room.ann, incident, service.resolve, **FIX)
    assert room.again(incident).state == "new", "nothing has happened"
    (asked,) = TriggerHandover.objects.all()
    assert (asked.trigger, asked.owner, asked.wanted_by, asked.state) == (
        "resolve",
        "operations",
        "service-desk",
        "offered",
    )
    told = [
        why
        for each in reading.history(incident.id)
        for why in each.why
        if why.rule == "incident.trigger.refused"
    ]
    assert "Refused to service-desk" in told[0].text
    with pytest.raises(Forbidden):
        act(room, room.ann, incident, service.resolve, **FIX)
    assert TriggerHandover.objects.count() == 1, "one offer, however often it is tried"


def test_the_owner_fires_it_and_triggers_of_the_desk_stay_with_the_desk(room):
    incident = declared(room)
    act(room, room.ann, incident, service.update, {"assignment_group": "first"})
    with pytest.raises(Forbidden, match="service-desk owns the trigger “assign”"):
        act(room, room.otto, incident, service.update, {"assignment_group": "second"})
    act(room, room.otto, incident, service.resolve, **FIX)
    assert room.again(incident).state == "resolved"


def test_what_is_no_trigger_anybody_may_do(room):
    incident = declared(room)
    act(room, room.otto, incident, service.update, {"description": "More is known."})
    act(room, room.otto, incident, service.comment, "Looking.")
    with pytest.raises(Forbidden, match="communicate"):
        act(room, room.otto, incident, service.comment, "To everybody", public=True)


def test_only_its_owner_hands_a_trigger_over_and_then_it_works(room):
    incident = declared(room)
    with pytest.raises(Forbidden):
        act(room, room.ann, incident, service.resolve, **FIX)
    act(
        room,
        room.otto,
        incident,
        service.hand_over,
        owner="service-desk",
        reason="Yours.",
        triggers=["resolve"],
    )
    assert TriggerHandover.objects.get().state == "handed_over"
    act(room, room.ann, incident, service.resolve, **FIX)
    assert room.again(incident).state == "resolved"


def test_who_owns_neither_cannot_hand_over(room):
    incident = declared(room)
    stranger = room.person("sam", "integration_engineer", "change_manager")
    with pytest.raises(Forbidden):
        act(
            room,
            stranger,
            incident,
            service.hand_over,
            owner="operations",
            reason="mine now",
            triggers=["assign"],
        )


def test_the_owner_may_keep_a_trigger(room):
    incident = declared(room)
    with pytest.raises(Forbidden):
        act(room, room.ann, incident, service.resolve, **FIX)
    (asked,) = TriggerHandover.objects.all()
    room.by(room.otto, lambda work: major.keep(work, major.handover(asked.id), reason="We are at it."))
    assert TriggerHandover.objects.get().state == "kept"


def test_after_closure_everybody_may_again(room):
    incident = declared(room)
    with pytest.raises(Forbidden):
        act(room, room.ann, incident, service.resolve, **FIX)
    act(room, room.otto, incident, service.resolve, **FIX)
    act(room, room.ann, incident, service.close)
    assert major.latest(room.again(incident)).state == "ended"
    assert TriggerHandover.objects.get().state == "lapsed"
    another = room.open()
    act(room, room.ann, another, service.resolve, **FIX)
    assert room.again(another).state == "resolved"


def test_without_declared_desks_nobody_is_refused(desk):
    incident = desk.open()
    desk.on(incident, service.declare_major, owner="operations", reason="")
    desk.on(incident, service.resolve, **FIX)
    assert desk.again(incident).state == "resolved"


def test_the_hub_itself_is_never_refused(room):
    from isthmus.kernel.actor import system

    incident = declared(room)
    room.book.perform(
        lambda work: service.resolve(work, service.get(work, incident.id), **FIX),
        actor=system("pump"),
        channel="hub",
    )
    assert room.again(incident).state == "resolved"


def test_a_priority_that_makes_it_major_starts_the_procedure(room):
    room.apply(incident={**room.sections["incident"], "major": {"priorities": ["1"], "owner": "operations"}})
    incident = room.open(impact="1", urgency="1")
    held = major.active(None, incident)
    assert (incident.major, held.owner, held.triggers["resolve"]) == (True, "operations", "operations")


def test_updates_have_their_time(room):
    incident = declared(room)
    first = major.active(None, incident).update_due
    room.book.clock.forward(minutes=5)
    act(room, room.ann, incident, major.tell, "We know the cause.")
    held = major.active(None, incident)
    assert held.update_due > first
    assert held.update_due - held.updated_last == 20 * MINUTE
    act(room, room.ann, incident, major.tell, "Nearly.", next_in=7 * MINUTE)
    held = major.active(None, incident)
    assert held.update_due - held.updated_last == 7 * MINUTE
    assert [each.public for each in service.comments_of(incident.id)] == [True, True]


def test_parts_are_given_and_taken(room):
    incident = declared(room)
    act(room, room.ann, incident, major.cast, {"incident_manager": "Ann", "scribe": "Bo"})
    act(room, room.ann, incident, major.cast, {"scribe": ""})
    assert major.active(None, incident).people == {"incident_manager": "Ann"}
    with pytest.raises(Rejected, match="not a part"):
        act(room, room.ann, incident, major.cast, {"king": "Ann"})


# Escalation ----------------------------------------------------------------------------------------------


def test_the_path_follows_the_priority_with_its_reason(room):
    high, low = room.open(impact="1", urgency="1"), room.open()
    assert (high.escalation_path, low.escalation_path) == ("gold", "plain")
    raised = room.on(low, service.update, {"impact": "1", "urgency": "1"})
    assert raised.escalation_path == "gold"
    assert any("by the rule “urgent”" in why.text for each in reading.history(low.id) for why in each.why)


def test_escalation_goes_step_by_step_and_ends(room, monkeypatch):
    heard: list[Any] = []
    monkeypatch.setattr(
        hooks, "_escalated", [lambda _work, found: heard.append((found.kind, found.level, found.to))]
    )
    incident = room.open(impact="1", urgency="1")
    for kind in ("functional", "functional", "hierarchical", "hierarchical"):
        room.on(incident, escalating.escalate, kind, reason="No progress.")
    assert heard == [("functional", 0, "first"), ("functional", 0, "second"), ("hierarchical", 1, "shift lead"),
                     ("hierarchical", 2, "head of IT")]  # fmt: skip
    for kind in ("functional", "hierarchical"):
        with pytest.raises(Conflict):
            room.on(incident, escalating.escalate, kind, reason="Still none.")
    with pytest.raises(Rejected, match="needs a reason"):
        room.on(incident, escalating.escalate, "functional", reason=" ")


def test_without_a_path_nothing_is_escalated(desk):
    incident = desk.open()
    with pytest.raises(Conflict, match="No escalation path"):
        desk.on(incident, escalating.escalate, "hierarchical", reason="x")


# Reviews -------------------------------------------------------------------------------------------------


def test_a_resolved_major_incident_owes_a_review_with_its_timeline(room):
    incident = declared(room)
    act(room, room.ann, incident, service.comment, "It is the load balancer")
    act(room, room.otto, incident, service.resolve, **FIX)
    (review,) = IncidentReview.objects.all()
    assert (review.number, review.state, review.owner) == ("PIR-000001", "open", "service-desk")
    assert "It is the load balancer" in [each["text"] for each in review.timeline]
    assert review.due_at == review.created_at + 2 * 24 * 60 * MINUTE


def test_an_ordinary_incident_owes_none(room):
    incident = room.open()
    act(room, room.ann, incident, service.resolve, **FIX)
    assert IncidentReview.objects.count() == 0


def test_a_review_ends_with_a_cause_and_an_action(room):
    incident = declared(room)
    act(room, room.otto, incident, service.resolve, **FIX)
    number = IncidentReview.objects.get().number

    def step(do: Any, *args: Any) -> Any:
        return room.by(room.ann, lambda work: do(work, reviewing.get(number), *args))

    with pytest.raises(Rejected, match="cause and actions"):
        step(reviewing.complete)
    with pytest.raises(Rejected, match="not changed"):
        step(reviewing.write, {"actions": [{"text": "Do it", "owner": "", "due": "2027-01-01"}]})
    step(
        reviewing.write,
        {"cause": "A disk.", "actions": [{"text": "Buy a disk", "owner": "otto", "due": "2027-01-01"}]},
    )
    step(reviewing.complete)
    assert IncidentReview.objects.get().state == "done"
    room.sweep(hours=72)
    assert IncidentReview.objects.get().state == "done"


def test_an_overdue_review_is_told_once_and_holds_the_incident_open(room, monkeypatch):
    heard: list[Any] = []
    monkeypatch.setattr(
        hooks, "_stalled", [lambda _work, found: heard.append((found.workflow, found.owner, found.path))]
    )
    incident = declared(room)
    act(room, room.otto, incident, service.resolve, **FIX)
    room.sweep(hours=47)
    assert heard == []
    room.sweep(hours=2)
    room.sweep(hours=24)
    assert heard == [("review", "service-desk", "plain")]
    assert Wait.objects.get(workflow="review").state == "escalated"
    with pytest.raises(Conflict, match="PIR-000001 is overdue"):
        act(room, room.ann, incident, service.close)


def test_an_emergency_change_is_a_trigger_of_its_owner(room):
    from isthmus.practices.change import service as changes

    incident = declared(room)

    def raised(who: Any, type_: str) -> Any:
        values = {"title": "Swap the disk", "type": type_, "incident": incident.number}
        return room.by(who, lambda work: changes.create(work, values, organisation=room.book.organisation))

    with pytest.raises(Forbidden, match="operations owns the trigger “emergency change”"):
        raised(room.ann, "emergency")
    assert TriggerHandover.objects.get().trigger == "emergency_change"
    assert raised(room.ann, "normal").type == "normal", "an ordinary change is no trigger"
    assert raised(room.otto, "emergency").incident == incident.id
