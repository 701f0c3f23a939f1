"""The pages of desks: who holds it, the war room, what waits, merging and splitting, reviews."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.practices.incident import ledger, reviewing, service
from isthmus.practices.incident.models import (
    Custody,
    Incident,
    IncidentMerge,
    IncidentReview,
    TriggerHandover,
)


@pytest.fixture
def desks(desk: Any) -> Any:
    sections = {
        "desks": {"service-desk": {"roles": ["agent"]}, "operations": {"roles": ["change_manager"], "groups": ["ops"]}},
        "forwarding": {"contracts": [{"name": "inside", "from": ["service-desk"], "to": ["operations"]}]},
        "incident": {
            "major": {"triggers": {"resolve": "operations"}},
            "paths": {"all": {"functional": ["ops"], "hierarchical": ["head"]}}, "default_path": "all",
        },
    }  # fmt: skip
    desk.book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))
    running.forget()
    desk.incident = desk.book.perform(
        lambda work: service.create(work, desk.book.organisation, {"title": "Till down"})
    )
    return desk


def path(desk: Any, rest: str = "") -> str:
    return f"/incidents/{desk.incident.id}{rest}"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_an_incident_is_offered_accepted_and_handed_back_by_forms(desks):
    agent, manager = desks.client("agent"), desks.client("change_manager")
    assert "Offer it" in text(agent.get(path(desks)))
    agent.post(path(desks, "/forward"), {"to": "operations", "reason": "Yours"})
    (row,) = Custody.objects.all()
    assert "Accept" not in text(agent.get(path(desks)))
    assert "Withdraw the offer" in text(agent.get(path(desks)))
    assert "Accept" in text(manager.get(path(desks)))
    manager.post(path(desks, f"/custody/{row.id}"), {"answer": "accept"})
    assert ledger.of(Incident.objects.get(id=desks.incident.id)).holder == "operations"
    refused = agent.post(
        path(desks, f"/custody/{row.id}"), {"answer": "hand-back", "reason": "x"}, follow=True
    )
    assert "flash-error" in text(refused)
    manager.post(path(desks, f"/custody/{row.id}"), {"answer": "hand-back", "reason": "Done"})
    assert ledger.of(Incident.objects.get(id=desks.incident.id)).holder == "service-desk"


def test_an_answer_to_an_offer_of_another_incident_is_not_found(desks):
    desks.client("agent").post(path(desks, "/forward"), {"to": "operations", "reason": "Yours"})
    (row,) = Custody.objects.all()
    other = desks.book.perform(lambda work: service.create(work, desks.book.organisation, {"title": "Other"}))
    answer = desks.client("change_manager").post(
        f"/incidents/{other.id}/custody/{row.id}", {"answer": "accept"}
    )
    assert answer.status_code == 404
    assert Custody.objects.get().state == "offered"


def test_the_war_room_shows_who_holds_what_and_takes_updates(desks):
    agent = desks.client("agent")
    agent.post(path(desks, "/major"), {"owner": "service-desk", "reason": "All tills"})
    assert path(desks, "/war-room") in text(agent.get(path(desks)))
    page = text(agent.get(path(desks, "/war-room")))
    for word in (
        "Holds it",
        "Next update",
        "Who may fire what",
        "Parts",
        "State across systems",
        "operations",
    ):
        assert word in page
    agent.post(path(desks, "/people"), {"incident_manager": "Ann Example"})
    agent.post(path(desks, "/tell"), {"text": "We are at it"})
    page = text(agent.get(path(desks, "/war-room")))
    assert "Ann Example" in page
    assert "We are at it" in page
    assert desks.incident.number in text(desks.client("viewer").get("/incidents/major"))


def test_a_refused_trigger_is_offered_in_the_room_and_handed_over_there(desks):
    agent, manager = desks.client("agent"), desks.client("change_manager")
    agent.post(path(desks, "/major"), {"owner": "service-desk", "reason": ""})
    refused = agent.post(path(desks, "/resolve"), {"code": "solved", "notes": "x"}, follow=True)
    assert "operations owns the trigger" in text(refused)
    (asked,) = TriggerHandover.objects.all()
    assert "wanted to use" in text(manager.get(path(desks, "/war-room")))
    given = {"trigger": "resolve", "owner": "service-desk", "handover": asked.id, "answer": "give"}
    manager.post(path(desks, "/triggers"), given)
    agent.post(path(desks, "/resolve"), {"code": "solved", "notes": "x"})
    assert Incident.objects.get(id=desks.incident.id).state == "resolved"


def test_the_war_room_of_an_ordinary_incident_says_so(desks):
    page = text(desks.client("viewer").get(path(desks, "/war-room")))
    assert "has not been declared" in page
    assert "<form" not in page.split("<main")[1].split("</main>")[0]


def test_duplicates_are_merged_after_a_preview_and_parted_again(desks):
    agent = desks.client("agent")
    other = desks.book.perform(
        lambda work: service.create(work, desks.book.organisation, {"title": "Till down too"})
    )
    assert "Till down too" in text(agent.get(path(desks, "/merge")))
    preview = agent.post(path(desks, "/merge"), {"numbers": other.number, "reason": "Same till"})
    assert "What will follow" in text(preview)
    assert IncidentMerge.objects.count() == 0, "a preview changes nothing"
    agent.post(path(desks, "/merge"), {"duplicate": [other.id], "confirmed": "yes", "reason": "Same till"})
    (held,) = IncidentMerge.objects.all()
    assert Incident.objects.get(id=other.id).merged_into == desks.incident.id
    assert "A duplicate of" in text(agent.get(f"/incidents/{other.id}"))
    agent.post(path(desks, f"/merges/{held.id}/undo"), {"reason": "No"})
    assert Incident.objects.get(id=other.id).merged_into == ""


def test_something_is_split_off_by_a_form(desks):
    agent = desks.client("agent")
    agent.post(path(desks, "/comment"), {"body": "The printer, by the way"})
    (said,) = service.comments_of(desks.incident.id)
    assert "The printer" in text(agent.get(path(desks, "/split")))
    answer = agent.post(path(desks, "/split"), {"title": "Printer", "comment": [said.id]}, follow=True)
    assert "Printer" in text(answer)
    assert IncidentMerge.objects.get().type == "split"


def test_the_cause_is_written_with_steps(desks):
    desks.client("agent").post(
        path(desks, "/cause"), {"root_cause": "A fuse", "steps": "[x] Looked\n[ ] Order a fuse\nFit it"}
    )
    found = Incident.objects.get(id=desks.incident.id)
    assert found.root_cause == "A fuse"
    assert [each["done"] for each in found.steps] == [True, False, False]
    assert "Order a fuse" in text(desks.client("viewer").get(path(desks)))


def test_an_escalation_goes_along_the_path(desks):
    agent = desks.client("agent")
    agent.post(path(desks, "/escalate"), {"kind": "functional", "reason": "No progress"})
    assert Incident.objects.get(id=desks.incident.id).assignment_group == "ops"
    assert "level 1" not in text(agent.get(path(desks)))
    agent.post(path(desks, "/escalate"), {"kind": "hierarchical", "reason": "No progress"})
    assert "level 1" in text(agent.get(path(desks)))


def test_what_waits_is_listed_with_its_age(desks):
    assert "Nothing waits here" in text(desks.client("viewer").get("/waiting"))
    desks.client("agent").post(path(desks, "/forward"), {"to": "operations", "reason": "Yours"})
    for query in ("", "?by=partner", "?by=owner", "?workflow=custody_offer"):
        page = text(desks.client("viewer").get(f"/waiting{query}"))
        assert "Custody offer" in page
        assert desks.incident.number in page
    assert "Nothing waits here" in text(desks.client("viewer").get("/waiting?workflow=approval"))


def test_a_review_is_written_and_finished_on_its_page(desks):
    agent, manager = desks.client("agent"), desks.client("change_manager")
    agent.post(path(desks, "/major"), {"owner": "service-desk", "reason": ""})
    manager.post(path(desks, "/resolve"), {"code": "solved", "notes": "x"})
    review = reviewing.of(Incident.objects.get(id=desks.incident.id))
    assert review.number in text(agent.get("/reviews"))
    unfinished = agent.post(
        f"/reviews/{review.id}/write", {"cause": "A fuse", "actions": "", "done": "yes"}, follow=True
    )
    assert "flash-error" in text(unfinished)
    assert IncidentReview.objects.get().state == "open"
    agent.post(
        f"/reviews/{review.id}/write",
        {"cause": "A fuse", "actions": "Buy fuses | ops | 2027-01-01", "done": "yes"},
    )
    assert IncidentReview.objects.get().state == "done"
    assert "Buy fuses" in text(agent.get(f"/reviews/{review.id}"))


def test_a_viewer_reads_and_changes_nothing(desks):
    viewer = desks.client("viewer")
    for rest, given in (
        ("/forward", {"to": "operations", "reason": "x"}), ("/escalate", {"kind": "functional", "reason": "x"}),
        ("/tell", {"text": "x"}), ("/cause", {"root_cause": "x"}), ("/merge", {}), ("/split", {"title": "x"}),
        ("/people", {}), ("/triggers", {}),
    ):  # fmt: skip
        assert viewer.post(path(desks, rest), given).status_code == 403, rest
    assert Custody.objects.count() == 0
