import asyncio
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.servicenow.mapping import marked, split_mark
from isthmus.connectors.servicenow.tests.connected import connected
from isthmus.connectors.servicenow.webhook import ServiceNowSource
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant


def now():
    return Instant(time.time_ns() // 1000)


def test_what_the_business_rule_posts_enters_and_says_what_a_read_says():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", {"title": "Disk full", "priority": "2"}, "link", "")
            simulator.human_comment("incident", made.ref.key, "on it")
            body = msgspec.json.encode(
                simulator.outbox.sent[-1].payload
                if simulator.outbox.sent
                else simulator.outbox.pending[-1].payload
            )
            headers = simulator.sign(body)
            source = ServiceNowSource()
            assert source.authenticate(headers, body, _context(client, simulator), now()) is None
            return source.parse(body, headers, _context(client, simulator))[0], await client.read(made.ref)

    pushed, read = asyncio.run(act())
    assert pushed.values == read.values
    assert pushed.version == read.version
    assert pushed.comments == read.comments
    assert pushed.event_id


def test_a_replayed_delivery_keeps_its_identity_and_a_late_one_is_refused():
    async def act():
        async with connected() as (client, simulator):
            simulator.seed("incident", 1)
            body = msgspec.json.encode(simulator.outbox.pending[0].payload)
            context, source = _context(client, simulator), ServiceNowSource()
            first, again = simulator.sign(body), simulator.sign(body)
            late = Instant(now() + 600_000_000)
            ids = {source.parse(body, each, context)[0].event_id for each in (first, again)}
            return len(ids), source.authenticate(first, body, context, late).reason

    assert asyncio.run(act()) == (1, "late")


def test_a_column_that_the_rule_does_not_list_is_left_alone():
    async def act():
        async with connected() as (client, simulator):
            simulator.seed("incident", 1)
            payload = simulator.outbox.pending[0].payload
            del payload["record"]["close_notes"]
            return ServiceNowSource().parse(msgspec.json.encode(payload), {}, _context(client, simulator))[0]

    assert "resolution_notes" not in asyncio.run(act()).values


def test_a_journal_with_a_broken_time_is_refused_by_its_place():
    async def act():
        async with connected() as (client, simulator):
            key = simulator.seed("incident", 1)[0]
            simulator.human_comment("incident", key, "hello")
            payload = simulator.outbox.pending[-1].payload
            payload["journal"][0]["sys_created_on"]["value"] = "yesterday"
            with pytest.raises(Rejected) as caught:
                ServiceNowSource().parse(msgspec.json.encode(payload), {}, _context(client, simulator))
            return caught.value.problems[0].path

    assert asyncio.run(act()) == "/journal/0/sys_created_on/value"


@given(st.text(max_size=60), st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True))
def test_our_mark_is_found_again_whatever_the_text(body, correlation):
    assert split_mark(marked(body, correlation)) == (body.strip(), correlation)


@pytest.mark.parametrize("text", ["", "[isthmus 1]", "see [isthmus 1] there", "x\n\n[isthmus a b]"])
def test_a_text_without_our_mark_is_nobodys(text):
    assert split_mark(text) == (text, "")


def _context(client, simulator):
    from pathlib import Path

    from isthmus.connectors.kit import registry

    folder = Path(__file__).parents[1]
    return registry.at(folder).context(
        "snow", simulator.config("http://snow.test"), secrets=simulator.secrets()
    )
