"""What monitoring does when observations arrive."""

from __future__ import annotations

from isthmus.hub import observing
from isthmus.practices.monitoring import service, timers


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    observing.register("alert", service.take, repeats=service.count_repeats)
    timers.register()
