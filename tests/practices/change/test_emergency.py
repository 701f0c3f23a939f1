"""F4: emergencies: a reduced authority for a limited time, a review afterwards, and the incident that waits."""

from __future__ import annotations

import pytest

from isthmus.hub import sweeper
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, Forbidden, Rejected
from isthmus.kernel.instant import HOUR
from isthmus.ledger import reading
from isthmus.practices.change import service
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Incident


@pytest.fixture
def incident(world):
    return world.do("ada", lambda work: incidents.create(work, world.organisation, {"title": "Shop is down"}))


def emergency(world, incident, **more):
    values = {
        "type": "emergency",
        "incident": incident.id,
        "window_start": None,
        "window_end": None,
        "implementation_plan": None,
        "backout_plan": None,
    }
    change = world.raise_change(**{**values, **more})
    world.do("ada", service.submit, change)
    return change


def approved(world, change, who="ben"):
    world.do("ada", service.request_approval, change)
    return world.do(who, service.approve, change)


def test_an_emergency_without_an_incident_is_refused(world):
    with pytest.raises(Rejected) as refused:
        world.raise_change(type="emergency", incident="INC-424242")
    assert refused.value.problems[0].path == "/incident"
    change = world.raise_change(type="emergency")
    with pytest.raises(Rejected) as refused:
        world.do("ada", service.submit, change)
    assert {each.path for each in refused.value.problems} == {"/incident"}


def test_an_emergency_opens_for_a_time_through_a_freeze_and_then_shuts(world, incident):
    world.configure(change={"emergency": {"open_for": "PT30M"}})
    change = emergency(world, incident)
    values = {"name": "Freeze", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR}
    world.do("ada", service.create_freeze, values, organisation=world.organisation)
    assert world.gate(change)[0] == "wait"
    approved(world, change)
    assert world.gate(change)[0] == "allow"
    world.book.clock.forward(minutes=31)
    assert world.gate(change) == ("deny", {"emergency_box"})


def test_an_emergency_cannot_end_without_its_review(world, incident):
    change = emergency(world, incident)
    approved(world, change)
    with pytest.raises(Conflict, match="opened the gate"):
        world.do("ada", service.cancel, change, "never mind")
    world.do("ada", service.start, change)
    world.do("ada", service.implement, change, "successful")
    with pytest.raises(Conflict, match="reviewed"):
        world.do("ada", service.close, change)
    with pytest.raises(Rejected):
        world.do("ada", service.review, change, "  ")
    world.do("ada", service.review, change, "The pool was too small; alarm added.")
    world.do("ada", service.close, change)
    assert world.again(change).state == "closed"


def test_an_emergency_that_was_authorised_and_not_used_is_reviewed_too(world, incident):
    change = emergency(world, incident)
    approved(world, change)
    world.do("ada", service.implement, change, "not_implemented")
    assert world.again(change).state == "review"


def test_an_overdue_review_raises_the_authority_of_the_next_emergency_of_the_group(world, incident):
    first = emergency(world, incident, assignment_group="Web")
    approved(world, first)
    world.book.clock.forward(hours=73)
    sweeper.sweep(world.now)
    assert "change.review_overdue" in {
        reason.rule for entry in reading.history(first.id) for reason in entry.why
    }
    second = emergency(world, incident, assignment_group="Web")
    approved(world, second)
    assert world.gate(second)[0] == "wait", "one decision is not enough any more"
    world.do("cleo", service.approve, second)
    assert world.gate(second)[0] == "allow"
    other = emergency(world, incident, assignment_group="Mail")
    approved(world, other)
    assert world.again(other).authorisation == "approved"


def test_a_review_is_a_person_s(world, incident):
    change = emergency(world, incident)
    approved(world, change)
    world.do("ada", service.implement, change, "not_implemented")
    world.people["robot"] = Actor(
        kind=ActorKind.SERVICE, id="robot", organisations=frozenset({world.organisation})
    )
    with pytest.raises(Forbidden):
        world.do("robot", service.review, change, "fine")


