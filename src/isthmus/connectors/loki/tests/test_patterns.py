"""What users rely on: the count of LogQL is exactly that of the window, borders included."""

from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.log_queries import Window
from isthmus.connectors.loki.client import LokiClient
from isthmus.kernel.errors import NeedsOperator, Rejected

INSTALLED = registry.at(Path(__file__).parents[1])
QUERY = {
    "name": "Errors", "query": '{app="checkout"} |= "error"', "window_seconds": 60, "lag_seconds": 0,
    "threshold": {"value": 2},
}  # fmt: skip


def played(act, *queries, now=1_000_020.0):
    play = Play(INSTALLED, "loki-eu", lambda context: LokiClient(context, clock=lambda: now))
    return play.play(act, queries=list(queries))


def test_a_line_at_the_border_belongs_to_the_window_that_it_begins():
    async def act(simulator, client):
        for at in (60, 119.999, 120):
            simulator.write(at, "error: x", app="checkout")
        query = client._config.queries[0]
        return [
            (await client.count(query, Window(start=start, end=start + 60, whole=True)))[0].number
            for start in (0, 60, 120)
        ]

    assert played(act, QUERY) == [0, 2, 1]


def test_filters_labels_and_groups_are_lokis():
    async def act(simulator, client):
        simulator.write(999_970, "error: x", 2, app="checkout", pod="a")
        simulator.write(999_970, "error: x", 2, app="search", pod="a")
        simulator.write(999_970, "all is well", 2, app="checkout", pod="b")
        return (await poll(client))[0]

    found = played(act, {**QUERY, "group_by": ["pod"]})
    assert [each.external.key for each in found] == ["log/Errors/pod=a"]
    assert found[0].values["labels"] == {"pod": "a", "alertname": "Errors"}


def test_what_loki_refuses_names_the_query():
    async def act(simulator, client):
        with pytest.raises(NeedsOperator) as caught:
            await poll(client)
        return caught.value

    assert "'Errors'" in played(act, {**QUERY, "query": "{app=~}} |"}).text


def test_a_query_that_counts_already_is_refused_when_it_is_saved():
    with pytest.raises(Rejected) as caught:
        INSTALLED.context("x", {"url": "http://x", "queries": [{**QUERY, "query": 'rate({a="b"}[1m])'}]})
    assert "selector" in str(caught.value)
