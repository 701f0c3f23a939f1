"""C7 with real deaths: forwarded once, accepted once, an orphan found once and taken back once; one party at every instant."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.stories.sections import flow
from tests.stories.served import Served

from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.instant import SECOND, from_rfc3339

SYSTEMS = ("snow", "jira")
ACCEPT_MINUTES = 4
SECTIONS = {
    "sync": flow(SYSTEMS),
    "routes": [{"id": "ours", "kind": "incident", "to": ["snow"]}],
    "desks": {"service-desk": {"roles": ["agent"]}, "vendor": {"kind": "supplier", "connection": "jira"}},
    "forwarding": {
        "contracts": [
            {
                "name": "support", "from": ["service-desk"], "to": ["vendor"], "requires": ["root_cause"],
                "accept_within": f"PT{ACCEPT_MINUTES}M", "path": "night",
            }
        ]
    },
    "on_call": {
        "channels": {"ops": {"connection": "slack", "recipient": "C0OPS"}},
        "ladders": {"night": {"steps": [{"after": "PT0S", "notify": [{"channel": "ops"}]}]}},
    },
    "service_levels": [{"name": "gold", "targets": {"resolution": {"within": "PT8H"}}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    return serve(systems=(*SYSTEMS, "slack"), sections=SECTIONS, forwarded=True)


def forwarded(world: Served) -> dict[str, Any]:
    """Open an incident with a cause and three steps that are done, and offer it to the vendor."""
    incident = world.raised()
    world.ticketed(incident["id"], ["snow"])
    steps = [{"text": world.word(), "done": True} for _ in range(3)]
    values = {"root_cause": world.title(), "steps": steps}
    assert world.ada.call("PATCH", f"/incidents/{incident['id']}", values).status == 200
    offer = world.ada.post(
        f"/incidents/{incident['id']}/forward", {"to": "vendor", "reason": "Please repair."}
    )
    return {**incident, **values, "offer": offer["id"]}


def issues(world: Served, title: str) -> int:
    """Count the vendor's tickets with this title, inside its own system."""
    inside: Any = world.partners.all["jira"].inside
    return world.partners.inside(
        lambda: sum(each["fields"]["summary"] == title for _, each in inside.shelf("issue").all())
    )


