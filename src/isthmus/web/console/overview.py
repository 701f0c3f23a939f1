"""Overview: what needs me now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count
from django.http import HttpRequest, HttpResponse

from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ParkedMessage
from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.instant import DAY, MINUTE, Instant
from isthmus.ledger.ids import source
from isthmus.web import records, visible
from isthmus.web.charts.bars import Bar, bars
from isthmus.web.charts.frame import Chart
from isthmus.web.charts.funnel import funnel
from isthmus.web.charts.shares import Part, shares
from isthmus.web.console import systems
from isthmus.web.console.screen import me, page, screen
from isthmus.web.lists.tables.incidents import OPEN_STATES

NEEDS_MAX: Final = 20
PER_KIND_MAX: Final = 10
DEAD_READ_MAX: Final = 500
SOON: Final = 30 * MINUTE
LOOK_BACK: Final = 7 * DAY
_RANK: Final = {"breach": 0, "system": 1, "dead": 2, "approval": 3, "conflict": 4, "soon": 5, "parked": 6}


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that waits for a person: what it is, where to go, why it is here, since when."""

    rank: str
    tone: str
    label: str
    text: str
    why: str
    href: str
    at: int


@screen("overview:read")
def index(request: HttpRequest) -> HttpResponse:
    now = source.now()
    actor = me(request)
    cards = systems.cards(now) if permissions.allowed(actor, "system:read") else []
    found = sorted(_needs(actor, cards, now), key=lambda each: (_RANK[each.rank], each.at))
    context = {
        "title": "Overview",
        "needs": found[:NEEDS_MAX],
        "more": max(0, len(found) - NEEDS_MAX),
        "charts": [_became(now), _backlog(cards), _targets(now), _changes(now)],
    }
    return page(request, "console/overview.html", context)


def _needs(actor: Actor, cards: Iterable[systems.Card], now: Instant) -> list[Need]:
    found: list[Need] = []
    if permissions.allowed(actor, "incident:read"):
        found += _late_incidents(now)
    found += [_sick(card) for card in cards if card.status()[0] == "bad"]
    if permissions.allowed(actor, "approval:read"):
        found += _approvals(actor)
    if permissions.allowed(actor, "alert:read"):
        found += _drafts()
        found += _fallen()
    if permissions.allowed(actor, "conflict:read"):
        found += _conflicts()
    if permissions.allowed(actor, "delivery:read"):
        found += _dead()
        found += _parked()
    return found


def _late_incidents(now: Instant) -> list[Need]:
    rows = (
        records.of("incident")
        .filter(state__in=OPEN_STATES, resolve_by__lt=now + SOON)
        .order_by("resolve_by")[:PER_KIND_MAX]
    )
    return [
        Need(
            rank="breach" if each.resolve_by <= now else "soon",
            tone="bad" if each.resolve_by <= now else "warn",
            label="Target missed" if each.resolve_by <= now else "Target near",
            text=f"{each.number} {each.title}",
            why=f"P{each.priority}, with {each.assignment_group or 'nobody'}",
            href=f"/incidents/{each.id}",
            at=each.resolve_by,
        )
        for each in rows
    ]


def _sick(card: systems.Card) -> Need:
    fault = card.fault
    return Need(
        rank="system",
        tone="bad",
        label="System",
        text=f"{card.name}: {card.status()[1]}",
        why=f"{fault.text} {fault.remedy}"
        if fault is not None
        else f"{card.state.last_error} {card.state.last_error_remedy}",
        href="/systems",
        at=(card.state.last_error_at or 0) if card.state is not None else 0,
    )


def _approvals(actor: Actor) -> list[Need]:
    rows = list(
        records.of("approval")
        .filter(state="awaiting")
        .exclude(requester=actor.id)
        .order_by("id")[:PER_KIND_MAX]
    )
    changes = records.by_ids("change", [each.subject for each in rows])
    return [
        Need(
            rank="approval",
            tone="now",
            label="Approval",
            text=f"{changes[each.subject].number} {changes[each.subject].title}"
            if each.subject in changes
            else each.subject,
            why=f"waits for {each.authority or 'an approver'}",
            href=f"/changes/{each.subject}",
            at=each.created_at,
        )
        for each in rows
    ]


def _conflicts() -> list[Need]:
    rows = list(records.of("conflict").filter(state="open").order_by("id")[:PER_KIND_MAX])
    names: dict[str, str] = {}
    for kind in ("incident", "change"):
        names |= records.titles(kind, [each.record for each in rows if each.record_kind == kind], "number")
    return [
        Need(
            rank="conflict", tone="warn", label="Conflict", text=f"{names.get(each.record, each.record_kind)}: two values for {each.field}", why=f"rule {each.rule or 'manual'}",
            href=f"/conflicts/{each.id}", at=each.created_at,
        )
        for each in rows
    ]  # fmt: skip


