"""Systems: is every spoke healthy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub import connections
from isthmus.hub.http import actor as callers
from isthmus.hub.lanes import service as lanes
from isthmus.hub.models import ConnectionState, Due, IntakeOffset
from isthmus.identity import permissions
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.ledger import scope
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import expecting
from isthmus.web import probing, visible
from isthmus.web.console.screen import act, back, found, me, page, screen

LAG_WARN = 1 * MINUTE


@dataclass(frozen=True, kw_only=True)
class Card:
    """One connection: what is declared and what is observed. `fault` is set where it cannot be used at all."""

    name: str
    organisation: str
    connector: str = ""
    title: str = ""
    receives: str = ""
    state: Any = None
    backlog: int = 0
    oldest: int | None = None
    received_at: int | None = None
    called: bool = True
    fault: Any = None
    silent: str = ""
    """In words, where something is expected of it that stays away."""

    def status(self) -> tuple[str, str]:
        """Return (tone, words): the worst thing first."""
        if self.fault is not None:
            return "bad", "cannot be used"
        if self.state.vanished_held_at is not None:
            return "bad", "many objects vanished"
        if self.state.paused:
            return "warn", "paused"
        if self.state.breaker == "open":
            return "bad", "not answering"
        if self.silent:
            return "bad", "silent"
        if self.state.breaker == "half_open":
            return "warn", "being tried again"
        if self.state.failures:
            return "warn", f"{self.state.failures} failures in a row"
        if self.state.lag_microseconds > LAG_WARN:
            return "warn", "behind"
        if self.state.last_success_at or self.received_at:
            return "good", "healthy"
        return "quiet", "no traffic yet"


@screen("system:read")
def index(request: HttpRequest) -> HttpResponse:
    """A card per connection, the sick first."""
    listed = cards(source.now())
    order = {"bad": 0, "warn": 1, "quiet": 2, "good": 3}
    listed.sort(key=lambda each: (order[each.status()[0]], each.name))
    return page(
        request,
        "console/systems.html",
        {"title": "Systems", "cards": [(each, *each.status()) for each in listed]},
    )


@require_POST
@screen("system:write")
def pause(request: HttpRequest, name: str) -> HttpResponse:
    card = found(_card(name))
    reason = request.POST.get("reason", "").strip()

    def do(work: Work) -> Any:
        lanes.pause(work, name, reason)

    done = f"Calls to {name} stop; messages from it are still taken."
    act(request, do, permission="system:write", organisation=card.organisation, done=done)
    return back(request, "/systems")


@require_POST
@screen("system:write")
def resume(request: HttpRequest, name: str) -> HttpResponse:
    card = found(_card(name))

    def do(work: Work) -> Any:
        lanes.resume(work, name)

    act(
        request,
        do,
        permission="system:write",
        organisation=card.organisation,
        done=f"Calls to {name} go out again, oldest first.",
    )
    return back(request, "/systems")


@require_POST
@screen("system:write")
def confirm_gone(request: HttpRequest, name: str) -> HttpResponse:
    """Confirm that objects which vanished were deleted there."""
    card = found(_card(name))
    reason = request.POST.get("reason", "").strip()

    def do(work: Work) -> Any:
        lanes.confirm_gone(work, name, reason)

    done = f"What is gone at {name} counts as deleted for an hour; calls go out again."
    act(request, do, permission="system:write", organisation=card.organisation, done=done)
    return back(request, "/systems")


@require_POST
@screen("system:write")
def probe(request: HttpRequest, name: str) -> HttpResponse:
    """Ask the partner now whether it answers and what the account may do; the answer is journalled."""
    card = found(_card(name))
    permissions.require(me(request), "system:write", card.organisation)
    answer = probing.probe(name, card.organisation)
    caller = callers.caller(request)
    perform(
        lambda work: probing.note(work, answer),
        actor=callers.of(request),
        origin=caller.origin,
        trace=caller.trace,
    )
    if answer.ok:
        messages.success(request, answer.text)
    else:
        messages.error(request, f"{answer.text} {answer.error.remedy if answer.error else ''}".strip())
    return back(request, "/systems")


def cards(now: Instant) -> list[Card]:
    """Return the connections that the open scope shows; a few queries however many there are."""
    seen = scope.current()
    silent = {each.connection: each.silent for each in expecting.visible(now)}
    states = {(each.organisation, each.connection): each for each in visible.rows(ConnectionState)}
    waiting = {
        each["lane"]: each
        for each in visible.rows(Due)
        .exclude(lane="")
        .values("lane")
        .annotate(count=Count("id"), oldest=Min("due_at"))
    }
    taken = dict(IntakeOffset.objects.values_list("connection", "updated_at"))
    found_cards = []
    for name, connection in connections.in_force().items():
        if seen is not None and connection.organisation not in seen:
            continue
        state = states.get((connection.organisation, name)) or ConnectionState(
            organisation=connection.organisation, connection=name
        )
        queue = waiting.get(name, {"count": 0, "oldest": None})
        found_cards.append(
            Card(
                name=name,
                organisation=connection.organisation,
                connector=connection.manifest.id,
                title=connection.manifest.name,
                receives=f"/ingest/{connection.manifest.id}/{name}",
                state=state,
                backlog=queue["count"],
                oldest=queue["oldest"],
                received_at=taken.get(name),
                silent=silent.get(name, ""),
                called=connection.connector.open is not None and connection.config.called,
            )
        )
    if seen is None or _is_root_reader(seen):
        found_cards += [
            Card(name=name, organisation="", fault=each.error, state=ConnectionState())
            for name, each in connections.faulty().items()
        ]
    return found_cards


def _is_root_reader(seen: frozenset[str]) -> bool:
    """A faulty entry belongs to nobody yet, so only readers of the whole installation see it."""
    from isthmus.ledger import organisations

    return organisations.root() in seen


def _card(name: str) -> Card | None:
    return next((each for each in cards(source.now()) if each.name == name and each.fault is None), None)
