"""Finds the message that a partner speaks of by the name that it gave it: some show nothing else of ours."""

from __future__ import annotations

from typing import Final

from isthmus.connectors.kit.marks import mark_of
from isthmus.hub.observing import Seen
from isthmus.kernel.instant import MINUTE
from isthmus.ledger import organisations
from isthmus.practices.on_call import endings
from isthmus.practices.on_call.models import Escalation, Notification

ESCALATIONS_MAX: Final = 2_000
SKEW: Final = MINUTE
"""How far a partner's clock may be behind ours."""


def named(seen: Seen, name: str) -> Notification | None:
    """Return the latest message of an open escalation that this connection's partner calls so, by name or `#<mark>`."""
    if not name:
        return None
    home = organisations.descendants([seen.organisation])
    running = Escalation.objects.filter(organisation__in=home, open=True).order_by("-id")
    rows = Notification.objects.filter(
        organisation__in=home,
        escalation__in=list(running.values_list("id", flat=True)[:ESCALATIONS_MAX]),
        receipts__isnull=False,
    )
    for found in rows.order_by("-id").iterator():
        refs = [ref for where, ref in endings.pages(found) if where == seen.connection]
        if any(name in {ref, f"#{mark_of(ref)}"} for ref in refs):
            assert isinstance(found, Notification)  # noqa: S101 - for the type checker
            return found
    return None


def earlier(seen: Seen, escalation: Escalation) -> bool:
    """Return whether what a partner tells was before an escalation began: a partner that calls all pages about one thing
    by one name may be telling of the last one."""
    at = seen.observation.occurred_at
    return at is not None and at + SKEW < (escalation.started_at or 0)
