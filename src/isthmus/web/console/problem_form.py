"""The forms of problems and known errors: writing one, editing one. A refusal keeps what was typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from isthmus.hub.http import actor as callers
from isthmus.identity import permissions
from isthmus.kernel.errors import Conflict
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import service
from isthmus.web import records
from isthmus.web.console.screen import act, found, page, screen

_PROBLEM: Final = (
    "title", "description", "priority", "service", "assignment_group", "cause_code", "root_cause",
)  # fmt: skip
_KNOWN_ERROR: Final = ("title", "workaround", "fix", "link", "problem", "condition")
_LISTS: Final = ("cis", "classes", "services")


@screen("problem:write")
def new_problem(request: HttpRequest) -> HttpResponse:
    """Raise a problem; `?of_incident=` raises it out of one."""
    incident = _named(request, "incident")
    context: dict[str, Any] = {
        "title": "Raise a problem",
        "crumbs": [("Problems", "/problems"), ("Raise", "")],
        "target": "/problems/new",
        "levels": LEVELS,
        "incident": incident,
    }
    given = {}
    if incident is not None:
        names = records.titles("ci", [incident.ci, incident.service], "name")
        given = {
            "title": incident.title,
            "priority": incident.priority,
            "service": names.get(incident.service, ""),
            "cis": names.get(incident.ci, ""),
            "root_cause": incident.root_cause,
            "cause_code": incident.cause_code,
            "assignment_group": incident.assignment_group,
        }

    def do(work: Work, where: str) -> Any:
        held = None if incident is None else incidents.get(work, incident.id)
        if held is not None:
            permissions.require(work.actor, "incident:write", held.organisation)
        return service.create(work, _values(request, _PROBLEM, ("cis",)), organisation=where, incident=held)

    return _new(request, "console/problem_form.html", context, given, do, incident, "The problem is raised.", "/problems/")  # fmt: skip


@screen("problem:write")
def edit_problem(request: HttpRequest, problem_id: str) -> HttpResponse:
    """The same form with what stands there now."""
    problem = found(records.of("problem").filter(id=problem_id).first())
    names = records.titles("ci", [problem.service, *(problem.cis or ())], "name")
    given = {name: getattr(problem, name) for name in _PROBLEM}
    given |= {"service": names.get(problem.service, ""), "cis": _lines(problem.cis, names)}
    context = {
        "title": f"Edit {problem.number}",
        "crumbs": [("Problems", "/problems"), (problem.number, f"/problems/{problem.id}"), ("Edit", "")],
        "target": f"/problems/{problem.id}/edit",
        "levels": LEVELS,
        "record": problem,
    }

    def do(work: Work) -> Any:
        fresh = service.problem_of(work, problem_id)
        _unchanged(request, fresh)
        return service.update(work, fresh, _values(request, _PROBLEM, ("cis",)))

    return _edit(request, "console/problem_form.html", context, given, do, problem, f"/problems/{problem_id}")


@screen("problem:write")
def new_known_error(request: HttpRequest) -> HttpResponse:
    """Write a known error as a draft; `?of_incident=` declares it out of one, `?of_problem=` of a problem."""
    incident, problem = _named(request, "incident"), _named(request, "problem")
    context: dict[str, Any] = {
        "title": "Write a known error",
        "crumbs": [("Known errors", "/known-errors"), ("Write", "")],
        "target": "/known-errors/new",
        "incident": incident,
        "of_problem": problem,
    }

    def do(work: Work, where: str) -> Any:
        held = None if incident is None else incidents.get(work, incident.id)
        if held is not None:
            permissions.require(work.actor, "incident:write", held.organisation)
        return service.write(work, _values(request, _KNOWN_ERROR, _LISTS), organisation=where, incident=held)

    origin = incident if incident is not None else problem
    given = _prefilled(incident, problem)
    return _new(request, "console/known_error_form.html", context, given, do, origin, "The known error is written as a draft.", "/known-errors/")  # fmt: skip


def _prefilled(incident: Any, problem: Any) -> dict[str, str]:
    """Return what an incident or a problem gives to the form: the person sees it before it is kept."""
    if incident is not None:
        names = records.titles("ci", [incident.ci, incident.service], "name")
        return {
            "title": incident.title,
            "workaround": incident.workaround,
            "cis": names.get(incident.ci, ""),
            "services": "" if incident.ci else names.get(incident.service, ""),
            "problem": records.titles("problem", [incident.problem], "number").get(incident.problem, ""),
        }
    if problem is not None:
        names = records.titles("ci", problem.cis or (), "name")
        return {"title": problem.title, "problem": problem.number, "cis": _lines(problem.cis, names)}
    return {}


@screen("problem:write")
def edit_known_error(request: HttpRequest, known_error_id: str) -> HttpResponse:
    """The same form with what stands there now; of a published one only who may publish edits it."""
    known = found(records.of("known_error").filter(id=known_error_id).first())
    names = records.titles("ci", [*(known.cis or ()), *(known.services or ())], "name")
    given = {name: getattr(known, name) for name in _KNOWN_ERROR}
    given |= {name: _lines(getattr(known, name), names) for name in _LISTS}
    given["problem"] = records.titles("problem", [known.problem], "number").get(known.problem, "")
    context = {
        "title": f"Edit {known.number}",
        "crumbs": [("Known errors", "/known-errors"), (known.number, f"/known-errors/{known.id}"), ("Edit", "")],
        "target": f"/known-errors/{known.id}/edit",
        "record": known,
    }  # fmt: skip

    def do(work: Work) -> Any:
        fresh = service.known_error_of(work, known_error_id)
        _unchanged(request, fresh)
        return service.update_known_error(work, fresh, _values(request, _KNOWN_ERROR, _LISTS))

    return _edit(
        request, "console/known_error_form.html", context, given, do, known, f"/known-errors/{known_error_id}"
    )


# Both forms ---------------------------------------------------------------------------------------------------


def _new(
    request: HttpRequest, template: str, context: dict[str, Any], given: Mapping[str, Any],
    do: Callable[[Work, str], Any], origin: Any, done: str, path: str,
) -> HttpResponse:  # fmt: skip
    if request.method != "POST":
        return page(request, template, {**context, "given": given})
    where = origin.organisation if origin is not None else ""
    where = where or callers.organisation(request, "problem:write", request.POST.get("organisation", ""))
    made = act(
        request, lambda work: do(work, where), permission="problem:write", organisation=where, done=done
    )
    if made is None:
        return _again(request, template, context)
    return HttpResponseRedirect(f"{path}{made.id}", status=303)


def _edit(
    request: HttpRequest, template: str, context: dict[str, Any], given: Mapping[str, Any],
    do: Callable[[Work], Any], record: Any, path: str,
) -> HttpResponse:  # fmt: skip
    if request.method != "POST":
        return page(request, template, {**context, "given": given})
    saved = act(request, do, permission="problem:write", organisation=record.organisation, done="Saved.")
    if saved is None:
        return _again(request, template, context)
    return HttpResponseRedirect(path, status=303)


def _again(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    answer = page(request, template, {**context, "given": request.POST})
    answer.status_code = 422
    return answer


def _named(request: HttpRequest, kind: str) -> Any:
    """Return the record that the form was opened out of, None for none; 404 for one that is not visible."""
    wanted = (request.POST if request.method == "POST" else request.GET).get(f"of_{kind}", "").strip()
    if not wanted:
        return None
    if not permissions.allowed(callers.of(request), records.READ[kind]):
        return None
    return found(records.of(kind).filter(id=wanted).first())


def _unchanged(request: HttpRequest, record: Any) -> None:
    if str(record.version) != request.POST.get("version", ""):
        raise Conflict(
            "Somebody changed it while you were typing.",
            remedy="Compare with what stands there now, then save again.",
        )


def _values(request: HttpRequest, texts: tuple[str, ...], lists: tuple[str, ...]) -> dict[str, Any]:
    """Return what the form says; names of items are resolved by the service, one per line (a name may hold a comma)."""
    values: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in texts}
    for name in lists:
        lines = request.POST.get(name, "").splitlines()
        values[name] = [each.strip() for each in lines if each.strip()]
    return values


def _lines(ids: Any, names: Mapping[str, str]) -> str:
    return "\n".join(names.get(each, each) for each in ids or ())