def test_a_higher_authority_named_in_the_blueprint_is_the_one_and_otherwise_one_more_approval(
    world, incident
):
    ordinary = {"name": "Duty manager", "types": ["emergency"], "approvals": 2}
    world.configure(change={"authorities": [ordinary]})
    first = emergency(world, incident, assignment_group="Web")
    world.do("ada", service.request_approval, first)
    assert waiting(first) == ["Duty manager"] * 2
    world.do("ben", service.approve, first)
    world.do("cleo", service.approve, first)
    world.book.clock.forward(hours=73)
    sweeper.sweep(world.now)
    second = emergency(world, incident, assignment_group="Web")
    world.do("ada", service.request_approval, second)
    assert waiting(second) == ["Duty manager after an overdue review"] * 3
    board = {"name": "Board", "types": ["emergency"], "overdue": True, "approvals": 1}
    world.configure(change={"authorities": [ordinary, board]})
    third = emergency(world, incident, assignment_group="Web")
    world.do("ada", service.request_approval, third)
    assert waiting(third) == ["Board"]
    world.do("ada", service.start, first)
    world.do("ada", service.implement, first, "successful")
    world.do("ada", service.review, first, "Late, but done.")
    fourth = emergency(world, incident, assignment_group="Web")
    world.do("ada", service.request_approval, fourth)
    assert waiting(fourth) == ["Duty manager"] * 2, "the review is done: the ordinary authority again"


def waiting(change):
    from isthmus.practices.approval.models import Approval

    return list(Approval.objects.filter(subject=change.id).values_list("authority", flat=True))


# The incident waits for its emergency change -------------------------------------------------------------------


def on(world, incident, step, *arguments, **more):
    return world.do("ada", lambda work: step(work, incidents.get(work, incident.id), *arguments, **more))


@pytest.fixture
def resolved(world, incident):
    return on(world, incident, incidents.resolve, code="fixed", notes="Restarted.")


def test_an_incident_closes_only_after_its_emergency_change_is_reviewed_and_closed(world, incident, resolved):
    change = emergency(world, incident)
    approved(world, change)
    for step, *arguments in (
        (service.start,), (service.implement, "successful"), (service.review, "Alarm added."), (service.close,),
    ):  # fmt: skip
        with pytest.raises(Conflict, match=world.again(change).number):
            on(world, incident, incidents.close)
        world.do("ada", step, change, *arguments)
    on(world, incident, incidents.close)
    assert Incident.objects.get(id=incident.id).state == "closed"


def test_it_cannot_be_cancelled_past_its_emergency_change_either(world, incident):
    emergency(world, incident)
    with pytest.raises(Conflict):
        on(world, incident, incidents.update, {"state": "cancelled"})


def test_other_changes_and_given_up_emergencies_hold_nothing(world, incident, resolved):
    world.authorised(incident=incident.id)
    given_up = emergency(world, incident)
    world.do("ada", service.cancel, given_up, "Not needed.")
    on(world, incident, incidents.close)
    assert Incident.objects.get(id=incident.id).state == "closed"


def test_the_timer_that_closes_waits_too_and_tries_again(world, incident, resolved):
    change = emergency(world, incident)
    approved(world, change)
    world.do("ada", service.implement, change, "not_implemented")
    world.book.clock.forward(hours=60 * 24)
    sweeper.sweep(world.now)
    assert Incident.objects.get(id=incident.id).state == "resolved"
    world.do("ada", service.review, change, "It cleared by itself.")
    world.do("ada", service.close, change)
    world.book.clock.forward(hours=48)
    sweeper.sweep(world.now)
    assert Incident.objects.get(id=incident.id).state == "closed"


def test_what_a_partner_has_closed_is_taken_and_told(world, incident, resolved):
    emergency(world, incident)
    on(world, incident, incidents.update, {"state": "closed"}, partner=True)
    assert Incident.objects.get(id=incident.id).state == "closed"
    told = {reason.rule for entry in reading.history(incident.id) for reason in entry.why}
    assert "change.emergency_open" in told
