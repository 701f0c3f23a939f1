"""Done-when 4, the way an operator goes: an administrator says who somebody is at ServiceNow, the blueprint trusts
it for normal changes with a second person's consent, and an approval given there opens the gate here. The twins
open nothing: an unknown approver, other content, a person who is not named any more. (That a system which the
blueprint does not trust opens nothing either stands in `test_evidence.py`.)
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.served import Served

OPEN, SHUT = 0, 1
TRUSTED = {"change": {"evidence": [{"system": "snow", "types": ["normal"]}]}}


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    sync = {"change": {"owner": "Change manager", "system_of_record": "hub", "connections": {"snow": {}}}}
    routes = [{"id": "changes", "kind": "change", "to": ["snow"]}]
    return serve(systems=("snow",), sections={"sync": sync, "routes": routes})


def stamp(minutes: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def asked(world: Served, ci: str) -> dict[str, Any]:
    """A change of Ada's, up for approval here and on its way to ServiceNow."""
    found = world.ada.post(
        "/changes",
        {
            "title": world.title(), "type": "normal", "cis": [ci], "environment": "production",
            "artefact_hash": "sha256:" + hashlib.sha256(ci.encode()).hexdigest(), "window_start": stamp(-5),
            "window_end": stamp(60), "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
        },
    )  # fmt: skip
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{found['id']}/{action}")
    return {**found, "ci": ci}


def key_of(world: Served, change: dict[str, Any]) -> str:
    def read() -> str:
        links = world.ada.all("/links", record=change["id"])
        return next((each["external_key"] for each in links if each["external_key"]), "")

    return world.until("the change in ServiceNow", read)


def edit_there(world: Served, change: dict[str, Any], who: str, **columns: str) -> None:
    snow: Any = world.partners.all["snow"].inside
    world.partners.inside(lambda: snow.instance.update("change_request", key_of(world, change), columns, who))


def judged(world: Served, change: dict[str, Any]) -> Any:
    """Wait until the sight of the approval has been judged; return what the decision says about it."""

    def read() -> Any:
        found = world.ada.all("/approvals", subject=change["id"])
        return next((each for each in found if each["evidence"]), None)

    return world.until("the judgement", read)


def gate(world: Served, change: dict[str, Any]) -> int:
    words = [
        "--change",
        change["number"],
        "--environment",
        "production",
        "--artefact",
        change["artefact_hash"],
    ]
    return world.cli("gate", "check", *words, "--ci", change["ci"]).returncode


def trust(world: Served) -> None:
    """Name ServiceNow as authority: Grace consents to exactly this content, Ada applies it."""
    wanted = {**copy.deepcopy(world.sections), **TRUSTED}
    assert world.applied(**TRUSTED).status == 403, "one person alone names no authority"
    content = world.grace.post("/blueprint/plan", {"sections": wanted})["content_hash"]
    world.grace.post("/blueprint/approvals", {"content_hash": content})
    world.apply(**TRUSTED)


def test_an_approval_there_counts_once_somebody_has_said_who_approved(world: Served) -> None:
    there = world.word()
    told = world.operator("people", "name", "grace", "snow", there)
    assert told.returncode == 0, told.stderr
    trust(world)
    items = [world.word() for _ in range(4)]
    for ci in items:
        # All of them first: a map that changes after the assessment asks for a new one.
        world.ada.post("/cis", {"name": ci, "ci_class": "application", "environment": "production"})
    right, stranger, other, late = (asked(world, ci) for ci in items)
    for each in (right, stranger, other, late):
        key_of(world, each)
    world.quiet(seconds=1)
    assert [gate(world, each) for each in (right, stranger)] == [SHUT, SHUT]
    edit_there(world, stranger, world.word(), approval="approved")
    edit_there(world, other, there, approval="approved", backout_plan=f"Ask {world.word()}.")
    edit_there(world, right, there, approval="approved")

    world.until("the gate", lambda: gate(world, right) == OPEN)
    (decision,) = world.ada.all("/approvals", subject=right["id"])
    assert (decision["approver"], decision["evidence"]["system"]) == (world.person_ids["grace"], "snow")
    named = world.ada.all("/journal", record=world.person_ids["grace"])
    assert any(each["rule"] == "identity.partner_name" for entry in named for each in entry["why"])

    # Approved by somebody whom nobody knows, and by the right person about other content.
    assert judged(world, stranger)["evidence"]["counts"] is False
    world.until("the sight", lambda: world.ada.all("/journal", record=other["id"], connection="snow"))
    assert [gate(world, each) for each in (stranger, other)] == [SHUT, SHUT]

    # By somebody who is not named there any more.
    assert world.operator("people", "unname", "grace", "snow").returncode == 0
    edit_there(world, late, there, approval="approved")
    assert judged(world, late)["evidence"]["counts"] is False
    assert gate(world, late) == SHUT
