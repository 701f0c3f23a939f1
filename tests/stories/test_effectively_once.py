"""C4: however often it is said, and whatever breaks in between, one event has one ticket."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.stories.sections import ALERTS, everywhere, flow, webhook
from tests.stories.served import Served

from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.servicenow.simulated.shown import cells

SYSTEMS = ("snow", "jira")


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    sections = {
        "sync": flow(SYSTEMS),
        "routes": everywhere(*SYSTEMS),
        "monitoring": {"times": {"wait": "PT0S"}},
    }
    return serve(systems=SYSTEMS, receivers={"watch": webhook("watch", ALERTS)}, sections=sections)


def said(world: Served) -> dict[str, Any]:
    """What a monitoring system says of something that broke; its summary becomes the ticket's title."""
    labels = {"alertname": world.word(), "host": world.word()}
    return {
        "id": world.word(),
        "event": world.word(),
        "severity": "error",
        "state": "firing",
        "summary": world.title(),
        "labels": labels,
    }


def tickets(world: Served, name: str, title: str) -> int:
    """Count tickets with this title inside the partner."""
    inside: Any = world.partners.all[name].inside

    def count() -> int:
        if name == "snow":
            return sum(row["short_description"] == title for _, row in inside.shelf("incident").all())
        return sum(issue["fields"]["summary"] == title for _, issue in inside.shelf("issue").all())

    return world.partners.inside(count)


def settled_counts(world: Served, title: str) -> dict[str, int]:
    world.until(
        f"{title!r} in both systems", lambda: all(tickets(world, name, title) for name in SYSTEMS), seconds=60
    )
    world.quiet(seconds=2)
    return {name: tickets(world, name, title) for name in SYSTEMS}


def test_one_event_sent_a_hundred_times_at_once_is_one_ticket(world: Served) -> None:
    body = said(world)
    with ThreadPoolExecutor(20) as crowd:
        answers = list(
            crowd.map(
                lambda _: world.ingest("/webhook/watch", body, world.bearer("watch")).status, range(100)
            )
        )
    assert answers == [202] * 100
    assert settled_counts(world, body["summary"]) == {"snow": 1, "jira": 1}


def test_one_ticket_told_a_hundred_times_at_once_by_its_own_system_is_one_ticket_elsewhere(
    world: Served,
) -> None:
    snow: Any = world.partners.all["snow"].inside
    title = world.title()
    world.fault("snow", Fault.WEBHOOK_LOST)
    world.partners.inside(lambda: snow.instance.insert("incident", {"short_description": title}, snow.human))
    payload = world.until(
        "the webhook",
        lambda: (
            [each.payload for each in snow.outbox.sent if title in str(each.payload)] or lost(world, title)
        ),
    )[0]
    raw = json.dumps(payload).encode()
    signed = {**snow.sign(raw)}
    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(lambda _: world.ingest("/servicenow/snow", raw, signed).status, range(100)))
    assert answers == [202] * 100
    assert settled_counts(world, title) == {"snow": 1, "jira": 1}


def lost(world: Served, title: str) -> list[dict[str, Any]]:
    """Return what the business rule would have posted about a record whose webhook was lost."""
    snow: Any = world.partners.all["snow"].inside

    def found() -> list[dict[str, Any]]:
        rows = [row for _, row in snow.shelf("incident").all() if row["short_description"] == title]
        return [
            {
                "id": row["sys_id"],
                "table": "incident",
                "operation": "insert",
                "record": cells(snow.shelf, row),
                "journal": [],
            }
            for row in rows
        ]

    return world.partners.inside(found)


def test_two_tickets_with_equal_text_stay_two(world: Served) -> None:
    snow: Any = world.partners.all["snow"].inside
    title = world.title()
    for _ in range(2):
        world.partners.inside(
            lambda: snow.instance.insert("incident", {"short_description": title}, snow.human)
        )
    world.until("two tickets", lambda: tickets(world, "jira", title) == 2)
    world.quiet()
    assert {name: tickets(world, name, title) for name in SYSTEMS} == {"snow": 2, "jira": 2}


def test_two_alerts_of_equal_text_about_different_things_are_two_tickets(world: Served) -> None:
    first = said(world)
    second = {**said(world), "summary": first["summary"]}
    for body in (first, second):
        assert world.ingest("/webhook/watch", body, world.bearer("watch")).status == 202
    world.until("two tickets", lambda: all(tickets(world, name, first["summary"]) == 2 for name in SYSTEMS))


def test_an_event_repeated_after_a_restart_is_still_known(world: Served) -> None:
    body = said(world)
    world.ingest("/webhook/watch", body, world.bearer("watch"))
    assert settled_counts(world, body["summary"]) == {"snow": 1, "jira": 1}
    world.hub.kill()
    world.hub.start()
    world.fresh()
    assert world.ingest("/webhook/watch", body, world.bearer("watch")).status == 202
    world.quiet(seconds=3)
    assert settled_counts(world, body["summary"]) == {"snow": 1, "jira": 1}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_partner_that_commits_and_then_drops_the_connection_holds_one_ticket(
    world: Served, name: str
) -> None:
    world.fault(
        name, Fault.RESET_AFTER_COMMIT, method="POST", path={"snow": "/incident", "jira": "/issue"}[name]
    )
    incident = world.raised()
    assert settled_counts(world, incident["title"]) == {"snow": 1, "jira": 1}
    world.ticketed(incident["id"], SYSTEMS)


def test_a_partner_that_drops_the_connection_before_it_commits_gets_its_ticket(world: Served) -> None:
    world.fault("snow", Fault.RESET_BEFORE_COMMIT, method="POST", path="/incident")
    incident = world.raised()
    assert settled_counts(world, incident["title"]) == {"snow": 1, "jira": 1}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_hub_killed_between_sending_and_knowing_makes_no_second_ticket(world: Served, name: str) -> None:
    world.fault(
        name, Fault.SLOW, method="POST", path={"snow": "/incident", "jira": "/issue"}[name], delay_seconds=4
    )
    incident = world.raised()
    world.until("the ticket at the partner", lambda: tickets(world, name, incident["title"]) == 1)
    world.hub.kill()  # the partner has it, its answer is still on the way
    world.hub.start()
    world.fresh()
    world.ticketed(incident["id"], SYSTEMS, seconds=90)
    assert settled_counts(world, incident["title"]) == {"snow": 1, "jira": 1}


def test_an_idempotency_key_is_one_request_and_refuses_another_body(world: Served) -> None:
    key, title, other = world.word(), world.title(), world.title()
    header = {**world.bearer("caller"), "Idempotency-Key": key}

    def post(text: str) -> Any:
        return world.http(
            "POST",
            "/api/v1/incidents",
            f'{{"title": "{text}", "impact": "3", "urgency": "3"}}'.encode(),
            header,
        )

    with ThreadPoolExecutor(10) as crowd:
        answers = list(crowd.map(lambda _: post(title), range(10)))
    assert {each.status for each in answers} == {201}, answers
    assert len({each.body["id"] for each in answers}) == 1
    refused = post(other)
    assert refused.status == 409
    assert refused.body["remedy"]
    assert settled_counts(world, title) == {"snow": 1, "jira": 1}
    assert tickets(world, "snow", other) == tickets(world, "jira", other) == 0
    header["Idempotency-Key"] = world.word()
    assert post(other).status == 201
    assert settled_counts(world, other) == {"snow": 1, "jira": 1}
