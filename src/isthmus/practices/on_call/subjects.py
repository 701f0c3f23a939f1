"""What can be escalated: each kind says what it is right now, in facts with their classes of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isthmus.kernel.errors import Bug, IsthmusError
from isthmus.kernel.instant import Instant
from isthmus.practices.approval import service as approvals
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.rules.wording import Fact

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

FREE, INTERNAL, MACHINE = "free_text", "internal", "operational"
SEVERITIES: Mapping[str, str] = {"1": "critical", "2": "error", "3": "warning", "4": "informational"}


@dataclass(frozen=True, kw_only=True)
class View:
    """A subject as it is. `open`: it still needs somebody. `owner` is the rota that owns it, `path` its page."""

    open: bool
    label: str
    path: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    severity: str = "error"
    assigned: str = ""
    owner: str = ""
    deadline: Instant | None = None


Viewer = Callable[["Work", str, str], View | None]
"""`viewer(work, subject, organisation)`."""

_viewers: dict[str, Viewer] = {}


def register(kind: str, viewer: Viewer) -> None:
    """Let subjects of `kind` be escalated; called once, from `ready`."""
    held = _viewers.get(kind)
    if held is not None and held is not viewer:
        raise Bug(f"Two parts bring {kind!r} to escalation.")
    _viewers[kind] = viewer


def view(work: Work, kind: str, subject: str, organisation: str) -> View | None:
    """Return a subject as it is now; None if it is gone."""
    viewer = _viewers.get(kind)
    return None if viewer is None else viewer(work, subject, organisation)


def known() -> tuple[str, ...]:
    """Return the kinds that can be escalated."""
    return tuple(sorted(_viewers))


def incident(work: Work, subject: str, organisation: str) -> View | None:
    """Return an incident: its words are free text, its states are not."""
    try:
        found = incidents.get(work, subject)
    except IsthmusError:
        return None
    if found.organisation != organisation:
        return None
    names = names_of(found)
    owners = section().owners
    owner = next((owners.services[each] for each in names if each in owners.services), owners.otherwise)
    deadline = found.resolve_by if found.state != "new" or not found.respond_by else found.respond_by
    return View(
        open=found.state in {"new", "in_progress", "on_hold"},
        label=found.number,
        path=f"/incidents/{found.id}",
        severity=SEVERITIES.get(found.priority, "error"),
        assigned=found.assignment_group,
        owner=owner,
        deadline=None if deadline is None else Instant(deadline),
        facts={
            "number": Fact(value=found.number, data_class=INTERNAL),
            "subject": Fact(value=found.number, data_class=INTERNAL),
            "title": Fact(value=found.title, data_class=FREE),
            "priority": Fact(value=found.priority, data_class=INTERNAL),
            "state": Fact(value=found.state.replace("_", " "), data_class=INTERNAL),
            "group": Fact(value=found.assignment_group or "–", data_class=INTERNAL),
            "service": Fact(value=names[0] if names else "–", data_class=INTERNAL),
        },
    )


def _names(organisation: str, *ids: str) -> list[str]:
    cis = configuration.snapshot_of(organisation).cis
    return [cis[each].name for each in ids if each in cis]


def approval(work: Work, subject: str, organisation: str) -> View | None:
    """Return a decision that somebody is asked for."""
    del work
    try:
        found = approvals.of(subject)
    except IsthmusError:
        return None
    if found.organisation != organisation:
        return None
    path = f"/changes/{found.subject}" if found.subject_kind == "change" else f"/trace/{found.id}"
    label = f"{found.subject_kind} {found.definition}".strip()
    return View(
        open=found.state == "awaiting",
        label=label,
        path=path,
        severity="warning",
        owner=section().owners.otherwise,
        deadline=None if found.expires_at is None else Instant(found.expires_at),
        facts={
            "number": Fact(value=label, data_class=INTERNAL),
            "subject": Fact(value=label, data_class=INTERNAL),
            "authority": Fact(value=found.authority, data_class=INTERNAL),
            "state": Fact(value=found.state, data_class=INTERNAL),
        },
    )


def connection(work: Work, subject: str, organisation: str) -> View | None:
    """Return a connection; whether it still fails is said by the watch, which stops what has passed."""
    del work, organisation
    owners = section().owners
    return View(
        open=True,
        label=subject,
        path="/systems",
        severity="critical",
        owner=owners.connections.get(subject, owners.otherwise),
        facts={
            "number": Fact(value=subject, data_class=MACHINE),
            "subject": Fact(value=subject, data_class=MACHINE),
            "connection": Fact(value=subject, data_class=MACHINE),
        },
    )


def declare() -> None:
    """Register the kinds that come with Isthmus."""
    register("incident", incident)
    register("approval", approval)
    register("connection", connection)


def names_of(found: incidents.Incident) -> list[str]:
    """Return the names of an incident's service and item on the map."""
    return _names(found.organisation, found.service, found.ci)