def ledger(world: Served, incident: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = world.ada.get(f"/incidents/{incident['id']}/custody")
    return found


def orphans(world: Served) -> list[str]:
    return [each["id"] for each in world.ada.all("/custody", orphan="true")]


@pytest.fixture(scope="module")
def after(world: Served) -> dict[str, Any]:
    """Five deaths: in the middle of the forwarding, of the acceptance, of an end that leaves an orphan, of its
    return, and before an offer that nobody answers is told of."""
    world.fault("jira", Fault.SLOW, method="POST", path="/issue", delay_seconds=5)
    case = forwarded(world)
    world.until("the vendor's ticket", lambda: issues(world, case["title"]))
    world.killed()  # the vendor has it, its answer is still on the way
    keys = world.ticketed(case["id"], SYSTEMS)
    world.quiet()
    tale = {"case": case, "keys": keys, "said": str(world.desks.ticket("jira", keys["jira"]).comments)}

    world.desks.edit("jira", keys["jira"], status="Work in progress")
    world.killed(within_seconds=1)
    world.until("the acceptance", lambda: ledger(world, case)["holder"] == "vendor")
    tale["mended"] = world.title()
    world.desks.edit("jira", keys["jira"], title=tale["mended"])
    world.until(
        "the vendor's edit at ServiceNow",
        lambda: world.desks.ticket("snow", keys["snow"]).title == tale["mended"],
    )

    # ServiceNow tells the second only: closed in the second of the acceptance, the vendor would have had no time at all.
    time.sleep(1.1)
    world.desks.edit(
        "snow", keys["snow"], state="7", close_code="Solved (Permanently)", close_notes="Closed here."
    )
    world.killed(within_seconds=1)
    world.until("the orphan", lambda: orphans(world))
    tale["orphans"] = orphans(world)

    silent = tale["silent"] = forwarded(world)
    returned(world, tale)
    limit = from_rfc3339(world.ada.get(f"/custody/{silent['offer']}")["accept_by"])
    world.clock.reach(limit - 2 * SECOND)
    world.killed(within_seconds=3)
    world.until("the alarm", lambda: world.messages("slack", silent["number"]))
    world.clock.forward(minutes=5)
    world.quiet()
    return tale


def returned(world: Served, tale: dict[str, Any]) -> None:
    """Take the orphan back with one key, whatever the death in between does to the answer."""
    path, key = f"/custody/{tale['case']['offer']}/hand-back", world.word()

    def ask(key: str) -> Any:
        return world.ada.call("POST", path, {"reason": "We look after it."}, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(1) as crowd:
        cut_short = crowd.submit(ask, key)
        world.killed(within_seconds=0.2)
        cut_short.exception()  # whether it was answered is what nobody knows
    tale["answers"] = [ask(key), ask(key)]
    tale["again"] = ask(world.word())


def test_forwarded_once_with_the_cause_and_every_step_that_is_done(
    world: Served, after: dict[str, Any]
) -> None:
    case, said = after["case"], after["said"]
    assert case["root_cause"] in said
    assert all(each["text"] in said for each in case["steps"])
    assert said.count("[x]") == 3
    assert [issues(world, title) for title in (case["title"], after["mended"])] == [0, 1]
    assert set(world.keys(case["id"])) == set(SYSTEMS), "one ticket per desk"


def test_the_orphan_was_found_once_and_taken_back_once(world: Served, after: dict[str, Any]) -> None:
    assert after["orphans"] == [after["case"]["offer"]]
    assert orphans(world) == []
    assert [each.status for each in after["answers"]] == [200, 200]
    assert after["answers"][0].body == after["answers"][1].body
    assert after["again"].status == 409, after["again"].body
    held = ledger(world, after["case"])
    assert held["holder"] == "service-desk"
    # Its time ended with its closing: what was taken back since is the care for it, no time of anybody's.
    assert [each["party"] for each in held["intervals"]] == ["service-desk", "vendor"]
    (offer,) = held["offers"]
    assert (offer["state"], offer["answer"]) == ("returned", "We look after it.")
    told = [why["text"] for entry in world.entries(offer["id"]) for why in entry["why"]]
    assert sum(each.startswith("Orphan:") for each in told) == 1
    assert sum("takes the orphan back" in each for each in told) == 1


def test_exactly_one_party_at_every_instant_and_their_time_sums_up(
    world: Served, after: dict[str, Any]
) -> None:
    held = ledger(world, after["case"])
    spans = [
        (each["party"], from_rfc3339(each["from"]), from_rfc3339(each["to"])) for each in held["intervals"]
    ]
    first, last = spans[0][1], spans[-1][2]
    for _ in range(100):
        at = world.random.randrange(first, last)
        assert sum(since <= at < until for _, since, until in spans) == 1
    assert abs(sum(held["seconds"].values()) * SECOND - (last - first)) < SECOND
    assert held["seconds"]["vendor"] == pytest.approx((spans[1][2] - spans[1][1]) / SECOND, abs=0.01)


def test_the_minutes_of_a_clock_come_from_the_same_ledger(world: Served, after: dict[str, Any]) -> None:
    held = ledger(world, after["case"])
    (clock,) = world.ada.all("/sla/clocks", record=after["case"]["id"], target="resolution")
    shares = {each["party"]: each for each in world.ada.get(f"/sla/clocks/{clock['id']}/custodians")["items"]}
    assert set(shares) == {"service-desk", "vendor"}
    # The clock stopped when the ticket was closed; until then both read the same moves.
    assert 0 < shares["vendor"]["counted_seconds"] <= held["seconds"]["vendor"] + 0.01


def test_an_offer_that_nobody_answers_is_told_once_and_leaves_the_giver_accountable(
    world: Served, after: dict[str, Any]
) -> None:
    (message,) = world.messages("slack", after["silent"]["number"])
    assert "vendor" in message["text"]
    offer = world.ada.get(f"/custody/{after['silent']['offer']}")
    assert (offer["state"], bool(offer["escalated_at"])) == ("offered", True)
    assert ledger(world, after["silent"])["holder"] == "service-desk"
    assert world.messages("slack", after["case"]["number"]) == []
