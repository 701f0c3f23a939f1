"""Problems: what keeps causing incidents, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import people, permissions
from isthmus.kernel.errors import NotFound
from isthmus.kernel.kinds.problem import PROBLEM_STATES
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import service
from isthmus.practices.problem.rules import states
from isthmus.web import records
from isthmus.web.console import incident_view, listing
from isthmus.web.console.screen import act, back, found, page, refused, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import PROBLEMS

KNOWN_ERRORS_SHOWN_MAX: Final = 50
Form = tuple[tuple[str, str, str], ...]
MOVES: Final[dict[str, tuple[str, Form]]] = {
    "assess": ("Assess", ()),
    "find_cause": (
        "Say what causes it",
        (("cause_code", "Of which sort (code)", "line"), ("root_cause", "What causes it", "text")),
    ),
    "resolve": ("Resolve", (("resolution", "How the cause was removed, or why it is lived with", "text"),)),
    "close": ("Close", ()),
    "reopen": ("Reopen", (("reason", "Why", "line"),)),
    "cancel": ("Cancel the problem", (("reason", "Why", "line"),)),
}
"""Move → (label, form fields as (name, label, line or text)); which are possible says the state table."""


@screen("problem:read")
def index(request: HttpRequest) -> HttpResponse:
    """The problems, the newest first."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {"title": "Problems", "state": asked.get("state"), "states": PROBLEM_STATES}

    return listing.show(request, PROBLEMS, "console/problems.html", more)


@screen("problem:read")
def one(request: HttpRequest, problem_id: str) -> HttpResponse:
    """One problem: its cause, what is done about it, its incidents and known errors, its story."""
    problem = found(records.of("problem").filter(id=problem_id).first())
    held = callers.of(request)
    history = reading.history(problem.id)
    names = people.labels([problem.owner, *(each.actor for each in history)])
    cis = records.titles("ci", [problem.service, *(problem.cis or ())], "name")
    writes = permissions.allowed(held, "problem:write", problem.organisation)
    sees = permissions.allowed(held, "incident:read", problem.organisation)
    known = records.of("known_error").filter(problem=problem.id).order_by("-id")
    context = {
        "title": f"{problem.number} {problem.title}",
        "crumbs": [("Problems", "/problems"), (problem.number, "")],
        "problem": problem,
        "actions": service.actions_of(problem),
        "incidents": service.incidents_of(problem) if sees else [],
        "known_errors": list(known[:KNOWN_ERRORS_SHOWN_MAX]),
        "moves": [
            (name, label, form) for name, (label, form) in MOVES.items() if name in service.moves(problem.state)
        ] if writes else [],
        "writes": writes,
        "editable": writes and problem.state not in states.FINAL,
        "people": names,
        "cis": cis,
        "story": incident_view.story(history, (), (), names | cis),
    }  # fmt: skip
    return page(request, "console/problem.html", context)


@require_POST
@screen("problem:write")
def move(request: HttpRequest, problem_id: str, move: str) -> HttpResponse:
    """Take a step; the state table and the service decide whether it is possible."""
    if move not in MOVES:
        return refused(request, NotFound("There is no such step."))
    label, form = MOVES[move]
    given = {name: request.POST.get(name, "") for name, _, _ in form}
    do = getattr(service, move)
    return _act(request, problem_id, lambda work, problem: do(work, problem, **given), f"{label}: done.")


@require_POST
@screen("problem:write")
def own(request: HttpRequest, problem_id: str) -> HttpResponse:
    """Take the problem oneself."""
    mine = callers.of(request).id
    return _act(
        request, problem_id, lambda work, problem: service.update(work, problem, {"owner": mine}), "It is yours."
    )  # fmt: skip


@require_POST
@screen("problem:write")
def add_action(request: HttpRequest, problem_id: str) -> HttpResponse:
    """Add something to be done about the cause."""
    given = {name: request.POST.get(name, "") for name in ("text", "owner", "due")}
    return _act(
        request, problem_id, lambda work, problem: service.add_action(work, problem, **given), "The action is added."
    )  # fmt: skip


@require_POST
@screen("problem:write")
def settle_action(request: HttpRequest, problem_id: str, action_id: str) -> HttpResponse:
    """Say that an action is done, or still to do."""
    done = request.POST.get("done") == "yes"
    return _act(
        request,
        problem_id,
        lambda work, problem: service.settle_action(work, problem, action_id, done=done),
        "The action is done." if done else "The action is open again.",
    )


@require_POST
@screen("incident:write")
def link(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Have an incident name a problem (by number or id), or none."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    reference = request.POST.get("problem", "").strip()

    def do(work: Work) -> Any:
        fresh = incidents.get(work, incident_id)
        wanted = service.problem_of(work, reference or fresh.problem)
        permissions.require(work.actor, "problem:write", wanted.organisation)
        if not reference:
            return service.unlink(work, wanted, fresh)
        return service.link(work, wanted, fresh)

    done = "The problem behind it is named." if reference else "It names no problem any more."
    act(request, do, permission="incident:write", organisation=incident.organisation, done=done)
    return back(request, f"/incidents/{incident_id}")


def _act(request: HttpRequest, problem_id: str, do: Callable[[Work, Any], Any], done: str) -> HttpResponse:
    problem = found(records.of("problem").filter(id=problem_id).first())

    def once(work: Work) -> Any:
        return do(work, service.problem_of(work, problem_id))

    act(request, once, permission="problem:write", organisation=problem.organisation, done=done)
    return back(request, f"/problems/{problem_id}")
