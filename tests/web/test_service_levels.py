"""Service levels on the console and over the API: the board, the why, the report, counting anew."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.hub.models import Due
from isthmus.hub.sweeper import sweep
from isthmus.kernel.instant import HOUR, MINUTE, Instant
from isthmus.ledger.ids import source
from isthmus.practices.incident import service as incidents
from isthmus.practices.service_level.models import SlaClock

LEVELS = [{"name": "desk", "targets": {"response": {"within": "PT30M"}, "resolution": {"within": "PT4H"}}}]


@pytest.fixture
def promised(desk: Any) -> Any:
    desk.book.perform(lambda work: blueprints.apply(work, Source(sections={"service_levels": LEVELS})))
    running.forget()
    desk.now = source.now()
    desk.ids = {}
    for title, hours_ago in (("late one", 5), ("fresh one", 0), ("near one", 3.5)):
        at = Instant(int(desk.now - hours_ago * HOUR))
        made = desk.book.perform(
            lambda work, title=title: incidents.create(work, desk.book.organisation, {"title": title}), now=at
        )
        desk.ids[title] = made.id
    return desk


def step(desk: Any, title: str, values: dict[str, Any], *, at: int) -> None:
    desk.book.perform(
        lambda work: incidents.update(work, incidents.get(work, desk.ids[title]), values), now=Instant(at)
    )


def resolution(desk: Any, title: str) -> SlaClock:
    found: SlaClock = SlaClock.objects.get(record=desk.ids[title], target="resolution")
    return found


def test_the_board_ranks_by_time_left_and_each_clock_can_count_on(promised: Any) -> None:
    page = promised.client("viewer").get("/sla?target=resolution").content.decode()
    places = [page.index(f"{title}</a>") for title in ("late one", "near one", "fresh one")]
    assert places == sorted(places)
    assert "1 h 0 min over" in page
    lefts = [int(each) for each in re.findall(r'data-left="(-?\d+)"', page)]
    assert lefts == sorted(lefts)
    assert "<script>" not in page
    assert "style=" not in page


def test_the_board_takes_filters_and_says_when_nothing_is_left(promised: Any) -> None:
    client = promised.client("viewer")
    assert "near one" not in client.get("/sla?priority=1").content.decode()
    assert "No clock is running" in client.get("/sla?target=unheard").content.decode()


def test_the_incident_shows_its_clocks_and_why(promised: Any) -> None:
    page = promised.client("viewer").get(f"/incidents/{promised.ids['late one']}").content.decode()
    assert "Breached at" in page
    assert "4 h of time around the clock were used up then" in page


def test_the_page_of_a_clock_answers_why_and_shows_the_ledger(promised: Any) -> None:
    sweep(source.now())
    clock = resolution(promised, "late one")
    page = promised.client("viewer").get(f"/sla/clocks/{clock.id}").content.decode()
    for said in ("Breached", "insufficient data (n = ", f"{clock.record}.1"):
        assert said in page
    assert promised.client("viewer").get("/sla/clocks/" + "0" * 26).status_code == 404


def test_the_report_counts_what_ended_and_leaves_out_what_was_cancelled(promised: Any) -> None:
    now = promised.now
    step(promised, "near one", {"state": "in_progress"}, at=now)
    step(promised, "near one", {"state": "resolved", "resolution_code": "s", "resolution_notes": "n"}, at=now)
    step(promised, "late one", {"state": "in_progress"}, at=now)
    step(promised, "late one", {"state": "resolved", "resolution_code": "s", "resolution_notes": "n"}, at=now)
    step(promised, "fresh one", {"state": "cancelled"}, at=now)
    client = promised.client("viewer")
    answer = client.get("/api/v1/sla/report?by=priority&target=resolution").json()
    assert (answer["all"]["ended"], answer["all"]["met"], answer["cancelled"]) == (2, 1, 1)
    assert answer["all"]["percentiles_seconds"]["p50"] == 3.5 * 3600
    assert sum(each["count"] for each in answer["shares_of_target"]) == 2
    page = client.get("/sla/report?by=target&target=resolution").content.decode()
    assert "1 of 2" in page
    assert "50.0 %" in page
    assert "<svg" in page


def test_the_api_shows_clocks_their_answers_and_the_prediction(promised: Any) -> None:
    client = promised.client("viewer")
    clock = resolution(promised, "near one")
    board = client.get("/api/v1/sla/board?target=resolution").json()["items"]
    assert board[0]["record"] == promised.ids["late one"]
    one = client.get(f"/api/v1/sla/clocks/{clock.id}")
    assert one.headers["ETag"].strip('"').startswith(clock.id)
    assert 29 * 60 < one.json()["left_seconds"] <= 30 * 60
    assert one.json()["prediction"]["likelihood"]["n"] == 0
    told = client.get(f"/api/v1/sla/clocks/{clock.id}/timeline").json()
    assert told["why"][0].startswith("Not breached")
    account = told["account"]
    assert account["whole_seconds"] == account["counted_seconds"] + account["paused_seconds"]
    ledger = client.get(f"/api/v1/sla/clocks/{clock.id}/ledger").json()["items"]
    assert [each["what"] for each in ledger] == ["start"]
    held = client.get(f"/api/v1/sla/clocks/{clock.id}/custodians").json()
    assert held["known"]
    assert sum(each["counted_seconds"] for each in held["items"]) == pytest.approx(3.5 * 3600, abs=60)
    assert client.get(f"/api/v1/sla/partner-clocks?record={clock.record}").json() == {"items": []}
    names = {each["definition"] for each in client.get("/api/v1/sla/definitions").json()["items"]}
    assert {"desk", "incident.targets.1"} <= names
    pages = client.get("/api/v1/sla/clocks?limit=3&state=running").json()
    assert (len(pages["items"]), bool(pages["next"])) == (3, True)


def test_who_may_not_is_refused_and_who_may_counts_anew(promised: Any) -> None:
    body = json.dumps({"reason": "the calendar was wrong"})
    url = "/api/v1/sla/recalculate"
    refused = promised.client("viewer").post(url, body, content_type="application/json")
    assert refused.status_code == 403
    empty = promised.client("administrator").post(
        url, json.dumps({"reason": " "}), content_type="application/json"
    )
    assert empty.status_code == 422
    begun = promised.client("administrator").post(url, body, content_type="application/json")
    assert begun.status_code == 202
    assert Due.objects.filter(what="sla.recalculate").exists()


def test_a_period_that_ends_before_it_begins_is_refused_in_words(promised: Any) -> None:
    query = "since=2026-02-02T00:00:00Z&until=2026-01-01T00:00:00Z"
    answer = promised.client("viewer").get(f"/api/v1/sla/report?{query}")
    assert answer.status_code == 422
    assert "ends before it begins" in answer.json()["detail"]


def test_the_board_costs_the_same_number_of_queries_for_any_number_of_clocks(
    promised: Any, queries: Any
) -> None:
    client = promised.client("viewer")
    client.get("/sla")

    def cost() -> int:
        """The least of a few visits: what the page remembers for a second may be due, or not."""
        counted = []
        for _ in range(4):
            with queries() as asked:
                client.get("/sla")
            counted.append(sum("set_config" not in each["sql"] for each in asked))
        return min(counted)

    few = cost()
    for _ in range(6):
        promised.book.perform(
            lambda work: incidents.create(work, promised.book.organisation, {"title": "more"})
        )
    assert cost() == few


def test_a_breach_within_the_minute_is_announced_by_the_sweep(promised: Any) -> None:
    soon = resolution(promised, "near one")
    sweep(Instant(promised.now + 31 * MINUTE))
    while sweep(Instant(promised.now + 31 * MINUTE)):
        pass
    soon.refresh_from_db()
    assert (soon.breached, soon.reached) == (True, 100)
