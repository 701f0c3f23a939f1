"""The story of one incident: entries, comments of every system, alerts, deliveries, in one order with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.incident import INCIDENT
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import reading
from isthmus.practices.incident import attachments, comments, hooks
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.suspects import suspects

ALERTS_MAX = 200
"""Most alerts of one incident that its story tells, the first ones."""
DELIVERIES_MAX = 200


@dataclass(frozen=True, kw_only=True)
class TimelineItem:
    """One thing that happened. `what`: entry, decision, comment, attachment, alert, suspect, known_error, link or
    delivery.

    `at` is when it happened, `recorded_at` when the hub knew; `origin` the channel or connection it came by.
    `changes`: field → [old, new]; `why` the reasons on record.
    """

    at: Instant
    recorded_at: Instant
    what: str
    title: str
    text: str = ""
    actor: str = ""
    origin: str = ""
    record: str = ""
    version: int = 0
    trace: str = ""
    changes: dict[str, list[Json]] = field(default_factory=dict)
    why: tuple[Reason, ...] = ()


def timeline(incident: Incident) -> list[TimelineItem]:
    """Return the story of an incident, oldest first."""
    found = [
        *_entries(incident),
        *_comments(incident),
        *_attachments(incident),
        *_alerts(incident),
        *_suspects(incident),
        *_known_errors(incident),
        *_links(incident),
    ]
    return sorted(found, key=lambda each: (each.recorded_at, each.what != "entry", each.record, each.version))


def _entries(incident: Incident) -> Iterable[TimelineItem]:
    for entry in reading.history(incident.id):
        changed = ", ".join(name.replace("_", " ") for name in entry.changes)
        yield TimelineItem(
            at=entry.occurred_at,
            recorded_at=entry.recorded_at,
            what="entry" if entry.changes else "decision",
            title="Opened" if entry.version == 1 else f"Changed: {changed}" if entry.changes else "Decided",
            text=" ".join(reason.text for reason in entry.why),
            actor=entry.actor,
            origin=entry.connection or entry.channel,
            record=entry.record,
            version=entry.version,
            trace=entry.trace,
            changes={
                name: [old, new] for name, (old, new) in entry.changes.items() if name in INCIDENT.by_name
            },
            why=tuple(entry.why),
        )


def _comments(incident: Incident) -> Iterable[TimelineItem]:
    for each in comments.of(incident.id):
        yield TimelineItem(
            at=Instant(each.written_at or each.created_at),
            recorded_at=Instant(each.created_at),
            what="comment",
            title="Public comment" if each.public else "Work note",
            text=each.body,
            actor=each.author_label or each.author,
            origin=each.connection or each.channel,
            record=each.id,
            version=each.version,
            trace=each.trace,
        )


def _attachments(incident: Incident) -> Iterable[TimelineItem]:
    for each in attachments.of(incident.id):
        stored = each.state == "stored"
        yield TimelineItem(
            at=Instant(each.added_at or each.created_at),
            recorded_at=Instant(each.created_at),
            what="attachment",
            title=f"File: {each.filename}" if stored else f"File too large to travel: {each.filename}",
            text=f"{each.size} bytes, SHA-256 {each.sha256}"
            if stored
            else f"{each.size} bytes, left at {each.connection}",
            actor=each.author_label or each.author,
            origin=each.connection or each.channel,
            record=each.id,
            version=each.version,
            trace=each.trace,
        )


def _alerts(incident: Incident) -> Iterable[TimelineItem]:
    # Monitoring builds on incidents; only this story looks back.
    from isthmus.practices.monitoring import service as monitoring

    for each in monitoring.alerts_of(incident.id)[:ALERTS_MAX]:
        yield TimelineItem(
            at=Instant(each.starts_at or each.created_at),
            recorded_at=Instant(each.created_at),
            what="alert",
            title=f"{each.decision.replace('_', ' ').capitalize()}: {each.summary}",
            text=each.decision_reason,
            origin=each.connection,
            record=each.id,
            version=each.version,
            trace=each.trace,
        )


def _suspects(incident: Incident) -> Iterable[TimelineItem]:
    for each in suspects(incident):
        yield TimelineItem(
            at=Instant(each.created_at),
            recorded_at=Instant(each.created_at),
            what="suspect",
            title=f"Suspect change, {each.hops} hop(s) away ({each.verdict})",
            text=each.reason,
            record=each.change,
            version=each.version,
            trace=each.trace,
        )


def _known_errors(incident: Incident) -> Iterable[TimelineItem]:
    for each in hooks.known_errors(incident):
        if each.at is not None:
            yield TimelineItem(
                at=each.at,
                recorded_at=each.at,
                what="known_error",
                title=f"Known error {each.number} ({each.verdict})",
                text=" ".join(part for part in (each.why, each.note) if part),
                record=each.id,
                version=each.version,
                trace=each.trace,
            )


def _links(incident: Incident) -> Iterable[TimelineItem]:
    from isthmus.hub.lanes.models import Delivery
    from isthmus.hub.sync import service as sync

    links: list[Any] = list(sync.links_of(incident.id))
    for link in links:
        yield from _link(link)
    owed = [incident.id, *(link.id for link in links)]
    rows = Delivery.objects.filter(organisation=incident.organisation, subject__in=owed).order_by(
        "created_at"
    )
    for each in rows[:DELIVERIES_MAX]:
        yield TimelineItem(
            at=Instant(each.updated_at),
            recorded_at=Instant(each.updated_at),
            what="delivery",
            title=f"{each.verb or each.kind} to {each.connection}: {each.state}",
            text=" ".join(part for part in (each.outcome, each.cause, each.remedy) if part),
            origin=each.connection,
            record=each.id,
            trace=each.trace,
        )


def _link(link: Any) -> Iterable[TimelineItem]:
    """Tell when a ticket on another system was made, found or cut off."""
    name = link.external_label or link.external_key or "a ticket to be made"
    for entry in reading.history(link.id):
        state = entry.changes.get("state", (None, None))[1]
        key = entry.changes.get("external_key", (None, None))[1]
        if entry.version != 1 and state is None and key is None:
            continue
        yield TimelineItem(
            at=entry.occurred_at,
            recorded_at=entry.recorded_at,
            what="link",
            title=f"{link.connection}: {name}" + (f" ({state})" if state else ""),
            text=" ".join(reason.text for reason in entry.why),
            actor=entry.actor,
            origin=link.connection,
            record=link.id,
            version=entry.version,
            trace=entry.trace,
            why=tuple(entry.why),
        )
