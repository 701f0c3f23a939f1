"""Links: tie a record to a system, stop following, read the other side again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.sync import service
from isthmus.hub.sync.loading import flow_of, mapping_of
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.observation import ExternalRef
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, screen

KINDS: Final = ("incident", "change")
"""Kinds whose records stand in other systems too."""


def linkable(record: Any, links: list[Any]) -> list[str]:
    """Return the connections that take part in the flow of this kind and that the record is not linked to."""
    held = {each.connection for each in links if each.state != "unlinked"}
    return sorted(set(flow_of(record.kind).connections) - held)


def parked(link: Any) -> list[tuple[str, str]]:
    """Return the parts in which both sides differ on purpose, each with why."""
    parts = (link.parts or {}).get("parts") or {}
    return [
        (name, _why(part))
        for name, part in sorted(parts.items())
        if isinstance(part, dict) and part.get("flag", "none") != "none"
    ]


def _why(part: dict[str, Any]) -> str:
    if part["flag"] == "conflict":
        return "it waits for a decision"
    why = str(part.get("why") or part["flag"])
    return "it has no counterpart in the crosswalk" if why == "unmapped" else why


@require_POST
@screen("link:write")
def add(request: HttpRequest) -> HttpResponse:
    """Link a record: an existing object there is adopted by its key, without a key one is created."""
    kind, record_id = request.POST.get("kind", ""), request.POST.get("record", "")
    if kind not in KINDS:
        raise Rejected("Only incidents and changes are linked.", remedy="Open one of them.")
    record = found(records.of(kind).filter(id=record_id).first())
    connection, key = (request.POST.get(name, "").strip() for name in ("connection", "key"))

    def do(work: Work) -> Any:
        fresh = records.of(kind).get(id=record_id)
        external = (
            ExternalRef(
                connection=connection, kind=mapping_of(connection, kind).external_kind, key=key, label=key
            )
            if key
            else None
        )
        return service.link(work, fresh, connection, external=external, why="Linked by hand.")

    done = f"Linked: {connection} is brought in step."
    act(request, do, permission="link:write", organisation=record.organisation, done=done)
    return back(request, records.path_of(kind, record_id))


@require_POST
@screen("link:write")
def unlink(request: HttpRequest, link_id: str) -> HttpResponse:
    """Stop following; both objects stay as they are."""
    link = found(records.of("link").filter(id=link_id).first())
    reason = request.POST.get("reason", "").strip()

    def do(work: Work) -> Any:
        if not reason:
            raise Rejected(
                "A link is cut with a reason.", remedy="Say why the two no longer belong together."
            )
        service.unlink(work, _fresh(link_id), why=reason)

    done = f"{link.connection} no longer follows; the ticket there stays as it is."
    act(request, do, permission="link:write", organisation=link.organisation, done=done)
    return back(request, records.path_of(link.record_kind, link.record))


@require_POST
@screen("link:write")
def compare(request: HttpRequest, link_id: str) -> HttpResponse:
    """Read the other side again now."""
    return _asked(request, link_id, service.compare, "{} is read again now.")


@require_POST
@screen("link:write")
def insist(request: HttpRequest, link_id: str) -> HttpResponse:
    """Write our value once more where a field is parked."""
    ask = partial(service.retry_parked, insist=True)
    return _asked(request, link_id, ask, "What differs at {} is written again now.")


def _asked(request: HttpRequest, link_id: str, ask: Callable[[Work, Any], None], said: str) -> HttpResponse:
    """Have the lane do something about a link; `said` has a place for the connection's name."""
    link = found(records.of("link").filter(id=link_id).first())
    done = said.format(link.connection)
    act(request, lambda work: ask(work, _fresh(link_id)), permission="link:write", organisation=link.organisation, done=done)  # fmt: skip
    return back(request, records.path_of(link.record_kind, link.record))


def _fresh(link_id: str) -> Any:
    link = records.of("link").filter(id=link_id).first()
    if link is None:
        raise NotFound("There is no such link, or none that you may see.")
    return link
