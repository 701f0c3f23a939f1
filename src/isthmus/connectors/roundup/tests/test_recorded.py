"""The shapes recorded from Roundup 2.6 are what the connector reads and what the real tracker still answers."""

import json
from pathlib import Path

import pytest

from isthmus.connectors.roundup.mapping import (
    INCIDENT,
    Message,
    comment,
    instant_of,
    message_id,
    observation,
    split,
)
from isthmus.kernel.errors import Rejected
from isthmus.kernel.spelling import Known

RECORDED = Path(__file__).parents[1] / "fixtures" / "recorded"


def body(name):
    return json.loads((RECORDED / f"{name}.json").read_text())["response"]["body"]


def test_a_recorded_issue_becomes_an_observation():
    item = body("get")["data"]
    protected = {
        "id": item["id"],
        "activity": "2026-11-20.14:03:00",
        "actor": {"id": "3", "username": "grace"},
    }
    named = {"priority": {"id": "2", "name": "urgent"}, "status": {"id": "1", "name": "unread"}}
    seen = observation("tracker", "http://t", {**item["attributes"], **named, **protected}, None, INCIDENT)
    assert seen.values == {
        "title": "Checkout queue depth high",
        "state": "unread",
        "priority": "urgent",
        "tags": [],
    }
    assert seen.comments is None
    assert seen.coarse
    assert seen.partner_actor == "grace"


def test_a_status_outside_the_table_stays_unknown():
    assert INCIDENT.inward("state", "need-eg") == Known(value="on_hold")
    assert not isinstance(INCIDENT.inward("state", "waiting-for-vendor"), Known)


def test_the_description_is_ours_or_the_first_message_but_never_a_comment_of_ours():
    def message(key, mark=""):
        messageid = message_id(mark, "x") if mark else "<a@b>"
        return Message(
            id=key, content=key, messageid=messageid, author="a", written="2026-11-20.10:00:00", stamp=""
        )

    assert split([message("1"), message("2", "link")])[0].id == "2"
    assert split([message("1"), message("2", "note")])[0].id == "1"
    assert split([message("1", "note"), message("2")])[0] is None
    assert split([])[0] is None
    assert comment(message("3", "memo")).public is False


def test_a_time_in_another_form_is_refused():
    with pytest.raises(Rejected):
        instant_of("2026-11-20T10:00:00Z")
