"""The war room of a major incident: everything that a team needs at a glance, on a wall or on a phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from isthmus.kernel.instant import MINUTE, Instant
from isthmus.ledger.ids import source
from isthmus.practices.incident.models import Incident
from isthmus.practices.service_level import service as service_levels
from isthmus.web import records
from isthmus.web.console import desks_view, incident_view
from isthmus.web.console.screen import found, me, page, screen

STORY_MAX: Final = 60
ROOMS_MAX: Final = 100
SOON: Final = 30 * MINUTE


@screen("incident:read")
def index(request: HttpRequest) -> HttpResponse:
    """The major incidents that are open, each with its room."""
    rows = list(
        records.of("incident")
        .filter(major=True, state__in=("new", "in_progress", "on_hold", "resolved"))
        .order_by("priority", "-id")[:ROOMS_MAX]
    )
    procedures = {each.record: each for each in records.of("major_incident").filter(state="active", record__in=[each.id for each in rows])}  # fmt: skip
    context = {
        "title": "Major incidents",
        "rows": [(each, procedures.get(each.id)) for each in rows],
        "crumbs": [("Incidents", "/incidents"), ("Major", "")],
    }
    return page(request, "console/major.html", context)


@screen("incident:read")
def one(request: HttpRequest, incident_id: str) -> HttpResponse:
    """One room: state across systems, who holds what, clocks, parts, triggers, updates, the story."""
    incident: Incident = found(records.of("incident").filter(id=incident_id).first())
    now = source.now()
    context: dict[str, Any] = incident_view.context(incident) | desks_view.context(incident, me(request), now)
    context |= {
        "title": f"{incident.number} war room",
        "crumbs": [
            ("Incidents", "/incidents"),
            (incident.number, f"/incidents/{incident.id}"),
            ("War room", ""),
        ],
        "story": context["story"][:STORY_MAX],
        "updates": [
            each for each in context["story"] if each.kind == "comment" and each.title == "Public comment"
        ][:20],
        "clocks": clocks(incident, now),
        "late_update": _late(context["room"], now),
    }
    return page(request, "console/war_room.html", context)


def _late(room: desks_view.Room | None, now: Instant) -> bool:
    """Return whether those concerned should have been told by now."""
    held = room.procedure if room is not None else None
    return (
        held is not None and held.state == "active" and held.update_due is not None and held.update_due <= now
    )


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A service level clock as the room shows it: which target, by when, how it stands in colour and words."""

    name: str
    at: int
    state: str
    words: str
    tone: str


def clocks(incident: Incident, now: Instant) -> list[Clock]:
    """Return the clocks that count, the one that ends first at the front."""
    found = [
        Clock(name=each.target, at=each.due_at, state=each.state, words=words, tone=tone)
        for each in service_levels.clocks_of(incident.id)
        if each.due_at is not None and each.state in {"running", "paused"}
        for words, tone in [_standing(each.state, each.due_at, breached=each.breached, now=now)]
    ]
    return sorted(found, key=lambda each: each.at)


def _standing(state: str, due_at: int, *, breached: bool, now: Instant) -> tuple[str, str]:
    if breached or (state == "running" and due_at <= now):
        return "missed", "bad"
    if state == "paused":
        return "paused", "warn"
    return ("soon", "warn") if due_at <= now + SOON else ("running", "good")
