"""The waits that go on as long as there are alerts: one per organisation and kind, set when its first alert comes.

One looks for alerts whose source fell silent, one draws samples for people's verdicts.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.ledger.work import Work

STALE_SWEEP: Final = "monitoring.stale"
STALE_SWEEP_MINUTES: Final = 5
SAMPLE: Final = "monitoring.sample"

_watched: set[tuple[str, str]] = set()


def begin(work: Work, organisation: str) -> None:
    """Set the wait unless it runs already; setting it again with every batch would put it off for ever."""
    key = (str(connection.settings_dict["NAME"]), organisation)
    if key in _watched:
        return
    rows = Due.objects.filter(organisation=organisation, what__in=(STALE_SWEEP, SAMPLE), subject=organisation)
    running = set(rows.values_list("what", flat=True))
    at = Instant(work.now + STALE_SWEEP_MINUTES * MINUTE)
    for what in (STALE_SWEEP, SAMPLE):
        if what not in running:
            due.schedule(work, what, organisation, at, organisation=organisation)
    work.after_commit(lambda: _watched.add(key))


def forget() -> None:
    """Drop what is held about running waits: between tests, and after a restore."""
    _watched.clear()


def again(work: Work, organisation: str) -> None:
    """Set the next look."""
    at = Instant(work.now + STALE_SWEEP_MINUTES * MINUTE)
    due.schedule(work, STALE_SWEEP, organisation, at, organisation=organisation)
