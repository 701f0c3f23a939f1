"""What does a pager hear about an alert that is mirrored there? Pure; decided from how the alert stands, not from events.

Worked example: a critical alert opens an incident, so the pager hears `notify`; Ada takes it, and the pager hears
`acknowledge`; it clears, and the pager hears `resolve`. An alert that was never raised there is never resolved there,
one that fires again is raised again, and the pager's own alerts are not mirrored to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.practices.monitoring.rules.groups import HOLDING
from isthmus.practices.monitoring.rules.occurrence import FIRING

Verb = Literal["notify", "acknowledge", "resolve"]
PREFIX = "mirror:"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A pager and which alerts go there. `sources`: connections (empty: all). `recipient`: what the pager shows as
    where it comes from."""

    connection: str
    severities: frozenset[str]
    sources: frozenset[str] = frozenset()
    recipient: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An alert as the decision needs it."""

    connection: str
    severity: str
    state: str
    decision: str
    taken: bool


def wanted(mirror: Mirror, alert: Subject) -> bool:
    """Return whether an alert belongs at a pager as it stands."""
    return (
        alert.state == FIRING
        and alert.decision in HOLDING
        and alert.severity in mirror.severities
        and alert.connection != mirror.connection
        and (not mirror.sources or alert.connection in mirror.sources)
    )


def concerned(declared: Sequence[Mirror], told: Mapping[str, Any] | None) -> list[Mirror]:
    """Return the pagers of an alert: those declared, and those that heard of it before they were taken out of the
    blueprint. The latter want nothing more, but hear of its end."""
    known = {each.connection for each in declared}
    heard = [name.removeprefix(PREFIX) for name in told or () if name.startswith(PREFIX)]
    left = [Mirror(connection=name, severities=frozenset()) for name in heard if name not in known]
    return [*declared, *left]


def said(mirror: Mirror, told: Mapping[str, Any] | None) -> str:
    """Return what a pager heard last of an alert, "" if nothing."""
    return str(((told or {}).get(PREFIX + mirror.connection) or {}).get("verb", ""))


def decide(mirror: Mirror, alert: Subject, told: Mapping[str, Any] | None) -> list[Verb]:
    """Return what a pager hears now, in order."""
    last = said(mirror, told)
    if last in {"", "resolve"}:
        if not wanted(mirror, alert):
            return []
        return ["notify", "acknowledge"] if alert.taken else ["notify"]
    if alert.state != FIRING:
        return ["resolve"]
    return ["acknowledge"] if alert.taken and last == "notify" else []
