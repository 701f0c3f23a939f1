"""Incidents of PagerDuty as alerts: typed shapes for webhooks v3 and REST v2, one way, pure.

To the hub a PagerDuty incident is an alert: something that somebody is paged about. Who acknowledged it there
travels inward with it. An incident that the hub raised itself is none, or it would page about its own pages: of it only
comes in that somebody there looks after it, as if they had pressed a button in a message.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.alerts import alert, moment
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.events import is_own_key
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

Moment = Annotated[dt.datetime, Meta(tz=True)]
Id = Annotated[str, Meta(min_length=1, max_length=100)]
Status = Literal["triggered", "acknowledged", "resolved"]

WHAT: Mapping[str, str] = {
    "trigger_log_entry": "triggered",
    "acknowledge_log_entry": "acknowledged",
    "unacknowledge_log_entry": "unacknowledged",
    "resolve_log_entry": "resolved",
    "reopen_log_entry": "reopened",
    "assign_log_entry": "reassigned",
    "escalate_log_entry": "escalated",
    "priority_change_log_entry": "priority_updated",
    "urgency_change_log_entry": "urgency_updated",
}
"""Type of a log entry → the word of the webhook's event type for the same thing."""


LOOKED_AFTER = frozenset({"acknowledged", "resolved"})
"""After these somebody at PagerDuty looks after an incident of ours, or did: no ladder needs to go on about it."""


class Reference(Struct, frozen=True):
    """A reference to another object of PagerDuty."""

    id: str = ""
    summary: str | None = None
    html_url: str | None = None


class Acknowledgement(Struct, frozen=True):
    """Who acknowledged an incident, and when (REST only)."""

    at: Moment
    acknowledger: Reference = Reference()


class Assignment(Struct, frozen=True):
    """Whom an incident is assigned to (REST only)."""

    assignee: Reference = Reference()


class Incident(Struct, frozen=True):
    """An incident, as webhooks and REST both show it."""

    id: Id
    status: Status
    title: str
    created_at: Moment
    number: int | None = None
    incident_number: int | None = None
    incident_key: str | None = None
    html_url: str = ""
    urgency: str = ""
    service: Reference | None = None
    priority: Reference | None = None
    escalation_policy: Reference | None = None
    assignees: list[Reference] = []
    teams: list[Reference] = []
    last_status_change_at: Moment | None = None
    acknowledgements: list[Acknowledgement] = []
    assignments: list[Assignment] = []

    def assigned(self) -> list[Reference]:
        """Return whom it is assigned to: webhooks and REST say it in two ways."""
        return self.assignees or [each.assignee for each in self.assignments]


class Event(Struct, frozen=True):
    """What a webhook tells. `data` is an incident only for some of the types."""

    id: Id
    event_type: Annotated[str, Meta(min_length=1, max_length=100)]
    resource_type: str
    occurred_at: Moment
    data: dict[str, Any]
    agent: Reference | None = None


class Envelope(Struct, frozen=True):
    """The body of a webhook v3."""

    event: Event


class LogEntry(Struct, frozen=True):
    """One entry of an incident's log, with the incident as it is now (`include[]=incidents`)."""

    id: Id
    type: str
    created_at: Moment
    incident: Incident
    agent: Reference | None = None


def from_event(
    event: Event, incident: Incident, connection: str, config: PagerDutyConfig
) -> Observation | None:
    """Return the alert that a webhook speaks of; None if it is ours and nobody looks after it."""
    what = event.event_type.removeprefix("incident.")
    at = moment(event.occurred_at)
    return _seen(incident, what, at, event.agent, connection, config)


def from_listed(incident: Incident, connection: str, config: PagerDutyConfig) -> Observation | None:
    """Return the alert of a listed incident: its last change of state is the event."""
    at = moment(incident.last_status_change_at or incident.created_at)
    actor = incident.acknowledgements[-1].acknowledger if incident.acknowledgements else None
    return _seen(incident, incident.status, at, actor, connection, config)


def from_log(entry: LogEntry, connection: str, config: PagerDutyConfig) -> Observation | None:
    """Return the alert as it is now, with the log entry that made us look as the event."""
    at = moment(entry.created_at)
    return _seen(entry.incident, WHAT[entry.type], at, entry.agent, connection, config)


