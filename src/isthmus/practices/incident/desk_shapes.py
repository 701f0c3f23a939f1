"""What the API shows of desks, custody, waits, merges, reviews and major incidents."""

from __future__ import annotations

from typing import Any

from isthmus.kernel.instant import Instant
from isthmus.ledger.ids import source
from isthmus.practices.incident import hooks, major
from isthmus.practices.incident.ledger import Ledger
from isthmus.practices.incident.merging import Preview
from isthmus.practices.incident.models import (
    Custody,
    IncidentMerge,
    IncidentReview,
    MajorIncident,
    TriggerHandover,
    Wait,
)
from isthmus.practices.incident.rules import custody as rules
from isthmus.practices.incident.rules import escalation
from isthmus.practices.incident.shapes import picked, time


def custody_out(row: Custody) -> dict[str, Any]:
    """Return one offer of the ledger. `incident`: the giver's, `counterpart`: the taker's own, if it has one."""
    names = (
        "id",
        "version",
        "case",
        "giver",
        "taker",
        "contract",
        "state",
        "reason",
        "answer",
        "counterpart",
        "connection",
    )
    times = ("offered_at", "accept_by", "answered_at", "returned_at", "escalated_at", "orphaned_at")
    return picked(row, names, times) | {"incident": row.record}


def ledger_out(held: Ledger, mine: set[str], now: Instant) -> dict[str, Any]:
    """Return who holds a case, since when, for how long each party held it, and every offer.

    Offers between others on a part of the case that the reader does not see are shown without their texts.
    """
    spans = held.intervals(now)
    return {
        "case": held.case.id if held.case.id in mine else "",
        "home": held.home,
        "holder": held.holder,
        "since": time(held.moves[-1][0]),
        "intervals": [
            {"party": party, "from": time(since), "to": time(until)} for party, since, until in spans
        ],
        "seconds": {party: round(span / 1_000_000, 6) for party, span in rules.held_for(spans).items()},
        "offers": [_veiled(custody_out(each), mine) for each in held.rows],
    }


def _veiled(shown: dict[str, Any], mine: set[str]) -> dict[str, Any]:
    if shown["incident"] in mine and (not shown["counterpart"] or shown["counterpart"] in mine):
        return shown
    hidden = {} if shown["incident"] in mine or shown["counterpart"] in mine else {"reason": "", "answer": ""}
    for name in ("incident", "counterpart", "case"):
        if shown[name] not in mine:
            hidden[name] = ""
    return shown | hidden


def wait_out(wait: Wait) -> dict[str, Any]:
    """Return a wait with its age in seconds."""
    names = ("id", "version", "workflow", "about", "partner", "owner", "path", "state", "found")
    times = ("since", "limit_at", "asked_at", "escalated_at", "ended_at")
    until = wait.ended_at or source.now()
    aged = max(0, until - (wait.since or until)) // 1_000_000
    return picked(wait, names, times) | {"incident": wait.record, "age_seconds": aged}


def merge_out(held: IncidentMerge) -> dict[str, Any]:
    """Return a merge or split with what followed, by kind."""
    moved = {name: ids for name, ids in (held.moved or {}).items() if isinstance(ids, list)}
    return picked(held, ("id", "version", "type", "other", "state", "reason"), ("done_at", "undone_at")) | {
        "incident": held.record, "moved": moved,
    }  # fmt: skip


def preview_out(found: Preview) -> dict[str, Any]:
    """Return what a merge would do with one duplicate."""
    return {
        "incident": found.incident.id, "number": found.incident.number, "title": found.incident.title,
        "alerts": found.alerts, "comments": found.comments, "children": found.children, "suspects": found.suspects,
        "tickets": list(found.tickets), "refused": found.refused, "remedy": found.remedy,
    }  # fmt: skip


def review_out(review: IncidentReview) -> dict[str, Any]:
    """Return a post-incident review with its timeline and actions."""
    names = ("id", "version", "number", "state", "owner", "cause", "lessons", "done_by")
    story = [{**each, "at": time(each["at"])} for each in review.timeline or ()]
    return picked(review, names, ("due_at", "done_at", "created_at")) | {
        "incident": review.record, "actions": review.actions or [], "timeline": story,
    }  # fmt: skip


def major_out(held: MajorIncident) -> dict[str, Any]:
    """Return the procedure of a major incident: who owns which trigger, who plays which part."""
    times = ("declared_at", "ended_at", "update_due", "updated_last")
    people = {name: (held.people or {}).get(name, "") for name in major.PARTS}
    return picked(held, ("id", "version", "owner", "state"), times) | {
        "incident": held.record, "triggers": held.triggers or {}, "people": people,
    }  # fmt: skip


def handover_out(held: TriggerHandover) -> dict[str, Any]:
    """Return a refused trigger and what became of the offer to hand it over."""
    names = ("id", "version", "trigger", "owner", "wanted_by", "asked_by", "state")
    return picked(held, names, ("asked_at", "answered_at")) | {"incident": held.record}


def path_out(name: str, level: int | None, path: escalation.Path | None) -> dict[str, Any]:
    """Return the escalation path of an incident and how far it has gone."""
    return {
        "name": name, "level": level or 0, "functional": list(path.functional) if path else [],
        "hierarchical": list(path.hierarchical) if path else [],
    }  # fmt: skip


def known_error_out(found: hooks.KnownError) -> dict[str, Any]:
    """Return a known error that fits, with what was said about it; `match` names it for a verdict."""
    names = (
        "id",
        "number",
        "title",
        "workaround",
        "href",
        "why",
        "fix",
        "link",
        "state",
        "match",
        "verdict",
        "note",
    )
    return picked(found, names, ("at",))
