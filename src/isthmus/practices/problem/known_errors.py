"""Writing known errors, publishing and retiring them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.identity import permissions
from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.errors import Problem as Fault
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import matching, published, taming, verdicts
from isthmus.practices.problem.models import KnownError, Problem
from isthmus.practices.problem.problems import because, who
from isthmus.practices.problem.rules import matching as rules
from isthmus.practices.problem.rules import states
from isthmus.practices.problem.rules.matching import Criteria, Fit

PUBLISH = "problem:publish"


def create(
    work: Work,
    values: Mapping[str, Any],
    *,
    organisation: str,
    incident: incidents.Incident | None = None,
    problem: Problem | None = None,
) -> KnownError:
    """Write a known error, as a draft. Out of an `incident` (or a `problem`) it takes what is not given; the incident
    carries it, confirmed by whoever declared it."""
    given = dict(values)
    if problem is not None:
        given = {**_from_problem(problem), **given}
    if incident is not None:
        given = {**_from_incident(incident), **given}
    tamed = taming.known_error(work, given, organisation=organisation, partial=False)
    text = f"Written by {who(work)}."
    if incident is not None:
        text = f"Declared by {who(work)} out of {incident.number}."
    made = work.create(
        KnownError,
        organisation=organisation,
        values={**tamed, "state": "draft"},
        why=because("known_error.create", text),
        trace=incident.trace if incident is not None else "",
    )
    if incident is not None:
        verdicts.attach(work, incident, made, reason=text, verdict="confirmed")
    return made


def _from_incident(incident: incidents.Incident) -> dict[str, Any]:
    found = {
        "title": incident.title,
        "workaround": incident.workaround or _worked_around(incident),
        "problem": incident.problem,
        "cis": taming.on_map(incident.organisation, [incident.ci]),
        "services": [] if incident.ci else taming.on_map(incident.organisation, [incident.service]),
    }
    return {name: value for name, value in found.items() if value}


def _worked_around(incident: incidents.Incident) -> str:
    return incident.resolution_notes if incident.resolution_code == "workaround" else ""


def _from_problem(problem: Problem) -> dict[str, Any]:
    found = {
        "title": problem.title,
        "problem": problem.id,
        "cis": taming.on_map(problem.organisation, problem.cis or []),
        "services": [] if problem.cis else taming.on_map(problem.organisation, [problem.service]),
    }
    return {name: value for name, value in found.items() if value}


def update(work: Work, known: KnownError, values: Mapping[str, Any]) -> KnownError:
    """Edit a known error. Of one that is published, what is new counts for the incidents to come; that is as good
    as publishing, and needs the same right."""
    if known.state == "published":
        permissions.require(work.actor, PUBLISH, known.organisation)
    tamed = taming.known_error(work, values, organisation=known.organisation, partial=True)
    if known.state == "published":
        _check_whole({"workaround": known.workaround, "fix": known.fix, "link": known.link} | tamed)
        _check_room(known, tamed)
    return work.change(known, tamed, why=because("known_error.update", f"Edited by {who(work)}."))


def publish(work: Work, known: KnownError) -> KnownError:
    """Have it fit incidents from now on. It says what to do: a workaround, or where the fix is."""
    after = states.known_error_after("publish", known.state)
    _check_whole({"workaround": known.workaround, "fix": known.fix, "link": known.link})
    many = KnownError.objects.filter(organisation=known.organisation, state="published").count()
    if many >= published.PUBLISHED_MAX:
        raise Conflict(
            f"{published.PUBLISHED_MAX} known errors are published already.", remedy="Retire some first."
        )
    _check_room(known, {})
    values = {"state": after, "published_at": work.now, "retired_at": None}
    return work.change(known, values, why=because("known_error.publish", f"Published by {who(work)}."))


def retire(work: Work, known: KnownError, *, reason: str = "") -> KnownError:
    """Have it fit no further incident; those that carry it keep it."""
    text = taming.text_of(reason, "reason", most=2_000, needed=False)
    after = states.known_error_after("retire", known.state)
    said = f"Retired by {who(work)}{': ' + text if text else '.'}"
    values = {"state": after, "retired_at": work.now}
    return work.change(known, values, why=because("known_error.retire", said))


def _check_whole(values: Mapping[str, Any]) -> None:
    if any(str(values[name]).strip() for name in ("workaround", "fix", "link")):
        return
    raise Rejected(
        "A published known error says what to do.",
        remedy="Give a workaround, a fix, or the link to it.",
        problems=(Fault(path="/workaround", message="missing", remedy="Say how to go on."),),
    )


def _check_room(known: KnownError, values: Mapping[str, Any]) -> None:
    """Refuse one more condition that would have to be asked of every incident, where there are enough of them."""
    wanted = _criteria(known, values)
    held = published.current(known.organisation)
    already = known.state == "published" and _criteria(known, {}).open_ended
    if wanted.open_ended and not already and held.open_ended >= published.OPEN_ENDED_MAX:
        raise Conflict(
            f"{published.OPEN_ENDED_MAX} published known errors are asked about every incident already.",
            remedy="Name an item, a class, a service or a label that it needs (labels.name == 'text').",
        )


def _criteria(known: KnownError, values: Mapping[str, Any]) -> Criteria:
    """Return what a known error names, with `values` in the place of what it has."""
    held = {name: getattr(known, name) for name in ("cis", "classes", "services", "condition")} | {
        name: value for name, value in values.items() if name in {"cis", "classes", "services", "condition"}
    }
    return published.criteria_of(known.id, known.number, known.version, **held)


def trial(known: KnownError, incident: incidents.Incident, alerts: list[Any]) -> Fit | None:
    """Return why a known error, as it stands, would fit an incident with these alerts; None if it would not.

    Whether it is published does not matter here: it is what its author wants to know before. `Rejected` says why its
    condition cannot be evaluated.
    """
    if incident.organisation != known.organisation:
        return None
    criteria = _criteria(known, {})
    asked = matching.Asked(incident=incident, alerts=alerts[: matching.ALERTS_MAX])
    snapshot = configuration.snapshot_of(known.organisation)
    found, broken = rules.Published([criteria]).find(matching.subjects(asked, snapshot), most=1)
    for cause in () if found else broken.values():
        raise Rejected(f"Its condition cannot be evaluated: {cause}", remedy="Correct the condition.")
    return found[0] if found else None
