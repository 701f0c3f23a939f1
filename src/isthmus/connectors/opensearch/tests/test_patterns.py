"""What users rely on: windows without gaps, early firing, clearing only by whole answers. The clock is ours."""

from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play
from isthmus.connectors.opensearch.client import OpenSearchClient
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable

INSTALLED = registry.at(Path(__file__).parents[1])
QUERY = {
    "name": "Errors", "query": "level:error", "index": "logs-*", "window_seconds": 60, "lag_seconds": 0,
    "threshold": {"value": 3, "clear": 1},
}  # fmt: skip
START = 1_795_186_620  # the beginning of a minute


class Log:
    """A store, a connection and a clock that is set by hand."""

    def __init__(self, simulator, client, now):
        self.simulator, self.client, self.now, self.watermark = simulator, client, now, ""

    def write(self, count, *, before=1, **fields):
        self.simulator.write(self.now[0] - before, count, **{"level": "error", **fields})

    async def poll(self):
        found = []
        async for page in self.client.changed_since("alert", self.watermark):
            found += page.observations
            self.watermark = page.watermark  # stays where it is if a later page fails
        return found

    async def after(self, seconds):
        self.now[0] += seconds
        return await self.poll()


def played(act, *queries):
    now = [START]
    play = Play(INSTALLED, "logs", lambda context: OpenSearchClient(context, clock=lambda: now[0]))
    return play.play(
        lambda simulator, client: act(Log(simulator, client, now)), queries=list(queries or [QUERY])
    )


def states(found):
    return [each.values["state"] for each in found]


def test_a_burst_fires_early_is_the_same_event_when_whole_and_clears_after():
    async def act(log):
        quiet = await log.poll()
        log.now[0] += 30
        log.write(3)
        early, whole = await log.poll(), await log.after(35)
        return quiet, early, whole, await log.after(60), await log.after(60)

    quiet, early, whole, cleared, after = played(act)
    assert quiet == after == []
    assert states(early) == states(whole) == ["firing"]
    assert early[0].event_id == whole[0].event_id
    assert early[0].values["starts_at"] == START * 1_000_000
    assert states(cleared) == ["resolved"]
    assert cleared[0].values["ends_at"] == (START + 120) * 1_000_000


def test_lines_are_not_early_missed_or_counted_twice_whenever_one_polls():
    async def act(log):
        await log.poll()
        log.now[0] += 30
        log.write(1)
        await log.poll()
        log.write(1)
        log.write(1)
        return await log.after(100)

    assert states(played(act)) == ["firing", "resolved"]


def test_between_the_thresholds_it_stays_as_it_is():
    async def act(log):
        log.write(3, before=30)
        found = [states(await log.poll())]
        for count in (2, 2, 1, 2):
            log.now[0] += 30
            log.write(count)
            found.append(states(await log.after(30)))
        return found

    assert played(act) == [["firing"], [], [], ["resolved"], []]


def test_no_window_is_skipped_after_an_absence_and_a_poll_is_bounded():
    async def act(log):
        await log.poll()
        log.write(3, before=-90)  # in the second minute of an hour without polls
        asked = []
        found = []
        for _ in range(3):
            before = len(log.simulator.calls)
            found += await (log.after(3_600) if not found and not asked else log.poll())
            asked.append(len(log.simulator.calls) - before)
        return found, asked

    found, asked = played(act)
    assert states(found) == ["firing", "resolved"]
    assert asked == [24, 24, 13]


def test_an_answer_that_is_not_whole_clears_nothing_and_is_asked_for_again():
    async def act(log):
        log.write(3, before=30)
        fired = await log.poll()
        log.simulator.failed_shards = 1
        with pytest.raises(Retryable):
            await log.after(60)
        log.simulator.failed_shards = 0
        return fired, await log.poll()

    fired, cleared = played(act)
    assert states(fired) == ["firing"]
    assert states(cleared) == ["resolved"]


def test_every_group_is_an_alert_of_its_own_and_a_silent_one_clears():
    async def act(log):
        log.write(3, before=30, host="a")
        log.write(4, before=30, host="b")
        first = await log.poll()
        log.now[0] += 30
        log.write(3, host="a")
        return first, await log.after(30)

    first, second = played(act, {**QUERY, "group_by": "host"})
    assert {each.values["labels"]["host"] for each in first} == {"a", "b"}
    assert sorted((each.values["labels"]["host"], each.values["state"]) for each in second) == [
        ("a", "firing"),
        ("b", "resolved"),
    ]


def test_too_many_groups_are_a_fault_of_the_query_and_leave_the_others():
    many = {**QUERY, "name": "Many", "group_by": "host", "groups_max": 1}

    async def act(log):
        log.write(3, before=30, host="a")
        log.write(3, before=30, host="b")
        with pytest.raises(NeedsOperator) as caught:
            await log.poll()
        return caught.value, log.watermark

    fault, watermark = played(act, many, QUERY)
    assert "'Many'" in fault.text
    assert '"Errors"' in watermark, "the other query was counted and stored"


def test_a_query_that_is_taken_out_ends_its_alerts():
    async def act(log):
        log.write(3, before=30)
        return await log.poll(), log.watermark

    fired, watermark = played(act)

    async def later(log):
        log.watermark = watermark
        return await log.poll()

    ended = played(later, {**QUERY, "name": "Others", "query": "level:fatal"})
    assert (ended[0].external, states(ended)) == (fired[0].external, ["resolved"])


def test_text_of_the_log_leaves_the_store_only_where_that_is_asked_for():
    async def act(log):
        log.write(3, before=30, message="card 4111 declined")
        return await log.poll()

    assert "sample" not in played(act)[0].values["annotations"]
    shown = played(act, {**QUERY, "sample_field": "message"})
    assert shown[0].values["annotations"]["sample"] == "card 4111 declined"


def test_an_index_that_is_not_there_is_said():
    async def act(log):
        log.write(1)
        with pytest.raises(NeedsOperator) as caught:
            await log.poll()
        return caught.value

    assert "no index other-*" in played(act, {**QUERY, "index": "other-*"}).text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({**QUERY, "index": "../_cluster"}, "index"),
        ({**QUERY, "window_seconds": 1}, "window_seconds"),
        ({**QUERY, "threshold": {"value": 1, "clear": 2}}, "clear"),
    ],
)
def test_a_wrong_query_is_refused_when_it_is_saved(query, says):
    with pytest.raises(Rejected) as caught:
        INSTALLED.context("x", {"url": "http://x", "queries": [query]})
    assert says in str(caught.value)
