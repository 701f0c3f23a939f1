"""What the gate looks at: the question tamed, its items resolved, every fact of the decision gathered.

Authority comes from entries, never from a projection column alone; where both disagree, the facts say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.practices.change import drafting, planning, proof, schedule
from isthmus.practices.change.blueprint import ChangeSection
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules.gate import Asked, Facts, Span, Told
from isthmus.practices.configuration import service as configuration

REFERENCE_CHARACTERS_MAX = 200
CIS_MAX = 200
_LOOK_AHEAD = 14 * 24 * 3600 * SECOND


def tame(request: Mapping[str, Any]) -> Asked:
    problems: list[Problem] = []
    found: dict[str, str] = {}
    for name in ("change", "environment", "artefact_hash"):
        value = request.get(name) or ""
        if not isinstance(value, str) or len(value) > REFERENCE_CHARACTERS_MAX:
            problems.append(
                Problem(
                    path=f"/{name}",
                    message=f"A text of at most {REFERENCE_CHARACTERS_MAX} characters is needed.",
                    remedy="Correct it.",
                )
            )
        else:
            found[name] = value.strip()
    cis = request.get("cis") or []
    if (
        not isinstance(cis, list)
        or len(cis) > CIS_MAX
        or not all(isinstance(each, str) and each.strip() for each in cis)
    ):
        problems.append(
            Problem(
                path="/cis",
                message=f"A list of at most {CIS_MAX} items is needed.",
                remedy="Name each by id, key, name or alias.",
            )
        )
    if not found.get("change") and not problems:
        problems.append(
            Problem(
                path="/change", message="A change must be named.", remedy="Send its number, e.g. CHG-000042."
            )
        )
    if problems:
        raise Rejected(
            "The gate does not understand the question.",
            problems=tuple(problems),
            remedy="Correct the fields named.",
        )
    return Asked(
        reference=found["change"],
        environment=found["environment"],
        artefact_hash=found["artefact_hash"],
        cis=[each.strip() for each in cis],
    )


def resolved(asked: Asked, organisation: str) -> Asked:
    resolved = configuration.resolve(asked.cis, organisation=organisation)
    return msgspec.structs.replace(
        asked,
        cis=sorted({ci for ci in resolved.values() if ci}),
        unresolved=sorted(each for each, ci in resolved.items() if not ci),
    )


def gather(asked: Asked, organisation: str, now: Instant) -> Facts:
    """Return everything that the decision is a function of; authority comes from entries."""
    section = proof.section()
    row = drafting.find(asked.reference, organisation)
    told = proof.proven(row.id, row) if row is not None else None
    if row is None or told is None or told.values["organisation"] != organisation:
        return Facts(now=now, asked=asked)
    change = _told(told, organisation)
    items = set(change.cis)
    report = told.values["impact_report"]
    assessed = change.type == "emergency" or not drafting.outdated(
        report, list(told.values["cis"] or []), organisation, by="path"
    )
    return Facts(
        now=now,
        asked=asked,
        change=change,
        authority=proof.authority(told, section, now),
        calendar=_calendar(row, change, items, organisation, now, section),
        windowed=planning.windowed(items, change.environment, organisation),
        assessed=assessed,
        artefact_needed=section.gate.artefact_needed,
    )


def _told(told: proof.Proven, organisation: str) -> Told:
    values = told.values
    resolved = configuration.resolve(values["cis"] or [], organisation=organisation)
    names = (
        "id",
        "number",
        "type",
        "state",
        "authorisation",
        "risk",
        "window_start",
        "window_end",
        "environment",
        "artefact_hash",
        "incident",
    )
    return Told(
        **{name: values[name] for name in names},
        version=told.version,
        cis=sorted({ci for ci in resolved.values() if ci}),
        unresolved=sorted(each for each, ci in resolved.items() if not ci),
        content_hash=told.content_hash,
        authorised_until=values["authorised_until"],
        review_due_at=values["review_due_at"],
        differs=told.differs,
    )


def _calendar(
    row: Change, change: Told, items: set[str], organisation: str, now: Instant, section: ChangeSection
) -> list[Span]:
    """Return what stands in the calendar now for these items, and the windows of the next days."""
    found = [
        Span(effect=each.effect, name=each.name, starts_at=each.starts_at, ends_at=each.ends_at)  # type: ignore[arg-type]
        for each in planning.items(
            now, Instant(now + _LOOK_AHEAD), organisation=organisation, section=section
        )
        if (each.effect == "window" or each.starts_at <= now)
        and planning.concerns(each, environment=change.environment, cis=items, organisation=organisation)
    ]
    held = schedule.current(organisation, now)
    found += [
        Span(effect="maintenance", name=window.number, starts_at=window.starts_at, ends_at=window.ends_at)
        for ci in sorted(items)
        for window in held.own(ci, now)
        if window.change != row.id
    ]
    return sorted(set(found), key=lambda each: (each.starts_at, each.effect, each.name))
