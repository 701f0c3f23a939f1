"""ServiceNow's clock beside ours: read from a running instance, agreeing in one twin and differing in the other."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from isthmus.connectors.servicenow.tests.connected import connected
from isthmus.kernel.instant import HOUR, MINUTE, Instant, from_datetime
from isthmus.kernel.observation import Observation
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.service_level import partner_clocks, service
from isthmus.practices.service_level.shapes import comparison_out

OPENED = dt.datetime(2026, 3, 25, 8, 0, tzinfo=dt.UTC)
EIGHT_HOURS = dt.timedelta(hours=8)
SILVER: dict[str, Any] = {
    "name": "silver",
    "calendar": "24x7",
    "targets": {"resolution": {"within": "PT8H"}, "response": {"within": "PT1H"}},
}
STATES = {"on_hold": "3", "in_progress": "2"}


def told(paused: frozenset[str]) -> list[Observation]:
    """Return what polls bring of an incident that is put on hold after 20 minutes and taken up again after 50."""

    async def run() -> list[Observation]:
        found: list[Observation] = []
        async with connected(service_levels=True) as (client, simulator):
            now = [OPENED]
            simulator.instance.clock = lambda: now[0]
            simulator.sla.define("P3 resolution", EIGHT_HOURS, paused=paused)
            key = simulator.seed("incident", 1)[0]
            watermark = ""
            for minutes, state in ((20, "on_hold"), (50, "in_progress"), (90, "")):
                now[0] = OPENED + dt.timedelta(minutes=minutes)
                if state:
                    simulator.instance.update("incident", key, {"state": STATES[state]}, "a.person")
                else:
                    simulator.sla.recalculate()
                async for page in client.changed_since("incident", watermark):
                    found += [each for each in page.observations if each.sla_clocks]
                    watermark = page.watermark
        return found

    return asyncio.run(run())


def compared(desk: Any, paused: frozenset[str]) -> service.Comparison:
    desk.apply(service_levels=[SILVER])
    opened = from_datetime(OPENED)
    incident = desk.open(at=opened)
    for minutes, state in ((20, "on_hold"), (50, "in_progress")):
        at = opened + minutes * MINUTE
        desk.change(incident, {"state": state}, occurred=at, now=at)
    for seen in told(paused):
        desk.act(lambda work, seen=seen: _observed(work, incident.id, seen), now=Instant(opened + 2 * HOUR))
    (found,) = service.compared(incident.id)
    return found


def _observed(work: Work, incident: str, seen: Observation) -> list[str]:
    return partner_clocks.observed(work, incidents.get(work, incident), "snow", seen)


def test_an_sla_that_pauses_as_we_do_says_nothing(desk: Any) -> None:
    found = compared(desk, frozenset({"3"}))
    assert found.difference is not None
    assert (found.difference.ours, found.difference.theirs, found.difference.difference) == (
        60 * MINUTE, 60 * MINUTE, 0,
    )  # fmt: skip
    assert found.difference.causes == ()


def test_an_sla_without_a_pause_is_reported_with_both_values_and_the_stretch_that_makes_them_differ(
    desk: Any,
) -> None:
    found = compared(desk, frozenset())
    said = comparison_out(found)
    assert (said["our_elapsed_seconds"], said["their_elapsed_seconds"], said["difference_seconds"]) == (
        3600, 5400, 1800,
    )  # fmt: skip
    (cause,) = said["causes"]
    assert (cause["from"], cause["to"]) == ("2026-03-25T08:20:00.000Z", "2026-03-25T08:50:00.000Z")
    assert "30 min more than we do" in said["text"]
    assert (said["partner"]["name"], said["partner"]["target"]) == ("P3 resolution", "resolution")


def test_a_clock_that_the_partner_cancelled_is_no_difference(desk: Any) -> None:
    desk.apply(service_levels=[SILVER])
    opened = from_datetime(OPENED)
    incident = desk.open(at=opened)

    async def run() -> list[Observation]:
        found: list[Observation] = []
        async with connected(service_levels=True) as (client, simulator):
            now = [OPENED]
            simulator.instance.clock = lambda: now[0]
            simulator.sla.define("P3 resolution", EIGHT_HOURS)
            key, watermark = simulator.seed("incident", 1)[0], ""
            for hours, state in ((0, "1"), (1, "8")):
                now[0] = OPENED + dt.timedelta(hours=hours)
                simulator.instance.update("incident", key, {"state": state}, "a.person")
                async for page in client.changed_since("incident", watermark):
                    found += page.observations
                    watermark = page.watermark
        return found

    for seen in asyncio.run(run()):
        desk.act(lambda work, seen=seen: _observed(work, incident.id, seen), now=Instant(opened + 2 * HOUR))
    (found,) = service.compared(incident.id)
    assert found.partner.state == "cancelled"
    assert found.difference is not None
    assert found.difference.difference is None
    assert "cancelled" in found.difference.text
