"""Handing a change in: what it must have, and whether its standard model covers this instance."""

from __future__ import annotations

from typing import Any

from isthmus.hub import due
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.change import drafting, proof
from isthmus.practices.change.blueprint import microseconds, model_named, version_of
from isthmus.practices.change.lifecycle import REVIEW, who, why_of
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules import states
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash


def submit(work: Work, change: Change) -> Change:
    """Hand a change in. A standard one that its model covers is authorised at once; one that it does not
    cover becomes a normal change, with the reasons written down."""
    section = proof.section()
    states.after("submit", change.state)
    drafting.assess(work, change, section)
    if change.type == "standard" and not _preauthorised(work, change, section):
        work.change(
            change,
            {"type": "normal", "model": ""},
            why=why_of("model", "Its model does not cover it: it goes the normal way."),
        )
        _check_submittable(change, work.now, soft=True)
        if _missing(change, work.now):
            # The reasons are kept although it cannot be handed in yet: it waits as `new` for its plans.
            return change
    if change.state == "new":
        _check_submittable(change, work.now)
        values: dict[str, Any] = {"state": states.after("submit", change.state)}
        if change.type == "emergency":
            values["review_due_at"] = work.now + microseconds(section.emergency.review_within)
            due.schedule(
                work, REVIEW, change.id, Instant(values["review_due_at"]), organisation=change.organisation
            )
        work.change(change, values, why=why_of("submit", f"Submitted by {who(work)}."))
    return change


def _preauthorised(work: Work, change: Change, section: Any) -> bool:
    values = {name: getattr(change, name) for name in ("model", "cis", "environment", "organisation")}
    refusals = proof.model_refusals(values, section)
    model = model_named(section, change.model)
    if refusals or model is None:
        work.note(change, why=refusals)
        return False
    _check_submittable(change, work.now)
    content = content_hash({name: getattr(change, name) for name in CONTENT_FIELDS})
    work.change(
        change,
        {
            "state": states.after("preauthorise", change.state), "authorisation": "approved", "authorised_at": work.now,
            "evidence": {"model": model.name, "model_version": version_of(model), "content_hash": content},
        },
        why=why_of("preauthorised", f"The model {model.name!r} covers it."),
        versions={"model": version_of(model)},
    )  # fmt: skip
    return True


def _missing(change: Change, now: Instant) -> list[Problem]:
    """Return what a change lacks to be submitted."""
    found: list[Problem] = []

    def no(path: str, message: str, remedy: str) -> None:
        found.append(Problem(path=f"/{path}", message=message, remedy=remedy))

    if not change.cis:
        no("cis", "A change names what it changes.", "Give at least one configuration item.")
    if change.type != "emergency" and (change.window_start is None or change.window_end is None):
        no("window_start", "A window is needed.", "Give window_start and window_end.")
    elif change.type != "emergency" and change.window_end is not None and change.window_end <= now:
        no("window_end", "The window is over.", "Give one that lies ahead.")
    if change.type == "normal":
        for name in ("implementation_plan", "backout_plan"):
            if not getattr(change, name):
                no(name, f"A normal change needs a {name.replace('_', ' ')}.", "Describe the steps.")
    if change.type == "emergency" and not change.incident:
        no("incident", "An emergency change must cite an incident.", "Give the incident that it is for.")
    return found


def _check_submittable(change: Change, now: Instant, *, soft: bool = False) -> None:
    found = _missing(change, now)
    if found and not soft:
        raise Rejected(
            f"{change.number} cannot be submitted yet.",
            problems=tuple(found),
            remedy="Complete the fields named.",
        )
