"""What service level management does by itself: keeps clocks, recounts after an apply, notes partners' clocks."""

from __future__ import annotations

from isthmus.hub import due
from isthmus.hub.sync import synced
from isthmus.ledger.work import register_preparer
from isthmus.practices.service_level import keeping, partner_clocks, recalculating, timers


def declare() -> None:
    """Register everything; called once from `ready`."""
    register_preparer(keeping.prepare)
    register_preparer(recalculating.after_apply)
    due.register(keeping.THRESHOLD, timers.on_threshold)
    due.register(recalculating.RECALCULATE, recalculating.on_due)
    synced.register_watcher(partner_clocks.observed)
