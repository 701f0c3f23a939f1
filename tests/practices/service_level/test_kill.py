"""`kill -9` while thresholds are announced: what was not committed is announced again, what was is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, connections

from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant, from_rfc3339
from isthmus.practices.service_level import service

NOON = from_rfc3339("2026-11-20T12:00:00Z")

SWEEPER = """
import os, signal, sys
import django
django.setup()
from isthmus.hub.sweeper import sweep
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.practices.service_level import service

where = sys.argv[2]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def announce(work, clock, percent, now):
    work.journal(clock.organisation, f"announced:{percent}", {"clock": clock.id}, [Reason(rule="test", text="told")])
    if where == "before the commit":
        die()
    work.after_commit(die)

service.register_threshold(announce)
with scope.everywhere("a test"):
    while sweep(int(sys.argv[1])):
        pass
"""


def environment(desk: Any) -> dict[str, str]:
    """Return what makes another process open the very book of this test."""
    found = {
        name: value for name, value in os.environ.items() if not name.startswith(("ISTHMUS_", "DATABASE_URL"))
    }
    found |= {
        "ISTHMUS_DATA_DIR": str(desk.book.directory),
        "DJANGO_SETTINGS_MODULE": "isthmus.django_settings",
    }
    if connection.vendor == "postgresql":
        at = connection.settings_dict
        found["ISTHMUS_DATABASE_URL"] = (
            f"postgresql://{at['USER']}:{at.get('PASSWORD') or ''}@/{at['NAME']}?host={quote(str(at['HOST']), safe='')}"
        )
    return found


def killed_sweep(desk: Any, now: int, where: str) -> None:
    connections.close_all()
    done = subprocess.run(
        [sys.executable, "-c", SWEEPER, str(now), where],
        env=environment(desk), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


def announced(desk: Any) -> list[str]:
    from isthmus.ledger.models import SystemEvent

    rows = SystemEvent.objects.filter(subject__startswith="announced:").order_by("id")
    return [each.removeprefix("announced:") for each in rows.values_list("subject", flat=True)]


@pytest.mark.parametrize(("where", "told"), [("before the commit", []), ("after the commit", ["50", "75"])])
def test_a_threshold_is_announced_once_whatever_the_kill_met(desk: Any, where: str, told: list[str]) -> None:
    level = {"name": "quick", "targets": {"resolution": {"within": "PT60S"}}}
    desk.apply(service_levels=[level], incident={"targets": {}})
    incident = desk.open(at=NOON)
    killed_sweep(desk, NOON + 45 * SECOND, where)
    assert announced(desk) == told
    assert desk.clock(incident).reached == (75 if told else 0)
    heard: list[int] = []

    def listen(_work: Any, _clock: Any, percent: int, _now: Instant) -> None:
        heard.append(percent)

    service.register_threshold(listen)
    try:
        # The dead process had claimed the row: it comes back when the claim runs out.
        desk.sweep(NOON + 10 * MINUTE)
        desk.sweep(NOON + HOUR)
    finally:
        service.unregister_threshold(listen)
    assert [*told, *map(str, heard)] == ["50", "75", "100"]
    lines = [each.what for each in service.ledger(desk.clock(incident))]
    assert lines == ["start", "threshold", "threshold", "breach"]
