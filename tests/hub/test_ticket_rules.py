"""Rules that would make tickets of messages: refused where the sender cannot be looked at again."""

from __future__ import annotations

import pytest

from isthmus.hub import blueprint
from isthmus.hub.blueprint import ConnectionEntry

FIELD = {"incident": "title", "change": "title", "alert": "summary", "ci": "name"}


def problems(kind: str, *, before: int = 0) -> list[str]:
    rule = {"kind": kind, "key": "/id", "event_id": "/event", "fields": {FIELD[kind]: "/text"}}
    alerts = [{"kind": "alert", "key": "/id", "fields": {"summary": "/text"}}] * before
    config = {"authentication": "bearer", "secret": {"secret": "env:X"}, "rules": [*alerts, rule]}
    found = blueprint._entry_problems("desk", ConnectionEntry(connector="webhook", config=config))
    return [f"{each.path} {each.message}" for each in found]


@pytest.mark.parametrize("kind", ["incident", "change"])
def test_a_rule_for_tickets_is_refused_where_it_stands_with_what_to_do_instead(kind):
    (found,) = problems(kind, before=2)
    assert found.startswith(
        f"/desk/config/rules/2/kind {kind}s cannot come from a connector that only receives"
    )


@pytest.mark.parametrize("kind", ["alert", "ci"])
def test_alerts_and_items_may_come_from_whoever_only_posts(kind):
    assert problems(kind) == []