def own_key(incident: Incident, config: PagerDutyConfig) -> str:
    """Return the key under which this hub raised the incident, "" if it did not.

    PagerDuty leaves the key out of incidents with alerts of their own; then the mark in the title names it, as `#<mark>`.
    """
    key = incident.incident_key or ""
    mark = "" if key else marks.found(incident.title)
    return f"#{mark}" if mark else key if is_own_key(key, config) else ""


def _seen(
    incident: Incident,
    what: str,
    at: Instant | None,
    actor: Reference | None,
    connection: str,
    config: PagerDutyConfig,
) -> Observation | None:
    own = own_key(incident, config)
    if not own:
        return _observation(incident, what, at, actor, connection, config)
    since = _since(incident, what, at)
    if incident.status not in LOOKED_AFTER or since is None:
        return None
    event_id = _event_id(incident, incident.status, since)
    who = incident.acknowledgements[-1].acknowledger if incident.acknowledgements else actor
    return Observation(
        kind="acknowledgement",
        external=ExternalRef(connection=connection, kind="button", key=event_id, url=incident.html_url),
        values={
            "notification": own, "action": "acknowledge", "comment": f"{incident.status.capitalize()} in PagerDuty.",
        },
        event_id=event_id,
        occurred_at=since,
        partner_actor=_said(who),
    )  # fmt: skip


def _since(incident: Incident, what: str, at: Instant | None) -> Instant | None:
    """Return since when an incident has its status, None if nobody says: what happens to it later (its priority
    changes) is not acknowledged anew. Webhooks tell no such time, so of them only the change itself counts."""
    if incident.last_status_change_at is not None:
        return moment(incident.last_status_change_at)
    return at if what == incident.status else None


def _event_id(incident: Incident, what: str, at: Instant | None) -> str:
    return f"{incident.id}:{what}:{0 if at is None else at // SECOND}"


def _observation(
    incident: Incident,
    what: str,
    at: Instant | None,
    actor: Reference | None,
    connection: str,
    config: PagerDutyConfig,
) -> Observation:
    number = incident.number or incident.incident_number
    severities = {name.lower(): severity for name, severity in config.urgencies.items()}
    priority = _said(incident.priority)
    word = priority if priority.lower() in severities else incident.urgency
    started = moment(incident.created_at)
    resolved = incident.status == "resolved"
    assigned = incident.assigned()
    return alert(
        connection=connection,
        key=incident.id,
        label="" if number is None else f"#{number}",
        url=incident.html_url,
        state="resolved" if resolved else "firing",
        summary=incident.title,
        labels={
            "service": _said(incident.service),
            "priority": priority,
            "urgency": incident.urgency,
            "escalation_policy": _said(incident.escalation_policy),
            "team": ", ".join(sorted(_said(each) for each in incident.teams)),
        },
        annotations={"incident_key": incident.incident_key or ""},
        severity=word,
        severities=severities,
        starts_at=started,
        ends_at=at if resolved else None,
        occurred_at=at,
        event_id=_event_id(incident, what, at),
        actor=_said(actor),
        more=_acknowledgement(incident, what, at, actor),
        evidence={"assignees": [_said(each) for each in assigned]} if assigned else None,
    )


def _acknowledgement(
    incident: Incident, what: str, at: Instant | None, actor: Reference | None
) -> dict[str, Json]:
    """Return the partner's own acknowledgement; a webhook names the person only when they do it."""
    if incident.status == "resolved":
        return {}
    held: dict[str, Json] = {"acknowledged": incident.status == "acknowledged"}
    if incident.status != "acknowledged":
        return held
    if incident.acknowledgements:
        last = incident.acknowledgements[-1]
        return {
            **held,
            "acknowledged_by": _said(last.acknowledger),
            "acknowledged_at": moment(last.at),
        }
    if what == "acknowledged":
        held |= {"acknowledged_by": _said(actor), "acknowledged_at": at}
    return held


def _said(reference: Reference | None) -> str:
    return "" if reference is None else reference.summary or reference.id
