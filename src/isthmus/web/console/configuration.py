"""Configuration: which rules are in force, what changed them, and the way back."""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from isthmus import blueprint
from isthmus.blueprint import approvals, service
from isthmus.blueprint.source import Source
from isthmus.identity import people, permissions
from isthmus.kernel.errors import IsthmusError, NotFound, Rejected
from isthmus.ledger import organisations
from isthmus.ledger.work import Work
from isthmus.web.console.screen import act, back, me, page, screen

BYTES_MAX: Final = 2_000_000


@screen("configuration:read")
def index(request: HttpRequest) -> HttpResponse:
    """The generations, the sections in force, and a place to plan a change."""
    _readable(request)
    generations = service.history()
    context = {
        "title": "Configuration",
        "generations": generations,
        "running": blueprint.current(fresh=True),
        "authors": _authors(generations),
        "sections": [(name, _yaml(plain)) for name, plain in sorted(service.export().items())],
    }
    return page(request, "console/configuration.html", context)


@screen("configuration:read")
def one(request: HttpRequest, sequence: int) -> HttpResponse:
    """One generation: its content and what rolling back to it would change."""
    _readable(request)
    wanted = _generation(sequence)
    source = Source(sections=msgspec.json.decode(wanted.content))
    try:
        steps, problem = service.plan(source), None
    except IsthmusError as error:
        steps, problem = None, error
    context = {
        "title": f"Generation {sequence}",
        "crumbs": [("Configuration", "/configuration"), (f"Generation {sequence}", "")],
        "generation": wanted,
        "plan": steps,
        "problem": problem,
        "sections": [(name, _yaml(plain)) for name, plain in sorted(source.sections.items())],
    }
    return page(request, "console/generation.html", context)


@require_POST
@screen("configuration:read")
def plan(request: HttpRequest) -> HttpResponse:
    """Show what a pasted blueprint would change; nothing is changed."""
    _readable(request)
    text = request.POST.get("text", "")
    source = read(text)
    context = {
        "title": "Plan",
        "crumbs": [("Configuration", "/configuration"), ("Plan", "")],
        "plan": service.plan(source),
        "text": text,
    }
    return page(request, "console/plan.html", context)


@require_POST
@screen("configuration:write")
def apply(request: HttpRequest) -> HttpResponse:
    """Apply exactly the planned blueprint; another generation in between is refused."""
    text = request.POST.get("text", "")
    expected = int(request.POST["expected"]) if request.POST.get("expected", "").isdigit() else None

    def do(work: Work) -> Any:
        return service.apply(work, read(text), expected=expected)

    act(
        request,
        do,
        permission="configuration:write",
        organisation=organisations.root(),
        done="The blueprint is in force within a second.",
    )
    return back(request, "/configuration")


@require_POST
@screen(approvals.PERMISSION)
def approve(request: HttpRequest) -> HttpResponse:
    """Agree to exactly the planned content, so that somebody else may apply it."""
    wanted = request.POST.get("content_hash", "")
    act(
        request,
        lambda work: approvals.approve(work, wanted),
        permission=approvals.PERMISSION,
        organisation=organisations.root(),
        done="Approved: a colleague may apply exactly this content within a week.",
    )
    return back(request, "/configuration")


@require_POST
@screen("configuration:write")
def rollback(request: HttpRequest, sequence: int) -> HttpResponse:
    def do(work: Work) -> Any:
        return service.rollback(work, sequence)

    done = f"The content of generation {sequence} is in force again, as a new generation."
    act(request, do, permission="configuration:write", organisation=organisations.root(), done=done)
    return back(request, "/configuration")


def _readable(request: HttpRequest) -> None:
    """The blueprint names the connections and rules of every organisation, so it is read at the root only."""
    permissions.require(me(request), "configuration:read", organisations.root())


def read(text: str) -> Source:
    """Return the sections that a pasted YAML text holds."""
    if len(text.encode()) > BYTES_MAX:
        raise Rejected(
            f"The text is larger than {BYTES_MAX} bytes.", remedy="Apply the directory by the command line."
        )
    try:
        found = YAML(typ="safe").load(text)
    except YAMLError as cause:
        raise Rejected(f"This is not YAML: {cause}"[:500], remedy="Correct the line named.") from cause
    if not isinstance(found, dict):
        raise Rejected(
            "A blueprint is a mapping of sections.", remedy="Start with a section's name and a colon."
        )
    return Source(sections=found)


def _generation(sequence: int) -> Any:
    found = next((each for each in service.history(limit=10_000) if each.sequence == sequence), None)
    if found is None:
        raise NotFound(f"There is no generation {sequence}.")
    return found


def _authors(generations: list[Any]) -> dict[str, str]:
    from isthmus.ledger import reading, scope

    with scope.everywhere("who applied a generation is shown beside it"):
        first = {
            each.record: each.actor
            for each in reading.histories([each.id for each in generations])
            if each.version == 1
        }
    names = people.labels(first.values())
    return {record: names.get(actor, actor) for record, actor in first.items()}


def _yaml(plain: object) -> str:
    out = StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump(plain, out)
    return out.getvalue()
