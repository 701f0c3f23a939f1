"""What monitoring does when observations arrive."""

from __future__ import annotations

from isthmus.hub import observing
from isthmus.hub.lanes import effects
from isthmus.ledger.work import register_preparer
from isthmus.practices.monitoring import (
    alert_mirrors,
    expecting,
    following,
    mirroring,
    partner_silences,
    reporting,
    service,
    telling,
    timers,
    windows,
)


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    observing.register("alert", service.take, repeats=service.count_repeats)
    timers.register()
    following.register()
    reporting.register()
    windows.register()
    expecting.register()
    register_preparer(expecting.prepare)
    observing.register("silence", partner_silences.take)
    register_preparer(windows.prepare)
    register_preparer(telling.prepare)
    # After what is told to sources: a pager hears of an alert as it stands in the end.
    register_preparer(alert_mirrors.prepare)
    telling.share(alert_mirrors.is_ours, alert_mirrors.concluded)
    effects.follow("alert", telling.concluded)
    effects.follow("silence", mirroring.concluded)
