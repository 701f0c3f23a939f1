"""Post-incident reviews: a major incident owes one, with an owner, a due date and a consequence.

It is created when the incident is resolved, with the timeline as it stands. Once it is overdue the watchdog
escalates it along the path of the incident, and the incident does not close before it is done.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus import blueprint
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.instant import Instant, from_rfc3339, to_rfc3339
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import guards, loading, waits
from isthmus.practices.incident.blueprint import MajorSpec
from isthmus.practices.incident.models import Incident, IncidentReview, Wait
from isthmus.practices.incident.timeline import timeline

WORKFLOW = "review"
TIMELINE_MAX = 300
ACTIONS_MAX = 50
TEXT_MAX = 8_000
_RULE = "incident.review"


def owe(work: Work, incident: Incident) -> IncidentReview | None:
    """Create the review that a major incident owes, or give the open one its new timeline."""
    spec: MajorSpec = blueprint.current().section("incident").major
    within = microseconds(spec.review_within)
    if not within:
        return None
    held: IncidentReview | None = IncidentReview.objects.filter(
        organisation=incident.organisation, record=incident.id
    ).first()
    if held is not None and held.state == "done":
        return held
    story = _story(incident)
    owner = spec.review_owner or incident.trigger_owner or incident.assignment_group
    by = Instant(work.now + within)
    text = f"A post-incident review is due from {owner or 'its owner'} by {to_rfc3339(by)}."
    why = [Reason(rule=_RULE, text=text, facts={"owner": owner, "due_at": by})]
    if held is not None:
        _watch(work, incident, held.id, held.owner, by)
        return work.change(held, {"timeline": story, "due_at": by, "state": "open"}, why=why)
    made = work.create(
        IncidentReview,
        organisation=incident.organisation,
        values={
            "record": incident.id,
            "state": "open",
            "owner": owner,
            "due_at": by,
            "timeline": story,
            "actions": [],
        },
        why=why,
        trace=incident.trace,
    )
    _watch(work, incident, made.id, owner, by)
    return made


def _watch(work: Work, incident: Incident, review_id: str, owner: str, by: Instant) -> None:
    waits.begin(
        work, WORKFLOW, review_id, organisation=incident.organisation, incident=incident, partner="", owner=owner,
        path=incident.escalation_path, limit_at=by,
    )  # fmt: skip


def _story(incident: Incident) -> list[Json]:
    items = timeline(incident)
    return [
        {"at": each.at, "what": each.what, "title": each.title, "text": each.text, "actor": each.actor}
        for each in items[-TIMELINE_MAX:]
    ]


def of(incident: Incident) -> IncidentReview | None:
    """Return the review of an incident, None if it owes none."""
    found: IncidentReview | None = IncidentReview.objects.filter(
        organisation=incident.organisation, record=incident.id
    ).first()
    return found


def get(reference: str) -> IncidentReview:
    """Return a review by id or number, or raise `NotFound`."""
    by = {"number": reference} if reference.startswith("PIR-") else {"id": reference}
    found: IncidentReview | None = IncidentReview.objects.filter(**by).first()
    if found is None:
        raise NotFound(f"There is no review {reference}.", remedy="List the reviews.")
    return found


def write(work: Work, review: IncidentReview, values: Mapping[str, Any]) -> IncidentReview:
    """Change owner, due date, cause, lessons or actions of an open review."""
    if review.state == "done":
        raise Conflict("This review is done.", remedy="Its actions are followed elsewhere.")
    wanted: dict[str, Any] = {}
    for name in ("owner", "cause", "lessons"):
        if name in values:
            text = str(values[name]).strip()
            if len(text) > TEXT_MAX or (name == "owner" and not text):
                raise _wrong(name, f"1 to {TEXT_MAX} characters")
            wanted[name] = text
    if "actions" in values:
        wanted["actions"] = actions_of(values["actions"])
    if values.get("due_at"):
        by = from_rfc3339(str(values["due_at"]))
        if by <= work.now:
            raise _wrong("due_at", "a time to come")
        wanted |= {"due_at": by, "state": "open"}
        owner = wanted.get("owner", review.owner)
        _watch(work, loading.one(work, Incident, review.record), review.id, owner, by)
    who = work.actor.label or work.actor.id
    return work.change(review, wanted, why=[Reason(rule=_RULE, text=f"Written by {who}.")])


def actions_of(given: Any) -> list[Json]:
    """Return actions as they are kept: each says what, who, by when; anything else is refused."""
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > ACTIONS_MAX:
        raise _wrong("actions", f"at most {ACTIONS_MAX} actions")
    found: list[Json] = []
    for place, each in enumerate(given):
        text, owner = (str(each.get(name, "")).strip() for name in ("text", "owner"))
        by = str(each.get("due", "") or "").strip()
        if not text or not owner or len(text) > TEXT_MAX:
            raise _wrong(f"actions/{place}", "a text and an owner")
        try:
            day = dt.date.fromisoformat(by).isoformat()
        except ValueError as cause:
            raise _wrong(f"actions/{place}/due", "a date, such as 2026-12-24") from cause
        found.append({"text": text, "owner": owner[:120], "due": day, "done": each.get("done") is True})
    return found


def complete(work: Work, review: IncidentReview) -> IncidentReview:
    """Finish a review: it names a cause and at least one action."""
    if review.state == "done":
        raise Conflict("This review is done already.")
    missing = [name for name in ("cause", "actions") if not getattr(review, name)]
    if missing:
        raise Rejected(
            f"The review lacks {' and '.join(missing)}.",
            remedy="A review names the cause and at least one action with owner and date.",
            problems=tuple(Problem(path=f"/{name}", message="missing") for name in missing),
        )
    waits.end(work, WORKFLOW, review.id, "The review is done.")
    who = work.actor.label or work.actor.id
    why = [Reason(rule=_RULE, text=f"The review is done, says {who}.")]
    return work.change(review, {"state": "done", "done_at": work.now, "done_by": work.actor.id}, why=why)


def overdue(work: Work, wait: Wait, text: str) -> None:
    """Mark a review that was not done in time; the incident stays open for it."""
    found: IncidentReview | None = IncidentReview.objects.filter(id=wait.about, state="open").first()
    if found is None:
        return
    said = f"The post-incident review {found.number} is overdue; its incident stays open until it is done. {text}"
    work.change(found, {"state": "overdue"}, why=[Reason(rule=f"{_RULE}.overdue", text=said)])


def guard(incident: Incident, entering: str) -> list[Reason]:
    """Hold an incident open while the review that it owes is overdue."""
    held = of(incident) if entering == "closed" else None
    if held is None or held.state != "overdue":
        return []
    text = f"Its post-incident review {held.number} is {held.state}; {held.owner} owes it."
    return [Reason(rule=_RULE, text=text)]


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    guards.register_guard("review", guard)
    waits.register_escalation(WORKFLOW, overdue)


def _wrong(path: str, wanted: str) -> Rejected:
    return Rejected(
        "The review was not changed.",
        remedy=f"Give {wanted}.",
        problems=(Problem(path=f"/{path}", message="not accepted", remedy=f"Give {wanted}."),),
    )
