"""The pages of problems and known errors: forms, lists, and the card on an incident and in its war room."""

from __future__ import annotations

from typing import Any

from isthmus.ledger import sealer, search
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Comment, Incident
from isthmus.practices.problem import published, service
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem

KNOWN = {
    "title": "Pool runs dry",
    "workaround": "Restart the pool",
    "link": "https://tracker.example/4711",
    "cis": "db1",
}


def text(answer: Any) -> str:
    return str(answer.content.decode())


def published_one(desk: Any) -> KnownError:
    desk.client("agent").post("/known-errors/new", KNOWN)
    known = KnownError.objects.get()
    desk.client("problem_manager").post(f"/known-errors/{known.id}/publish")
    return KnownError.objects.get()


def opened(desk: Any, title: str = "Nobody can pay", ci: str = "db1") -> Any:
    values = {"title": title, "ci": desk.cis[ci], "impact": "2", "urgency": "2"}
    return desk.book.perform(lambda work: incidents.create(work, desk.book.organisation, values))


def test_a_known_error_is_written_published_and_shown_on_the_incident(desk):
    published.forget()
    known = published_one(desk)
    assert (known.state, known.cis) == ("published", [desk.cis["db1"]])
    incident, other = opened(desk), opened(desk, ci="shop")
    viewer = desk.client("viewer")
    page = text(viewer.get(f"/incidents/{incident.id}"))
    for words in ("Restart the pool", known.number, "https://tracker.example/4711", "it is on db1"):
        assert words in page
    assert "It was this" not in page, "a reader judges nothing"
    assert "Restart the pool" not in text(viewer.get(f"/incidents/{other.id}"))
    assert "Restart the pool" in text(viewer.get(f"/incidents/{incident.id}/war-room"))
    assert incident.number in text(viewer.get(f"/known-errors/{known.id}"))
    assert "db1" in text(viewer.get("/known-errors"))
    assert "/retire" in text(desk.client("problem_manager").get(f"/known-errors/{known.id}"))
    assert "/retire" not in text(desk.client("agent").get(f"/known-errors/{known.id}"))


def test_a_known_error_is_confirmed_and_offered_as_notes_or_rejected_with_a_reason(desk):
    published.forget()
    published_one(desk)
    incident, wrong = opened(desk), opened(desk, "Screen flickers")
    agent = desk.client("agent")
    match, mistaken = (KnownErrorMatch.objects.get(record=each.id) for each in (incident, wrong))
    agent.post(
        f"/incidents/{incident.id}/known-errors/{match.id}", {"verdict": "confirmed", "comment": "internal"}
    )
    assert Comment.objects.get(record=incident.id).public is False
    page = text(agent.get(f"/incidents/{incident.id}"))
    assert "Known error KE-000001: Restart the pool</textarea>" in page
    refused = agent.post(
        f"/incidents/{wrong.id}/known-errors/{mistaken.id}", {"verdict": "rejected"}, follow=True
    )
    assert "flash-error" in text(refused)
    agent.post(
        f"/incidents/{wrong.id}/known-errors/{mistaken.id}",
        {"verdict": "rejected", "reason": "It is the cable", "next": f"/incidents/{wrong.id}/war-room"},
    )
    page = text(agent.get(f"/incidents/{wrong.id}"))
    assert "It is the cable" in page
    assert "Restart the pool" not in page


def test_a_problem_is_raised_out_of_an_incident_worked_on_and_closed(desk):
    agent = desk.client("agent")
    form = text(agent.get(f"/problems/new?of_incident={desk.incident.id}"))
    assert "Checkout is slow" in form
    assert "db1" in form
    agent.post(
        "/problems/new",
        {"of_incident": desk.incident.id, "title": "Slow checkout", "cis": "db1", "service": "shop"},
    )
    problem = Problem.objects.get()
    assert Incident.objects.get(id=desk.incident.id).problem == problem.id
    assert problem.number in text(agent.get(f"/incidents/{desk.incident.id}"))
    path = f"/problems/{problem.id}"
    page = text(agent.get(path))
    assert "Say what causes it" in page
    assert desk.incident.number in page
    agent.post(f"{path}/moves/find_cause", {"cause_code": "capacity", "root_cause": "Too small"})
    agent.post(f"{path}/moves/resolve", {"resolution": "Enlarged"})
    refused = text(agent.post(f"{path}/moves/close", follow=True))
    assert "lacks actions" in refused
    agent.post(f"{path}/actions", {"text": "Add an alarm", "owner": "Ann", "due": "2026-12-24"})
    (action,) = service.actions_of(Problem.objects.get())
    agent.post(f"{path}/actions/{action['id']}", {"done": "yes"})
    agent.post(f"{path}/own")
    agent.post(f"{path}/moves/close")
    held = Problem.objects.get()
    assert (held.state, held.owner) == ("closed", desk.people["agent"])
    assert "Add an alarm" in text(desk.client("viewer").get(path))
    assert "<form" not in text(desk.client("viewer").get(path)).split("<main")[1].split("</main>")[0]


