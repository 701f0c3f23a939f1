"""What the engine forgets of work that is settled: deliveries, outcomes of messages, parked messages.

None of it is a truth of its own: what was changed, sent, parked and given up stands in the journal. The rows
tell it one by one for as long as the connection's terms say (`limits`); what is removed is journalled as a
count, once per connection and hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet

from isthmus.hub import connections, leases, metrics
from isthmus.hub.blueprint import Terms
from isthmus.hub.lanes.effects import ONCE
from isthmus.hub.lanes.models import SETTLED_STATES, Delivery
from isthmus.hub.models import OutcomeSegment, ParkedMessage
from isthmus.hub.pump import parking
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant, to_rfc3339
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.door import perform

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

ROWS_MAX: Final = 2_000
"""Rows of one kind and connection that one Work removes: the right to write is held for a moment only."""
EVERY: Final = HOUR
LEASE: Final = "pruner"
HELD_FOR: Final = MINUTE


@dataclass(frozen=True)
class Kind:
    """A table with settled rows: what the metric and the journal call them, which are past `before`, and how long
    the terms of a connection keep them."""

    what: str
    model: type[Any]
    days: str

    def past(self, before: int) -> QuerySet[Any]:
        """Return the settled rows whose time is over, of every connection."""
        if self.model is Delivery:
            # A level is one row per link, used again and again: only effects pile up.
            return Delivery.objects.filter(kind=ONCE, state__in=SETTLED_STATES, done_at__lt=before)
        if self.model is ParkedMessage:
            return ParkedMessage.objects.exclude(state=parking.PARKED).filter(parked_at__lt=before)
        return OutcomeSegment.objects.filter(received_to__lt=before)


KINDS: Final = (
    Kind("deliveries", Delivery, "delivery_days"),
    Kind("outcomes", OutcomeSegment, "outcome_days"),
    Kind("parked_messages", ParkedMessage, "parked_days"),
)


class Pruner:
    """Prunes once an hour, and again at once while there is more than one Work may remove. Of several processes
    one does it at a time, so that what was removed is counted once."""

    def __init__(self, holder: str = "") -> None:
        self._holder, self._next = holder, 0

    def step(self, now: Instant) -> bool:
        """Prune if it is time; return whether there is more."""
        if now < self._next:
            return False
        held = leases.take(LEASE, now=now, holder=self._holder, held_for=HELD_FOR)
        more = held is not None and prune(now, held)
        if not more:
            self._next = now + EVERY
        return more


def prune(now: Instant, held: leases.Held) -> bool:
    """Remove settled rows past their retention, a bounded number of each kind; return whether there are more."""
    more = False
    for kind in KINDS:
        for rows, name, days in _past(kind, now):
            found = list(rows.order_by("pk").values_list("pk", "organisation")[:ROWS_MAX])
            if found:
                _remove(kind, name, days, found, now, held)
            more = more or len(found) == ROWS_MAX
    return more


def _past(kind: Kind, now: Instant) -> Iterator[tuple[QuerySet[Any], str, int]]:
    """Yield (rows, connection, days) per connection in force, then for what is left of connections that are gone."""
    held = connections.in_force()
    for name, each in held.items():
        days = int(getattr(each.entry.limits, kind.days))
        yield kind.past(now - days * DAY).filter(connection=name), name, days
    days = int(getattr(Terms(), kind.days))
    kept = {*held, *connections.faulty()}
    yield kind.past(now - days * DAY).exclude(connection__in=kept), "", days


def _remove(
    kind: Kind, connection: str, days: int, rows: list[tuple[Any, str]], now: Instant, held: leases.Held
) -> None:
    def act(work: Work) -> None:
        leases.prove(work, held)
        for row, _ in rows:
            work.remove(kind.model, {"id": row})
        for organisation in sorted({where for _, where in rows}):
            count = sum(where == organisation for _, where in rows)
            facts: dict[str, Json] = {
                "what": kind.what, "count": count, "days": days, "before": to_rfc3339(Instant(now - days * DAY))
            }  # fmt: skip
            text = f"{count} {kind.what.replace('_', ' ')} settled more than {days} days ago are forgotten."
            why = [Reason(rule="hub.prune", text=text)]
            work.journal(organisation, f"connection:{connection or 'former'}", facts, why)

    perform(act, actor=system("housekeeping"), origin=Origin(channel="timer"), now=now)
    metrics.PRUNED.labels(kind.what).inc(len(rows))
