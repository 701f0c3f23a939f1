"""What a forwarded incident carries: as fields for a desk with its own incident, as one note for a partner's ticket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import attachments
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import steps
from isthmus.practices.incident.rules.mirroring import STATE
from isthmus.practices.incident.timeline import TimelineItem, timeline

FIELDS: Final = (
    "title",
    "description",
    "impact",
    "urgency",
    "category",
    "root_cause",
    "cause_code",
    "steps",
    "workaround",
)
"""Carried things that are fields of the same name on both incidents."""
STORY_MAX: Final = 40
NOTE_CHARACTERS_MAX: Final = 30_000


def carried(incident: Incident, carries: Sequence[str]) -> dict[str, Any]:
    """Return the carried fields with their values."""
    return {name: getattr(incident, name) for name in fields_of(carries)}


def fields_of(carries: Sequence[str]) -> tuple[str, ...]:
    """Return which fields travel under a contract; a resolution is its state, code and notes."""
    return (*(name for name in FIELDS if name in carries), *(STATE if "resolution" in carries else ()))


def given(incident: Incident) -> dict[str, Any]:
    """Return what a contract may ask for, as it stands on the incident."""
    return {name: getattr(incident, name) for name in (*FIELDS, "ci")}


def ci_name(incident: Incident) -> str:
    """Return the name of the item that is hit, "" if there is none on the map."""
    found = configuration.snapshot_of(incident.organisation).cis.get(incident.ci)
    return found.name if found is not None else ""


def ci_named(organisation: str, name: str) -> str:
    """Return the item of that name on another organisation's map, "" if there is not exactly one."""
    snapshot = configuration.snapshot_of(organisation)
    found = [each for each, ci in snapshot.cis.items() if ci.name == name] if name else []
    return found[0] if len(found) == 1 else ""


def note(incident: Incident, carries: Sequence[str], *, giver: str, taker: str, reason: str) -> str:
    """Return everything that is carried as one text for people."""
    lines = [f"Forwarded from {giver} to {taker}. {reason}".strip()]
    for name, label in (
        ("root_cause", "Root cause"),
        ("cause_code", "Cause code"),
        ("workaround", "Workaround"),
    ):
        if name in carries and getattr(incident, name):
            lines.append(f"{label}: {getattr(incident, name)}")
    if "steps" in carries and incident.steps:
        lines += ["Steps:", *steps.in_words(incident.steps)]
    if "ci" in carries and (name := ci_name(incident)):
        lines.append(f"Affected item: {name}")
    lines += more(incident, carries)
    return "\n".join(lines)[:NOTE_CHARACTERS_MAX]


def more(incident: Incident, carries: Sequence[str]) -> list[str]:
    """Return evidence and timeline as lines: they are no fields of an incident."""
    lines = []
    if "evidence" in carries:
        files = attachments.of(incident.id)
        if files:
            lines += [
                "Evidence:",
                *(f"- {each.filename} ({each.size} bytes, SHA-256 {each.sha256})" for each in files),
            ]
    if "timeline" in carries:
        told = [each for each in timeline(incident) if each.what in {"entry", "alert", "comment", "suspect"}]
        if told:
            lines += ["Timeline:", *(_line(each) for each in told[-STORY_MAX:])]
    return lines


def _line(item: TimelineItem) -> str:
    said = item.text.replace("\n", " ")[:200]
    return f"- {to_rfc3339(Instant(item.at))} {item.title}" + (f": {said}" if said else "")
