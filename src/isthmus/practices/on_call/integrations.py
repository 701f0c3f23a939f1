"""Watches connections and escalates to whoever owns them: dead letters, an open breaker, messages that could not be
taken, a source that has fallen silent. A failure that has passed stops its ladder by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.db.models import Min

from isthmus.hub import connections, due
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ConnectionState, Due, ParkedMessage
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import Instant
from isthmus.ledger import organisations
from isthmus.practices.on_call import escalating
from isthmus.practices.on_call.blueprint import OnCallSection
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.models import Escalation

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

WATCH = "on_call.watch"
Failing = Mapping[tuple[str, str], int]
"""(connection, failure) → since when."""


def begin(work: Work, organisation: str) -> None:
    """Set the watch when a blueprint is applied; setting it again only brings it forward."""
    del organisation
    root = organisations.root()
    due.schedule(work, WATCH, root, work.now, organisation=root)


def watch(work: Work, row: Due, now: Instant) -> None:
    """Compare what fails with what is escalated, and look again after a while."""
    found = section()
    policies = [each for each in found.policies if each.trigger == "integration"]
    if policies:
        due.schedule(
            work,
            WATCH,
            row.subject,
            Instant(now + microseconds(found.watch.every)),
            organisation=row.organisation,
        )
    failing = observed(found, now) if policies else {}
    homes = {name: each.organisation for name, each in connections.in_force().items()}
    wanted: set[str] = set()
    for (connection, failure), since in sorted(failing.items()):
        for policy in policies:
            if policy.failures and failure not in policy.failures:
                continue
            if policy.connections and connection not in policy.connections:
                continue
            key = f"integration:{policy.name}:{failure}:{connection}"
            wanted.add(key)
            escalating.start(
                work, key=key, policy=policy.name, trigger="integration", ladder=policy.ladder, subject_kind="connection",
                subject=connection, organisation=homes[connection], facts={"failure": failure, "since": since},
            )  # fmt: skip
    for each in Escalation.objects.filter(trigger="integration", open=True).exclude(key__in=wanted):
        escalating.stop(work, each, "The failure has passed.")


def observed(found: OnCallSection, now: Instant) -> Failing:
    """Return what fails right now; three grouped queries whatever the number of deliveries."""
    homes = {name: each.organisation for name, each in connections.in_force().items()}
    failing: dict[tuple[str, str], int] = {}
    dead = Delivery.objects.filter(state="dead", connection__in=homes).order_by().values("connection")
    for row in dead.annotate(since=Min("updated_at")):
        failing[row["connection"], "dead_letter"] = row["since"]
    parked = (
        ParkedMessage.objects.filter(state="parked", connection__in=homes).order_by().values("connection")
    )
    for row in parked.annotate(since=Min("parked_at")):
        failing[row["connection"], "parked"] = row["since"]
    for state in ConnectionState.objects.filter(connection__in=homes):
        if state.organisation != homes[state.connection]:
            continue
        if state.breaker in {"open", "half_open"}:
            failing[state.connection, "breaker"] = state.last_error_at or now
        silence = found.watch.silent_after.get(state.connection)
        if silence is not None and state.last_received_at is not None:
            until = state.last_received_at + microseconds(silence)
            if until <= now:
                failing[state.connection, "silent"] = state.last_received_at
    return failing
