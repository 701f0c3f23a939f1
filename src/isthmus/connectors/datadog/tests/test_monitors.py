"""What users rely on: the shipped payload is the one that is read, groups keep their key, effects happen once."""

import json
import re
from pathlib import Path

import pytest

from isthmus.connectors.datadog.config import TRANSITIONS
from isthmus.connectors.datadog.mapping import Notification, key_of
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.kernel.errors import NeedsOperator, Rejected
from isthmus.kernel.instant import HOUR

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source
EQUAL = [{"label": "host", "op": "=", "value": "web-01"}, {"label": "env", "op": "!=", "value": "test"}]


PLAY = Play(INSTALLED, "datadog-eu")
context, play = PLAY.context, PLAY.play


def parse(name="monitor_triggered", config=None, **changed):
    sent = json.loads((FOLDER / "fixtures" / "accepted" / f"{name}.json").read_bytes())
    return SOURCE.parse(json.dumps({**sent, **changed}).encode(), {}, context(**(config or {})))[0]


def muted(client, key="k-1", alert="4242:host:web-01", matchers=()):
    return client.silence(
        matchers=matchers, starts_at=NOW, ends_at=NOW + HOUR, by="Alice", comment="Update", alert=alert,
        idempotency_key=key,
    )  # fmt: skip


def test_the_payload_that_we_ship_is_the_one_that_we_read():
    shipped = json.loads((FOLDER / "payload.json").read_text())
    assert set(shipped) == set(Notification.__struct_fields__)
    assert all(re.fullmatch(r"\$[A-Z_]+|1", each) for each in shipped.values())


def test_each_way_to_authenticate_is_the_only_one_for_its_connection():
    ways = ("header", "bearer", "basic")
    for way in ways:
        here = context(authentication=way)
        headers = SOURCE.sign(b"{}", here, NOW)
        assert SOURCE.authenticate(headers, b"{}", here, NOW) is None
        for other in set(ways) - {way}:
            assert SOURCE.authenticate(headers, b"{}", context(authentication=other), NOW).status == 401


def test_the_key_is_monitor_and_group_whatever_the_order_and_the_cycle():
    assert parse(scope="env:prod,host:web-01").external == parse(scope="host:web-01, env:prod").external
    assert parse(cycle="2").external == parse().external
    assert parse(scope="host:web-02").external != parse().external
    assert key_of("7", "*") == key_of("7", "") == "7:"


def test_every_known_transition_has_its_state_and_a_new_one_can_be_declared():
    for word, state in TRANSITIONS.items():
        assert parse(transition=word.title()).values["state"] == state
    with pytest.raises(Rejected) as caught:
        parse(transition="Muted")
    assert "transitions" in caught.value.remedy
    assert (
        parse(config={"transitions": {"muted": "resolved"}}, transition="Muted").values["state"] == "resolved"
    )


def test_a_variable_without_value_is_left_out():
    found = parse("no_data_of_a_monitor_without_groups")
    assert "metric" not in found.values["labels"]
    assert found.external.key == "4242:"


def test_the_priority_goes_before_the_status_and_an_unknown_one_before_nothing():
    assert parse(priority="P1").values["severity"] == "critical"
    assert parse(priority="null", type="warning").values["severity"] == "warning"
    assert parse("priority_nobody_declared").unknown == {"severity": "P9"}


def test_a_poll_confirms_tells_the_end_once_and_says_who_is_muted():
    async def act(simulator, client):
        key = simulator.trigger("Load is high")
        first, watermark = await poll(client)
        again, watermark = await poll(client, watermark)
        simulator.recover(key)
        ended, watermark = await poll(client, watermark)
        nothing, _ = await poll(client, watermark)
        return first, again, ended, nothing

    first, again, ended, nothing = play(act)
    assert first[0].external.key == "1001:host:web-01"
    assert first[0].values["silenced"] is False
    assert [each.event_id for each in again] == [each.event_id for each in first]
    assert (ended[0].external, ended[0].values["state"]) == (first[0].external, "resolved")
    assert nothing == []


def test_a_downtime_is_scheduled_once_for_a_group_of_a_monitor_and_cancelled():
    async def act(simulator, client):
        first, again = await muted(client), await muted(client)
        other = await muted(client, key="k-2")
        held = simulator.shelf("downtime").get(first.ref.key)
        for _ in range(2):
            await client.unsilence(silence=other.ref.key, by="Alice", comment="", idempotency_key="u")
        return first, again, other, held, len(simulator.shelf("downtime"))

    first, again, other, held, left = play(act)
    assert first.ref == again.ref != other.ref
    assert left == 1
    attributes = held["attributes"]
    assert attributes["monitor_identifier"] == {"monitor_id": 4242}
    assert attributes["scope"] == "host:web-01"
    assert attributes["schedule"]["start"].startswith("2026-11-20T15:02:00")


def test_labels_become_a_scope_and_what_a_scope_cannot_hold_is_refused():
    async def act(simulator, client):
        await muted(client, alert="", matchers=EQUAL)
        held = next(each for _, each in simulator.shelf("downtime").all())
        for wrong in ([], [{"label": "host", "op": "=~", "value": "web.*"}],
                      [{"label": "host", "op": "=", "value": "a OR *"}]):  # fmt: skip
            with pytest.raises(Rejected):
                await muted(client, key="k-2", alert="", matchers=wrong)
        return held, len(simulator.shelf("downtime"))

    held, count = play(act)
    assert held["attributes"]["scope"] == "host:web-01 AND NOT env:test"
    assert count == 1


def test_a_note_is_left_once_per_key():
    async def act(simulator, client):
        for key in ("k-1", "k-1", "k-2"):
            await client.annotate(
                alert="4242:host:web-01", labels={}, by="Alice", text="Looking", idempotency_key=key
            )
        return [each for _, each in simulator.shelf("event").all()]

    notes = play(act)
    assert len(notes) == 2
    assert {"monitor:4242", "host:web-01"} <= set(notes[0]["tags"])


def test_without_a_url_it_only_receives():
    with pytest.raises(NeedsOperator):
        INSTALLED.connector.open(context(url=""))
