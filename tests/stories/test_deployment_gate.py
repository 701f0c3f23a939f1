"""F3 and Done-when 5: a pipeline asks `isthmus gate check` and believes the exit code. Partner-synced calendars
are no part of this release."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.served import Served, environment

ALLOWED, DENIED, UNREACHABLE = 0, 1, 3


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def stamp(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def in_minutes(minutes: float) -> str:
    return stamp(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    return serve(sections={"change": {}})


def item(world: Served) -> str:
    """Return the name of a new item: two changes on one item at one time collide, and the gate says so."""
    name = world.word()
    world.ada.post("/cis", {"name": name, "ci_class": "application", "environment": "production"})
    return name


def change(world: Served, **values: Any) -> dict[str, Any]:
    wanted = {
        "title": world.title(),
        "type": "normal",
        "cis": values.get("cis") or [item(world)],
        "environment": "production",
        "artefact_hash": digest(world.word()),
        "window_start": in_minutes(-5),
        "window_end": in_minutes(60),
        "implementation_plan": "Roll out.",
        "backout_plan": "Roll back.",
        **values,
    }
    found: dict[str, Any] = world.ada.post("/changes", wanted)
    return {**found, "ci": wanted["cis"][0]}


def approved(world: Served, **values: Any) -> dict[str, Any]:
    raised = change(world, **values)
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{raised['id']}/{action}")
    world.grace.post(f"/changes/{raised['id']}/approve", {"comment": "Rehearsed."})
    found: dict[str, Any] = world.ada.get(f"/changes/{raised['id']}")
    return {**found, "ci": raised["ci"]}


def ask(world: Served, raised: dict[str, Any], *, url: str = "", **other: str) -> int:
    return check(world, raised, url=url, **other).returncode


def allowed(world: Served, raised: dict[str, Any], **other: str) -> None:
    told = check(world, raised, **other)
    assert told.returncode == ALLOWED, told.stdout


def check(world: Served, raised: dict[str, Any], *, url: str = "", **other: str) -> Any:
    asked = {
        "number": raised["number"],
        "environment": "production",
        "artefact": raised["artefact_hash"],
        "ci": raised["ci"],
        **other,
    }
    words = [
        "--change",
        asked["number"],
        "--environment",
        asked["environment"],
        "--artefact",
        asked["artefact"],
        "--ci",
        asked["ci"],
    ]
    return world.cli("gate", "check", *words, url=url)


def decisions(world: Served, number: str) -> list[dict[str, Any]]:
    return world.ada.all("/gate/decisions", change_number=number)


def test_no_change_and_an_unapproved_change_are_denied(world: Served) -> None:
    raised = change(world)
    assert ask(world, raised) == DENIED
    assert ask(world, raised, number=f"CHG-{world.random.randrange(10**5, 10**6)}") == DENIED


def test_approved_in_its_window_goes_and_nothing_else_of_it_does(world: Served) -> None:
    raised = approved(world)
    told = check(world, raised)
    assert told.returncode == ALLOWED, told.stdout
    assert ask(world, raised, artefact=digest(world.word())) == DENIED
    assert ask(world, raised, artefact="") == DENIED
    assert ask(world, raised, ci=item(world)) == DENIED
    assert ask(world, raised, environment="staging") == DENIED
    allowed(world, raised)


@pytest.mark.parametrize(("start", "end"), [(30, 60), (-60, 0.05)])
def test_outside_its_window_it_is_denied(world: Served, start: float, end: float) -> None:
    raised = approved(world, window_start=in_minutes(start), window_end=in_minutes(end))
    if end < 1:
        world.until(
            "the end of the window",
            lambda: dt.datetime.now(dt.UTC) > dt.datetime.fromisoformat(raised["window_end"]),
        )
    told = check(world, raised)
    assert told.returncode == DENIED
    assert "window" in told.stdout


def test_a_freeze_denies_by_its_name_and_lifting_it_allows(world: Served) -> None:
    raised = approved(world)
    name = f"Freeze {world.word()}"
    freeze = world.ada.post(
        "/freezes",
        {
            "name": name,
            "starts_at": in_minutes(-1),
            "ends_at": in_minutes(30),
            "environments": ["production"],
        },
    )
    told = check(world, raised)
    assert told.returncode == DENIED
    assert name in " ".join(told.stdout.split())
    elsewhere = world.ada.post(
        "/freezes",
        {
            "name": f"Freeze {world.word()}",
            "starts_at": in_minutes(-1),
            "ends_at": in_minutes(30),
            "environments": ["test"],
        },
    )
    assert world.ada.call("DELETE", f"/freezes/{freeze['id']}").status == 200
    allowed(world, raised)
    world.ada.call("DELETE", f"/freezes/{elsewhere['id']}")
    assert (
        world.people["vera"]
        .call("POST", "/freezes", {"name": name, "starts_at": in_minutes(-1), "ends_at": in_minutes(9)})
        .status
        == 403
    )


def test_in_business_peak_high_risk_waits_and_low_risk_goes(world: Served) -> None:
    gold = world.word()
    world.ada.post(
        "/cis",
        {
            "name": gold,
            "ci_class": "business_service",
            "environment": "production",
            "criticality": "gold",
            "users": 100_000,
        },
    )
    host = world.word()
    world.ada.post("/cis", {"name": host, "ci_class": "application", "environment": "production"})
    world.ada.post("/relations", {"source_ci": gold, "target_ci": host, "type": "depends_on"})
    risky, harmless = approved(world, cis=[host]), approved(world)
    assert (risky["risk"], harmless["risk"]) == ("high", "low")
    allowed(world, risky)
    peak = f"Peak {world.word()}"
    made = world.ada.post(
        "/freezes", {"name": peak, "effect": "peak", "starts_at": in_minutes(-1), "ends_at": in_minutes(30)}
    )
    told = check(world, risky)
    assert told.returncode == DENIED
    assert peak in " ".join(told.stdout.split())
    allowed(world, harmless)
    world.ada.call("DELETE", f"/freezes/{made['id']}")


def test_an_edit_after_the_approval_closes_it(world: Served) -> None:
    raised = approved(world)
    allowed(world, raised)
    edited = world.ada.call(
        "PATCH", f"/changes/{raised['id']}", {"implementation_plan": f"Do {world.word()} instead."}
    )
    assert edited.status == 200
    assert ask(world, raised) == DENIED


def test_the_requester_never_approves_and_others_need_the_role(world: Served) -> None:
    raised = change(world)
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{raised['id']}/{action}")
    for who in ("ada", "vera"):
        assert (
            world.people[who].call("POST", f"/changes/{raised['id']}/approve", {"comment": "me"}).status
            == 403
        )
    assert ask(world, raised) == DENIED
    world.grace.post(f"/changes/{raised['id']}/refuse", {"comment": "no"})
    assert ask(world, raised) == DENIED


def test_an_unreachable_hub_and_a_wrong_token_never_open(world: Served) -> None:
    raised = approved(world)
    assert ask(world, raised, url="http://127.0.0.1:9") == UNREACHABLE
    held = world.tokens["pipeline"]
    world.tokens["pipeline"] = held[:-4] + "0000"
    assert ask(world, raised) != ALLOWED
    world.tokens["pipeline"] = held
    with environment({"ISTHMUS_URL": ""}):
        allowed(world, raised)
    world.hub.kill()
    assert ask(world, raised) == UNREACHABLE
    world.hub.start()
    world.fresh()
    allowed(world, raised)


def test_a_waiting_request_is_answered_by_the_approval(world: Served) -> None:
    raised = change(world)
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{raised['id']}/{action}")
    answers: list[Any] = []
    words = [
        "--change",
        raised["number"],
        "--environment",
        "production",
        "--artefact",
        raised["artefact_hash"],
        "--ci",
        raised["ci"],
    ]
    pipeline = threading.Thread(
        target=lambda: answers.append(world.cli("gate", "check", *words, "--wait", "40"))
    )
    pipeline.start()
    world.until(
        "the waiting request",
        lambda: any(each["decision"] == "wait" for each in decisions(world, raised["number"])),
    )
    assert not answers
    world.grace.post(f"/changes/{raised['id']}/approve", {"comment": "Rehearsed."})
    pipeline.join(timeout=45)
    assert answers[0].returncode == ALLOWED, answers[0].stdout


def test_two_changes_on_one_item_do_not_go_in_together(world: Served) -> None:
    first = approved(world)
    allowed(world, first)
    second = approved(world, cis=[first["ci"]])
    told = check(world, second)
    assert told.returncode == DENIED
    assert first["number"] in told.stdout
    third = approved(world)
    allowed(world, third)


def test_every_question_leaves_one_decision_with_reasons(world: Served) -> None:
    raised = approved(world)
    many = world.random.randrange(3, 6)
    for place in range(many):
        ask(world, raised, artefact=raised["artefact_hash"] if place % 2 else digest(world.word()))
    found = decisions(world, raised["number"])
    assert len(found) == many
    assert all(each["reasons"] and each["facts"] for each in found)
    assert {each["decision"] for each in found} == {"allow", "deny"}
