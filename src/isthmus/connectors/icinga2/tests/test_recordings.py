"""Recorded streams: hard states only, one alert whatever the way, a broken line is read anew."""

import asyncio
import json

import pytest

from isthmus.connectors.icinga2 import mapping
from isthmus.connectors.icinga2.simulator import Icinga2Simulator
from isthmus.connectors.icinga2.tests.played import (
    FOLDER,
    INSTALLED,
)
from isthmus.kernel.errors import Retryable


def recorded(name):
    return [json.loads(line) for line in (FOLDER / "fixtures" / "events" / name).read_text().splitlines()]


def test_a_recorded_stream_tells_hard_states_acknowledgements_and_downtimes_only():
    lines = (FOLDER / "fixtures" / "events" / "problem_to_recovery__2.13.jsonl").read_bytes().splitlines()
    objects = json.loads((FOLDER / "fixtures" / "api" / "service__2.13.json").read_text())["results"]
    found = _followed(lines, objects)
    assert [(each.values["state"], each.values.get("severity")) for each in found if ":2" in each.event_id][
        :1
    ] == [("firing", "critical")]
    kinds = [each.event_id.split(":")[-2] for each in found]
    assert "AcknowledgementSet" in kinds
    assert "DowntimeTriggered" in kinds
    taken = next(each for each in found if "AcknowledgementSet" in each.event_id)
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "Ada")
    assert found[-1].values["state"] == "resolved"
    soft = [each for each in recorded("problem_to_recovery__2.13.jsonl") if each.get("state_type") == 0]
    assert soft, "the recording holds a soft state, which is told to nobody"


def test_stream_and_object_name_the_same_event_in_the_recording():
    first = json.loads((FOLDER / "fixtures" / "api" / "service__2.13.json").read_text())["results"][0]
    hard = next(
        each
        for each in recorded("problem_to_recovery__2.13.jsonl")
        if each["type"] == "StateChange" and each["state_type"] == 1 and each["state"] == 2
    )
    config = INSTALLED.context("icinga", Icinga2Simulator().config("https://x")).config
    listed = mapping.from_object(_object(first), "icinga", config)
    event = mapping.decode_event(json.dumps(hard).encode())
    streamed = mapping.from_event(event, mapping.changed(_object(first), event), "icinga", config, None)
    assert streamed.event_id == listed.event_id
    assert streamed.values["labels"] == listed.values["labels"]


def _object(result):
    return mapping.msgspec.convert(result, mapping.Object, strict=False)


def _followed(lines, objects):
    from isthmus.connectors.icinga2.following import Following

    class Reader:
        async def objects(self, condition, variables):
            return [_object(each) for each in objects]

        async def acknowledgements(self):
            return {}

    config = INSTALLED.context("icinga", Icinga2Simulator().config("https://x")).config
    following = Following(Reader(), "icinga", config)

    async def run():
        await following.told([])
        return await following.told(lines)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b'{"type":"StateChange"}', b'{"type":"StateChange","timestamp":"now"}', b"\xff"]
)
def test_a_line_that_is_no_event_breaks_the_stream_so_that_everything_is_read_anew(line):
    with pytest.raises(Retryable):
        _followed([line], [])
