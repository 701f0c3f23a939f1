"""The life of incidents, on a real book."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.actor import Actor, ActorKind, Origin, system
from isthmus.kernel.errors import Forbidden, Rejected
from isthmus.kernel.instant import DAY
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.door import perform
from isthmus.practices.incident import bulk, reactions, service
from isthmus.practices.incident.models import Incident


def test_an_incident_gets_number_priority_group_and_targets_with_reasons(desk: Any) -> None:
    cis = desk.map(
        [{"name": "shop", "ci_class": "service", "criticality": "gold", "support_group": "shop-team"}]
    )
    incident = desk.open(ci=cis["shop"], urgency="1")
    assert incident.number == "INC-000001"
    assert (incident.state, incident.impact, incident.priority, incident.assignment_group) == (
        "new",
        "1",
        "1",
        "shop-team",
    )
    assert incident.resolve_by > incident.respond_by > incident.opened_at
    (entry,) = reading.history(incident.id)
    assert {reason.rule for reason in entry.why} >= {
        "incident.priority",
        "incident.assignment.map",
        "incident.targets",
    }


def test_without_a_title_there_is_none(desk: Any) -> None:
    with pytest.raises(Rejected, match="title"):
        desk.open(title="  ")
    assert Incident.objects.count() == 0


def test_a_new_urgency_gives_a_new_priority_and_new_targets(desk: Any) -> None:
    incident = desk.open(impact="1", urgency="4")
    before = incident.resolve_by
    changed = desk.on(incident, service.update, {"urgency": "1"})
    assert (changed.priority, changed.resolve_by < before) == ("1", True)


def test_the_life_of_an_incident_and_its_illegal_steps(desk: Any) -> None:
    incident = desk.open()
    with pytest.raises(Rejected, match="Legal next states"):
        desk.on(incident, service.close)
    desk.on(incident, service.update, {"state": "in_progress"})
    with pytest.raises(Rejected, match="code and notes"):
        desk.on(incident, service.resolve, code="", notes="")
    desk.on(incident, service.resolve, code="fixed", notes="Restarted it.")
    assert desk.again(incident).resolved_at is not None
    desk.on(incident, service.reopen)
    again = desk.again(incident)
    assert (again.state, again.resolved_at, again.resolution_code) == ("in_progress", None, "")
    desk.on(incident, service.resolve, code="fixed", notes="Replaced it.")
    desk.on(incident, service.close)
    with pytest.raises(Rejected, match="final"):
        desk.on(incident, service.reopen)


def test_a_resolved_incident_closes_in_time_and_a_reopened_one_does_not(desk: Any) -> None:
    incident = desk.open()
    desk.on(incident, service.resolve, code="fixed", notes="Done.")
    (row,) = Due.objects.filter(what="incident.close")
    assert row.due_at >= incident.opened_at + 7 * DAY
    handler = due.handler_of(row.what)
    assert handler is not None
    desk.book.perform(lambda work: handler(work, row, work.now), actor=system("due"))
    assert desk.again(incident).state == "closed"
    other = desk.open()
    desk.on(other, service.resolve, code="fixed", notes="Done.")
    desk.on(other, service.reopen)
    assert not Due.objects.filter(what="incident.close", subject=other.id).exists()


def test_what_a_partner_reports_skips_steps_but_never_leaves_a_final_state(desk: Any) -> None:
    incident = desk.open()
    partner = Actor(kind=ActorKind.PARTNER, id="partner:snow")

    def report(state: str) -> None:
        def do(work: Any) -> None:
            reactions.apply_merged(work, service.get(work, incident.id), {"state": state}, [], None)

        perform(do, actor=partner, origin=Origin(channel="webhook", connection="snow"))

    report("closed")
    assert desk.again(incident).state == "closed"
    assert not reactions.legal("resolution", {"state": "closed"}, {"state": "in_progress"})
    with pytest.raises(Rejected):
        report("in_progress")


def told(desk: Any, incident: Any, **values: Any) -> Any:
    """Take over what a partner says, as a merge does."""
    why = [Reason(rule="sync.merge", text="theirs")]
    desk.book.perform(
        lambda work: reactions.apply_merged(work, service.get(work, incident.id), values, why, None),
        actor=Actor(kind=ActorKind.PARTNER, id="partner:jira"),
        channel="webhook",
    )
    return desk.again(incident)


def test_a_partner_that_resolves_without_code_and_notes_gets_the_declared_ones(desk: Any) -> None:
    found = told(desk, desk.open(), state="resolved", resolution_code="", resolution_notes="")
    assert (found.state, found.resolution_code) == ("resolved", "resolved_by_partner")
    assert "gave no notes" in found.resolution_notes
    assert any("stands in" in why.text for each in reading.history(found.id) for why in each.why)


def test_what_a_partner_does_say_about_its_resolution_stands(desk: Any) -> None:
    found = told(desk, desk.open(), state="resolved", resolution_code="Solved", resolution_notes="")
    assert found.resolution_code == "Solved"
    assert found.resolution_notes
    found = told(desk, desk.open(), state="resolved", resolution_code="A", resolution_notes="B")
    assert (found.resolution_code, found.resolution_notes) == ("A", "B")


def test_a_partner_that_works_on_it_resolves_nothing(desk: Any) -> None:
    found = told(desk, desk.open(), state="in_progress")
    assert (found.resolution_code, found.resolution_notes) == ("", "")


def test_a_ticket_opened_at_a_partner_becomes_an_incident_with_its_own_words(desk: Any) -> None:
    def do(work: Any) -> Incident:
        values = {"title": "Printer on fire", "impact": "2", "urgency": "2", "state": "in_progress"}
        return reactions.adopt(work, Incident, desk.book.organisation, values, [], None, "message", "")

    incident = desk.book.perform(do, actor=system("pump"))
    assert (incident.title, incident.state, incident.priority) == ("Printer on fire", "in_progress", "2")


def test_comments_carry_author_and_place(desk: Any) -> None:
    incident = desk.open()
    desk.on(incident, service.comment, "Looking at it", public=True)
    desk.act(lambda work: service.comment(work, incident, "Vu", author_label="Anne", connection="jira"))
    found = service.comments_of(incident.id)
    assert [(each.body, each.connection, each.public) for each in found] == [
        ("Looking at it", "", True),
        ("Vu", "jira", False),
    ]
    with pytest.raises(Rejected):
        desk.on(incident, service.comment, " ")


def test_a_cleared_incident_stays_open_over_human_work_and_says_why(desk: Any) -> None:
    touched, untouched = desk.open(title="one"), desk.open(title="two")
    desk.on(touched, service.comment, "I am on it")

    def do(work: Any) -> None:
        found = service.load(work, [touched.id, untouched.id])
        service.settle(work, list(found.values()), why=[])

    desk.book.perform(do, actor=system("due"))
    assert (desk.again(touched).state, desk.again(untouched).state) == ("new", "resolved")
    assert "left open" in reading.history(touched.id)[-1].why[-1].text


def test_a_recurring_incident_is_not_diagnosed_before_the_collision_check(desk: Any) -> None:
    def open_again(work: Any) -> Incident:
        return service.open_from_alerts(
            work,
            [
                service.Opening(
                    organisation=desk.book.organisation,
                    title="Down",
                    severity="error",
                    correlation_key="identity:x",
                )
            ],
        )[0]

    incidents = [desk.book.perform(open_again, actor=system("pump")) for _ in range(3)]
    desk.on(incidents[1], service.update, {"state": "in_progress"})
    with pytest.raises(Rejected, match="collision"):
        desk.on(incidents[2], service.update, {"state": "in_progress"})
    checked = desk.on(incidents[2], service.check_collisions)
    assert checked.collision_checked["result"] == "none found"
    desk.on(incidents[2], service.update, {"state": "in_progress"})


def test_an_incident_under_its_cause_is_cancelled_only_if_nobody_works_on_it(desk: Any) -> None:
    parent, idle, busy = desk.open(title="cause"), desk.open(title="idle"), desk.open(title="busy")
    desk.on(busy, service.comment, "working")
    for child in (idle, busy):
        desk.act(
            lambda work, child=child: service.absorb(
                work, service.get(work, child.id), service.get(work, parent.id), why=[]
            )
        )
    assert [(desk.again(each).state, desk.again(each).parent) for each in (idle, busy)] == [
        ("cancelled", parent.id),
        ("new", parent.id),
    ]


def test_bulk_results_stand_one_by_one(desk: Any) -> None:
    one, two = desk.open(title="one"), desk.open(title="two")
    items = [
        (one.id, "resolve", {"code": "fixed", "notes": "ok"}),
        (two.id, "close", {}),
        ("nothing", "reopen", {}),
        (two.number, "comment", {"body": "hi"}),
    ]
    found = list(bulk.run(items, actor=desk.book.actor("agent"), origin=Origin(channel="api"), trace=""))
    assert [type(result).__name__ for _, result in found] == ["dict", "Rejected", "NotFound", "dict"]
    assert desk.again(one).state == "resolved"
    viewer = list(
        bulk.run(items[:1], actor=desk.book.actor("viewer"), origin=Origin(channel="api"), trace="")
    )
    assert isinstance(viewer[0][1], Forbidden)


def test_the_timeline_tells_entries_and_comments_in_order(desk: Any) -> None:
    incident = desk.open()
    desk.on(incident, service.comment, "Looking")
    desk.on(incident, service.update, {"state": "in_progress"})
    items = service.timeline(desk.again(incident))
    assert [each.what for each in items] == ["entry", "comment", "entry"]
    assert "Priority" in items[0].text
    assert items[2].changes["state"] == ["new", "in_progress"]
