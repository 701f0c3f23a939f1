"""What users rely on: alerts that end, numbers with a threshold, and nothing that ends because it was not answered."""

from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.prometheus.simulator import LATENCY
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable

INSTALLED = registry.at(Path(__file__).parents[1])
DOWN = {"alertname": "TargetDown", "instance": "web-01", "severity": "critical"}


PLAY = Play(INSTALLED, "prometheus-eu")
play = PLAY.play


def told(found):
    return [(each.external.label or each.external.key, each.values["state"]) for each in found]


def test_an_alert_fires_goes_on_and_is_over_once():
    async def act(simulator, client):
        key = simulator.fire(DOWN)
        first, watermark = await poll(client)
        again, watermark = await poll(client, watermark)
        simulator.resolve(key)
        ended, watermark = await poll(client, watermark)
        nothing, _ = await poll(client, watermark)
        return first, again, ended, nothing

    first, again, ended, nothing = play(act)
    assert told(first) == [("TargetDown", "firing")]
    assert again[0].event_id == first[0].event_id
    assert ended[0].external == first[0].external
    assert ended[0].values["state"] == "resolved"
    assert ended[0].values["starts_at"] == first[0].values["starts_at"]
    assert nothing == []


def test_what_waits_inside_prometheus_is_no_alert_yet():
    async def act(simulator, client):
        simulator.fire(DOWN, state="pending")
        return (await poll(client))[0]

    assert play(act) == []


def test_where_an_alertmanager_tells_of_alerts_they_are_not_taken_twice():
    async def act(simulator, client):
        simulator.fire(DOWN)
        return (await poll(client))[0]

    assert play(act, alerts=False) == []
    assert len(play(act)) == 1


def test_a_number_fires_stays_between_the_thresholds_and_is_over_below():
    async def act(simulator, client):
        watermark, states, ids = "", [], []
        for value in ("0.2", "0.6", "0.9", "0.4", "NaN", "0.31", "0.3", "0.4", "+Inf"):
            simulator.series[LATENCY] = [({"service": "checkout"}, value)]
            found, watermark = await poll(client, watermark)
            states.append([each.values["state"] for each in found])
            ids += [each.event_id for each in found]
        return states, ids

    states, ids = play(act)
    assert states == [[], ["firing"], ["firing"], [], [], [], ["resolved"], [], ["firing"]]
    assert ids[0] == ids[1], "the same episode is the same event"
    assert len({ids[0], ids[2], ids[3]}) == 3, "its end and the next episode are others"


def test_every_series_is_an_alert_of_its_own_with_its_labels_and_ours():
    async def act(simulator, client):
        simulator.series[LATENCY] = [({"service": "checkout"}, "1"), ({"service": "search"}, "2")]
        first, watermark = await poll(client)
        simulator.series[LATENCY].pop()
        second, _ = await poll(client, watermark)
        return first, second

    first, second = play(act)
    assert [each.values["labels"]["service"] for each in first] == ["checkout", "search"]
    assert {each.values["labels"]["alertname"] for each in first} == {"CheckoutLatency"}
    assert [each.values["severity"] for each in first] == ["error", "error"]
    assert told(second)[0][1] == "firing"
    assert second[1].values["labels"]["service"] == "search"
    assert second[1].values["state"] == "resolved"


def test_an_absent_series_stays_open_where_the_query_says_so():
    query = {"name": "Q", "query": LATENCY, "threshold": {"value": 1}, "absent": "keep"}

    async def act(simulator, client):
        simulator.series[LATENCY] = [({"service": "checkout"}, "1"), ({"service": "search"}, "1")]
        _, watermark = await poll(client)
        simulator.series[LATENCY] = [({"service": "search"}, "0")]
        second, _ = await poll(client, watermark)
        return second

    second = play(act, queries=[query])
    assert [(each.values["labels"]["service"], each.values["state"]) for each in second] == [
        ("search", "resolved")
    ]


def test_nothing_ends_because_an_answer_was_not_whole():
    async def act(simulator, client):
        key = simulator.fire(DOWN)
        _, watermark = await poll(client)
        simulator.resolve(key)
        simulator.warnings = ["a store is away"]
        partial, watermark = await poll(client, watermark)
        simulator.warnings = []
        whole, _ = await poll(client, watermark)
        return partial, whole

    partial, whole = play(act)
    assert partial == []
    assert whole[0].values["state"] == "resolved"


def test_a_poll_that_breaks_off_ends_nothing_and_stores_nothing():
    async def act(simulator, client):
        key = simulator.fire(DOWN)
        _, watermark = await poll(client)
        simulator.resolve(key)
        simulator.faults.plan(Fault.STATUS, status=503, path="/api/v1/rules")
        found = []
        with pytest.raises(Retryable):
            await poll(client, watermark, found=found)
        return found

    assert play(act) == []


def test_a_rule_that_cannot_be_evaluated_is_an_alert_until_it_can():
    async def act(simulator, client):
        simulator.failing["HighQueueDepth"] = "many-to-many matching not allowed"
        first, watermark = await poll(client)
        simulator.failing.clear()
        second, _ = await poll(client, watermark)
        return first, second

    first, second = play(act)
    assert first[0].values["labels"]["rule"] == "HighQueueDepth"
    assert first[0].values["annotations"]["error"] == "many-to-many matching not allowed"
    assert second[0].values["state"] == "resolved"
    assert play(act, rule_health=False) == ([], [])


def test_a_query_that_is_refused_leaves_the_others_and_its_own_alerts():
    wrong = {"name": "Wrong", "query": "rate(x[5m]", "threshold": {"value": 1}}
    right = {"name": "Right", "query": "up", "threshold": {"value": 1, "comparison": "<"}}

    async def act(simulator, client):
        simulator.series["up"] = [({"instance": "a"}, "0")]
        found = []
        with pytest.raises(NeedsOperator) as caught:
            await poll(client, found=found)
        return found, caught.value

    found, fault = play(act, queries=[wrong, right])
    assert told(found) == [("Right", "firing")]
    assert "'Wrong'" in fault.text


def test_too_many_series_are_a_fault_of_the_query():
    query = {"name": "Q", "query": "up", "threshold": {"value": 1}, "series_max": 1}

    async def act(simulator, client):
        simulator.series["up"] = [({"instance": "a"}, "1"), ({"instance": "b"}, "1")]
        with pytest.raises(NeedsOperator) as caught:
            await poll(client)
        return caught.value

    assert "series_max" in play(act, queries=[query]).remedy


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"queries": [{"name": "a b", "query": "up", "threshold": {"value": 1}}]}, "name"),
        ({"queries": [{"name": "a", "query": "up", "threshold": {"value": 1, "clear": 2}}]}, "clear"),
        ({"queries": [{"name": "a", "query": "up", "threshold": {"value": 1}}] * 2}, "two queries"),
        ({"authentication": "bearer"}, "api_token"),
    ],
)
def test_a_wrong_configuration_is_refused_when_it_is_saved(config, says):
    with pytest.raises(Rejected) as caught:
        INSTALLED.context("x", {"url": "http://x", **config})
    assert says in str(caught.value)
