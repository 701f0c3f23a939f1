"""The mode of transport says nothing about the event; its identity is source and id."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.cloudevents.event import events
from isthmus.connectors.kit import registry
from isthmus.kernel.errors import Rejected

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
DATA = {"host": "web-01.example.test", "level": "error", "text": "Disk is full – Zürich 🚒"}
EVENT = {
    "specversion": "1.0", "id": "1", "source": "/probes/eu-1", "type": "com.example.check.failed",
    "subject": "disk", "time": "2026-11-20T14:57:24.728Z", "datacontenttype": "application/json",
}  # fmt: skip


def context():
    simulator = INSTALLED.connector.simulator()
    return INSTALLED.context("probes", simulator.config(""), secrets=simulator.secrets())


def parse(body, headers):
    return SOURCE.parse(json.dumps(body).encode(), headers, context())


def binary(**more):
    from urllib.parse import quote

    told = {f"ce-{name}": quote(value) for name, value in EVENT.items() if name != "datacontenttype"}
    return {"content-type": "application/json", **told, **more}


def test_the_three_modes_give_the_same_observation():
    structured = parse({**EVENT, "data": DATA}, STRUCTURED)
    assert len(structured) == 1
    assert parse([{**EVENT, "data": DATA}], BATCH) == structured
    assert parse(DATA, binary()) == structured


@given(
    st.dictionaries(
        st.sampled_from(["host", "text", "note"]), st.text(st.characters(codec="utf-8")), min_size=3
    )
)
def test_any_data_survives_every_mode(data):
    structured = [each.raw() for each in events(json.dumps({**EVENT, "data": data}).encode(), STRUCTURED)]
    assert structured[0]["data"] == data
    told = [each.raw() for each in events(json.dumps(data).encode(), binary())]
    assert told[0]["data"] == data


def test_source_and_id_together_are_the_identity():
    def event_id(**changed):
        return parse({**EVENT, "data": DATA, **changed}, STRUCTURED)[0].event_id

    assert event_id(data={**DATA, "text": "other"}) == event_id()
    assert event_id(id="2") != event_id()
    assert event_id(source="/probes/eu-2") != event_id()


def test_one_wrong_event_refuses_the_whole_batch_with_its_place():
    with pytest.raises(Rejected) as caught:
        parse([{**EVENT, "data": DATA}, {**EVENT, "specversion": "0.3"}], BATCH)
    assert caught.value.problems[0].path == "/1/specversion"


def test_a_batch_has_an_end():
    with pytest.raises(Rejected):
        parse([EVENT] * 1_001, BATCH)


def test_the_time_of_the_event_is_when_it_happened_unless_a_rule_says_otherwise():
    told = parse({**EVENT, "data": DATA}, STRUCTURED)[0].occurred_at
    assert told is not None
    assert parse({**EVENT, "data": DATA, "time": None}, STRUCTURED)[0].occurred_at is None


def test_data_that_is_neither_json_nor_text_is_kept_as_it_is():
    told = next(events(b"\x00\x01", binary(**{"content-type": "application/octet-stream"}))).raw()
    assert "data" not in told
    assert told["data_base64"] == "AAE="
