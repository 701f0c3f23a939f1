"""Polls reach back and show again what was edited lately: what is in step costs no call, what is not is read."""

import asyncio
from dataclasses import replace

import pytest
from linkworld.partner import Partner
from linkworld.world import World

from isthmus.connectors.kit import sightings
from isthmus.hub import connections
from isthmus.hub.sync.algorithm import admit
from isthmus.hub.sync.algorithm.outcome import Sighting
from isthmus.kernel.observation import ObservedComment

CALLS_OF_A_POLL = 3
"""Jira: one search, then the issue and its comments from the primary store."""
EARLIER = "2026-01-01T00:00:00Z"


@pytest.fixture
def world():
    """A record at a partner whose versions are shared by several edits, with a comment, at rest."""
    world = World(Partner(name="A", versions="coarse"))
    world.edit("title", "a")
    world.comment("hello")
    assert world.quiesce()
    world.partners["A"].webhooks.clear()
    return world


def verdict(world, observation):
    sight = Sighting(observation=observation, seen_at=world.now)
    return admit(world.links["A"], sight, world.context("A")).verdict


def shown(world):
    """What a poll page would show now, with the version that is known: another edit may share it."""
    link = world.links["A"]
    return replace(world.partners["A"].observe(link.key), version=link.version)


def test_a_page_that_shows_what_was_last_seen_asks_for_nothing(world):
    assert verdict(world, shown(world)) == "drop"


@pytest.mark.parametrize(
    "edit",
    [
        lambda partner, key: partner.user_edits(key, "title", "b"),
        lambda partner, key: partner.user_edits(key, "tags", "x"),
        lambda partner, key: partner.user_edits(key, "state", "progress"),
        lambda partner, key: partner.user_comments(key, "from there"),
        lambda partner, key: partner.user_edits_comment(key, 0, "edited"),
        lambda partner, key: partner.user_deletes_comment(key, 0),
    ],
)
def test_an_edit_that_shares_the_known_version_is_read(world, edit):
    edit(world.partners["A"], world.links["A"].key)
    assert verdict(world, shown(world)) == "dirty"


@pytest.mark.parametrize("left_out", [{"comments": None}, {"attachments": None}, {"values": {}}])
def test_a_page_that_does_not_show_all_is_only_a_hint(world, left_out):
    assert verdict(world, replace(shown(world), **left_out)) == "dirty"


def test_comments_alone_are_taken_if_they_are_new_and_a_known_one_is_only_a_hint():
    world = World(Partner(name="A", versions="none"))
    world.edit("title", "a")
    world.comment("hello")
    assert world.quiesce()
    mail = replace(shown(world), values={}, comments=(ObservedComment(key="new", body="hi"),))
    assert verdict(world, mail) == "merge"
    known = world.partners["A"].observe(world.links["A"].key).comments
    assert verdict(world, replace(mail, comments=known)) == "dirty"


@pytest.mark.parametrize(
    ("apart", "calls_of_later_polls"), [(0.0, 1), (3600.0, CALLS_OF_A_POLL)], ids=["settled", "fresh"]
)
def test_polls_of_a_ticket_in_step_cost_their_own_calls_and_nothing_more(
    desk, monkeypatch, apart, calls_of_later_polls
):
    """A ticket that was read twice under the version that the list shows is not read again; the twin may still share it."""
    monkeypatch.setattr(sightings, "APART_SECONDS", apart)

    async def story():
        async with desk() as hub:
            record = await hub.opened()
            await hub.settle()
            calls = hub.simulators["jira"].calls

            async def poll():
                before = len(calls)
                await hub.poll("jira", since=EARLIER)
                await hub.settle()
                return len(calls) - before

            assert await poll() == CALLS_OF_A_POLL
            assert await poll() == (CALLS_OF_A_POLL if apart else calls_of_later_polls)
            assert [await poll() for _ in range(3)] == [calls_of_later_polls] * 3
            key = (await hub.link(record, "jira")).external_key
            hub.human("jira", key, title="Renamed in Jira")
            await hub.poll("jira", since=EARLIER)
            await hub.settle()
            assert (await hub.incident(record)).title == "Renamed in Jira"

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_page_that_nobody_kept_is_read_again(desk, monkeypatch):
    """A poll whose page could not be made durable, and one that starts from nothing, read everything."""
    monkeypatch.setattr(sightings, "APART_SECONDS", 0.0)

    async def story():
        async with desk() as hub:
            await hub.opened()
            await hub.settle()
            calls = hub.simulators["jira"].calls
            for _ in range(2):
                client = await hub.store(lambda: connections.open("jira").client)
                pages = client.changed_since("incident", EARLIER)
                assert (await anext(pages)).observations
                await pages.aclose()
                await client.close()
            await hub.poll("jira", since=EARLIER)
            before = len(calls)
            await hub.poll("jira", since=EARLIER)
            assert len(calls) == before + 1
            await hub.poll("jira")
            assert len(calls) == before + 1 + CALLS_OF_A_POLL

    asyncio.run(asyncio.wait_for(story(), 60))
