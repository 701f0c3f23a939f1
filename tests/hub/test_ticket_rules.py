"""Rules that would make tickets of messages: refused where the sender cannot be looked at again."""

from __future__ import annotations

import pytest

from isthmus.hub import blueprint, inventory
from isthmus.hub.blueprint import ConnectionEntry

RULED = ("webhook", "cloudevents", "syslog")
FIELD = {"incident": "title", "change": "title", "alert": "summary", "ci": "name"}


def problems(kind: str, *, before: int = 0, connector: str = "webhook") -> list[str]:
    rule = {"kind": kind, "key": "/id", "event_id": "/event", "fields": {FIELD[kind]: "/text"}}
    alerts = [{"kind": "alert", "key": "/id", "fields": {"summary": "/text"}}] * before
    config: dict[str, object] = {"secret": {"secret": "env:X"}, "rules": [*alerts, rule]}
    if connector == "webhook":
        config["authentication"] = "bearer"
    found = blueprint._entry_problems("desk", ConnectionEntry(connector=connector, config=config))
    return [f"{each.path} {each.message}: {each.remedy}" for each in found]


@pytest.mark.parametrize("kind", ["incident", "change"])
@pytest.mark.parametrize("connector", RULED)
def test_a_rule_for_tickets_is_refused_where_it_stands_with_what_to_do_instead(kind, connector):
    (found,) = problems(kind, before=2, connector=connector)
    assert found.startswith("/desk/config/rules/2/kind ")
    assert "One of alert, ci." in found
    assert "cannot come from a sender that only posts" in found
    assert "send it as an alert" in found


@pytest.mark.parametrize("kind", ["alert", "ci"])
@pytest.mark.parametrize("connector", RULED)
def test_alerts_and_items_may_come_from_whoever_only_posts(kind, connector):
    assert problems(kind, connector=connector) == []
    assert inventory.find(connector).manifest.can("webhook", kind)
