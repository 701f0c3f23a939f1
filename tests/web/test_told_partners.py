"""What partners count and what pagers were told, on the page, over the API and from the command line alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.web import test_alert_pages, test_service_levels

from isthmus.kernel.instant import HOUR, MINUTE, Instant
from isthmus.kernel.observation import ExternalRef, Observation, ObservedSlaClock
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.service_level import partner_clocks

isthmus, promised = test_alert_pages.isthmus, test_service_levels.promised
"""The fixtures of those pages."""


def show(desk: Any, record: str, elapsed: int, *, state: str = "running") -> None:
    clock = ObservedSlaClock(name="P3 resolution", state=state, elapsed=elapsed, at=Instant(desk.now))
    external = ExternalRef(connection="snow", kind="incident", key="1")
    seen = Observation(kind="incident", external=external, values={}, sla_clocks=(clock,))
    desk.book.perform(
        lambda work: partner_clocks.observed(work, incidents.get(work, record), "snow", seen), now=desk.now
    )


@pytest.mark.parametrize(
    ("elapsed", "state", "said", "difference"),
    [
        (4 * HOUR, "running", "The partner counts 30 min more than we do.", 1800),
        (3 * HOUR + 30 * MINUTE, "running", "Both clocks agree: 3 h 30 min had counted.", 0),
        (HOUR, "cancelled", "The partner has cancelled this clock: it promises nothing any more.", None),
    ],
)
def test_a_partners_clock_stands_beside_ours_with_both_values(
    promised: Any,
    isthmus: Any,
    elapsed: int,
    state: str,
    said: str,
    difference: int | None,
) -> None:
    clock = test_service_levels.resolution(promised, "near one")
    show(promised, clock.record, elapsed, state=state)
    page = test_alert_pages.text_of(promised.client("viewer").get(f"/sla/clocks/{clock.id}"))
    theirs = {4 * HOUR: "4 h 0 min", HOUR: "1 h 0 min"}.get(elapsed, "3 h 30 min")
    assert said in page
    assert f"Theirs {theirs}, ours 3 h 30 min" in page
    answer = promised.client("viewer").get(f"/api/v1/sla/partner-clocks?record={clock.record}").json()
    (found,) = answer["items"]
    assert (found["their_elapsed_seconds"], found["our_elapsed_seconds"]) == (elapsed / 1_000_000, 12_600)
    assert found["text"].startswith(said)
    assert found["difference_seconds"] == difference
    assert json.loads(isthmus("sla", "partner", clock.record, "--json").stdout) == answer["items"]
    assert "3 h 30 min" in isthmus("sla", "partner", clock.record).stdout


def test_what_a_pager_was_told_stands_at_the_alert_under_its_own_name(desk: Any, isthmus: Any) -> None:
    (alert,) = test_alert_pages.fire(desk, "db1")
    why = "pager could not be told: PagerDuty does not know the integration key of this connection."
    told = {
        "acknowledge": {"key": "k", "at": 1, "state": "done"},
        "mirror:pager": {"verb": "notify", "key": "m", "at": 1, "state": "astray", "why": why},
    }
    desk.book.perform(lambda work: work.change(Alert.objects.get(id=alert.id), {"told": told}, why=[]))
    page = test_alert_pages.text_of(desk.client("agent").get(f"/alerts/{alert.id}"))
    assert "am was told: acknowledge (done)" in page
    assert "pager was told: notify (astray)" in page
    assert why in page
    shown = desk.client("agent").get(f"/api/v1/alerts/{alert.id}").json()["told"]
    assert [(each["to"], each["verb"], each["state"]) for each in shown] == [
        ("am", "acknowledge", "done"), ("pager", "notify", "astray"),
    ]  # fmt: skip
    assert "pager was told: notify" in isthmus("alerts", "show", alert.id).stdout