def _dead() -> list[Need]:
    """Dead letters, one line per system: what is wrong with one is mostly wrong with all."""
    lanes: dict[str, list[Any]] = {}
    for each in visible.rows(Delivery).filter(state="dead").order_by("updated_at")[:DEAD_READ_MAX]:
        lanes.setdefault(each.connection, []).append(each)
    return [
        Need(
            rank="dead", tone="bad", label="Dead letter", text=f"{name}: {len(rows)} could not be delivered",
            why=f"{rows[0].cause} {rows[0].remedy}", href=f"/deliveries?connection={name}&state=dead", at=rows[0].updated_at,
        )
        for name, rows in lanes.items()
    ]  # fmt: skip


def _drafts() -> list[Need]:
    rows = records.of("alert").filter(decision="drafted", open=True, state="firing").order_by("created_at")
    return [
        Need(
            rank="soon", tone="warn", label="Draft", text=each.summary or each.identity, why="Is this an incident?",
            href="/drafts", at=each.created_at,
        )
        for each in rows[:PER_KIND_MAX]
    ]  # fmt: skip


def _fallen() -> list[Need]:
    """Classes of alerts that lost full automation lately: somebody should know why."""
    rows = records.of("automation_mode").filter(
        full_permitted=False, wrong__gt=0, since__gt=source.now() - LOOK_BACK
    )
    return [
        Need(
            rank="conflict", tone="warn", label="Accuracy", text=f"{each.alert_class} is drafted", why=each.said,
            href="/accuracy", at=each.since,
        )
        for each in rows.order_by("since")[:PER_KIND_MAX]
    ]  # fmt: skip


def _parked() -> list[Need]:
    rows = visible.rows(ParkedMessage).filter(state="parked", behind="").order_by("parked_at")[:PER_KIND_MAX]
    return [
        Need(
            rank="parked", tone="warn", label="Parked", text=f"A message of {each.connection} could not be taken", why=f"{each.cause} {each.remedy}",
            href="/deliveries?lane=parked", at=each.parked_at,
        )
        for each in rows
    ]  # fmt: skip


def _became(now: Instant) -> Chart:
    alerts = records.of("alert").filter(created_at__gte=now - LOOK_BACK, synthetic=False)
    decided: dict[str, int] = {
        row["decision"]: row["count"] for row in alerts.values("decision").annotate(count=Count("id"))
    }
    total = sum(decided.values())
    quiet = sum(
        count
        for decision, count in decided.items()
        if decision.startswith("suppressed") or decision in {"informational", "recorded_only"}
    )
    opened = (
        records.of("incident")
        .filter(created_at__gte=now - LOOK_BACK, synthetic=False)
        .exclude(correlation_key="")
        .count()
    )
    return funnel(
        "became",
        title="What alerts became",
        description="Last seven days",
        definition="Alerts by first seen time, probes left out. Kept: neither suppressed nor merely recorded. Incidents: opened from alerts.",
        steps=[("alerts", total), ("kept", total - quiet), ("incidents", opened)],
    )


def _backlog(cards: Iterable[systems.Card]) -> Chart:
    lines = [
        Bar(
            name=card.name,
            value=card.backlog + card.state.lag_messages,
            shown=f"{card.backlog} out, {card.state.lag_messages} in",
            tone={"bad": "bad", "warn": "warn"}.get(card.status()[0], "now"),
        )
        for card in cards
        if card.fault is None
    ]
    return bars(
        "backlog",
        title="Backlog per system",
        description="Waiting now",
        definition="Out: deliveries that wait for the system. In: messages from it that are stored and not processed yet.",
        column="Waiting",
        lines=lines,
    )


def _targets(now: Instant) -> Chart:
    rows = records.of("sla_clock").filter(
        record_kind="incident", target="resolution", started_at__gte=now - LOOK_BACK, synthetic=False
    )
    lines: dict[str, list[int]] = {level: [0, 0, 0] for level in ("1", "2", "3", "4")}
    for level, state, breached in rows.exclude(state="cancelled").values_list(
        "priority", "state", "breached"
    )[:50_000]:
        if level in lines:
            lines[level][1 if breached else 0 if state == "stopped" else 2] += 1
    return shares(
        "targets",
        title="Resolution targets",
        description="Clocks started in the last seven days",
        definition="In time: stopped within the target. Late: more working time counted than the target. Running: open and within it. Cancelled and probes are left out.",
        lines=[
            (
                f"P{level}",
                [
                    Part(label="in time", count=a, tone="good"),
                    Part(label="late", count=b, tone="bad"),
                    Part(label="running", count=c, tone="now"),
                ],
            )
            for level, (a, b, c) in lines.items()
        ],
    )


def _changes(now: Instant) -> Chart:
    rows = records.of("change").filter(closed_at__gte=now - 30 * DAY, synthetic=False, state="closed")
    lines: dict[str, list[int]] = {kind: [0, 0] for kind in ("standard", "normal", "emergency")}
    for kind, outcome in rows.values_list("type", "outcome"):
        if kind in lines:
            lines[kind][0 if outcome in {"successful", "success", ""} else 1] += 1
    return shares(
        "changes",
        title="Change success",
        description="Closed in the last thirty days",
        definition="Successful: closed with outcome successful. Not: backed out, failed, or with an incident it caused.",
        lines=[
            (
                kind.capitalize(),
                [Part(label="successful", count=a, tone="good"), Part(label="not", count=b, tone="bad")],
            )
            for kind, (a, b) in lines.items()
        ],
    )