def test_an_edit_keeps_what_was_typed_when_it_is_refused(desk):
    agent = desk.client("agent")
    agent.post("/problems/new", {"title": "Slow checkout"})
    problem = Problem.objects.get()
    form = text(agent.get(f"/problems/{problem.id}/edit"))
    assert "Slow checkout" in form
    late = agent.post(f"/problems/{problem.id}/edit", {"title": "Typed", "version": "0"})
    assert late.status_code == 422
    assert "Typed" in text(late)
    assert Problem.objects.get().title == "Slow checkout"
    agent.post(f"/problems/{problem.id}/edit", {"title": "Typed", "version": str(problem.version)})
    assert Problem.objects.get().title == "Typed"
    agent.post("/known-errors/new", {"title": "Pool", "classes": "server\n rack, cooled \n\n"})
    assert KnownError.objects.get().classes == ["rack, cooled", "server"]
    wrong = agent.post("/known-errors/new", {"title": "Kept", "condition": "labels."})
    assert wrong.status_code == 422
    assert "Kept" in text(wrong)


def test_the_incident_names_a_problem_by_its_number_and_a_known_error_is_attached_by_hand(desk):
    agent = desk.client("agent")
    agent.post("/problems/new", {"title": "Slow checkout"})
    agent.post(f"/incidents/{desk.incident.id}/problem", {"problem": "PRB-000001"})
    assert Incident.objects.get(id=desk.incident.id).problem == Problem.objects.get().id
    agent.post(f"/incidents/{desk.incident.id}/problem", {"problem": ""})
    assert Incident.objects.get(id=desk.incident.id).problem == ""
    agent.post("/known-errors/new", {"title": "By hand", "workaround": "x"})
    agent.post(
        f"/incidents/{desk.incident.id}/known-errors",
        {"known_error": "KE-000001", "reason": "Smells like it"},
    )
    assert KnownErrorMatch.objects.get().found_by == "hand"
    desk.client("viewer").post(f"/incidents/{desk.incident.id}/known-errors", {"known_error": "KE-000001"})
    assert KnownErrorMatch.objects.count() == 1


def test_an_agent_neither_publishes_nor_edits_what_is_published(desk):
    published.forget()
    known = published_one(desk)
    agent = desk.client("agent")
    assert agent.post(f"/known-errors/{known.id}/retire").status_code == 403
    refused = agent.post(
        f"/known-errors/{known.id}/edit", {**KNOWN, "title": "x", "version": str(known.version)}
    )
    assert refused.status_code == 422
    held = KnownError.objects.get()
    assert (held.state, held.title) == ("published", "Pool runs dry")


def test_it_is_tried_on_its_page(desk):
    published.forget()
    known, incident = published_one(desk), opened(desk, ci="shop")
    viewer = desk.client("viewer")
    assert "It does not fit" in text(viewer.get(f"/known-errors/{known.id}", {"incident": incident.number}))
    assert "It fits" in text(viewer.get(f"/known-errors/{known.id}", {"incident": desk.incident.number}))
    assert "There is no incident" in text(viewer.get(f"/known-errors/{known.id}", {"incident": "INC-999999"}))


def test_the_finder_and_the_trace_know_them(desk):
    published.forget()
    known, incident = published_one(desk), opened(desk)
    desk.client("agent").post("/problems/new", {"title": "Zeppelin leaks"})
    problem = Problem.objects.get()
    sealer.seal_once(desk.book.clock.now())
    while search.index_once():
        pass
    viewer = desk.client("viewer")
    for asked, path in (
        (problem.number, f"/problems/{problem.id}"), (known.number.lower(), f"/known-errors/{known.id}"),
        ("zeppelin", f"/problems/{problem.id}"), ("known errors", "/known-errors"),
    ):  # fmt: skip
        assert viewer.get("/find", {"q": asked}).headers["Location"] == path
    story = text(viewer.get(f"/trace/{incident.number}"))
    assert known.number in story
    assert "it is on db1" in story
    assert incident.number in text(viewer.get(f"/trace/{known.number}"))


def test_an_incidents_story_is_not_that_of_every_other_one_with_the_same_known_error(desk):
    published.forget()
    published_one(desk)
    one, other = opened(desk), opened(desk, "Somebody else cannot pay")
    assert other.number not in text(desk.client("viewer").get(f"/trace/{one.number}"))
