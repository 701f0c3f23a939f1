import asyncio

import pytest

from isthmus.connectors.jira.simulated.project import ISSUES
from isthmus.connectors.jira.tests.connected import connected
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.ports import SetDelta
from isthmus.kernel.errors import Conflict, Rejected, UnknownOutcome

NEW = {"title": "Checkout slow", "description": "since 14:02", "priority": "High", "state": "Open"}


def test_a_new_issue_walks_to_its_status_and_gets_a_resolution_on_the_way():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", {**NEW, "state": "Resolved"}, "link", "key")
            return made.observation.values["state"], simulator.project.issue(made.ref.key)["fields"][
                "resolution"
            ]

    assert asyncio.run(act()) == ("Resolved", {"name": "Done"})


def test_the_way_to_resolved_leads_through_work_and_never_out_of_closed():
    async def act():
        async with connected() as (client, _):
            pairs = (("Open", "Resolved"), ("Pending", "Closed"), ("Closed", "Open"), ("Unheard of", "Open"))
            return [client.path("incident", *pair) for pair in pairs]

    assert asyncio.run(act()) == [["Work in progress", "Resolved"], ["Resolved", "Closed"], None, None]


def test_a_transition_that_the_workflow_does_not_offer_names_the_state_and_changes_nothing():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "key")
            before = len(simulator.writes())
            with pytest.raises(Rejected) as caught:
                await client.write(made.ref, {"state": "Resolved"}, {}, made.version)
            return caught.value.problems[0].path, len(simulator.writes()) - before

    assert asyncio.run(act()) == ("/state", 0)


def test_refused_values_are_named_by_canonical_field():
    async def act():
        async with connected() as (client, _):
            made = await client.create("incident", NEW, "link", "key")
            paths = []
            for patch, deltas in (
                ({"priority": "Blocker"}, {}),
                ({"title": "  "}, {}),
                ({}, {"tags": SetDelta(add=("two words",))}),
            ):
                with pytest.raises(Rejected) as caught:
                    await client.write(made.ref, patch, deltas, "")
                paths += [each.path for each in caught.value.problems]
            return paths

    assert asyncio.run(act()) == ["/priority", "/title", "/tags"]


def test_search_that_lags_misses_an_issue_at_first_and_finds_it_after_its_lag():
    async def act():
        async with connected() as (client, simulator):
            simulator.index_lag_seconds = 60
            await client.create("incident", NEW, "link", "key")
            early = await client.find("link", "incident")
            simulator.shelf(ISSUES).age(61)
            return early, len(await client.find("link", "incident"))

    assert asyncio.run(act()) == ([], 1)


def test_a_retry_with_the_same_key_finds_the_issue_that_the_lost_answer_made():
    async def act():
        async with connected() as (client, simulator):
            simulator.faults.plan(Fault.RESET_AFTER_COMMIT, method="POST")
            with pytest.raises(UnknownOutcome):
                await client.create("incident", NEW, "link", "key")
            await client.create("incident", NEW, "link", "key")
            return simulator.find_all("incident", "link")

    assert len(asyncio.run(act())) == 1


def test_values_never_come_from_the_index():
    async def act():
        async with connected() as (client, simulator):
            key = simulator.seed("incident", 1)[0]
            simulator.shelf(ISSUES).age(61)
            simulator.index_lag_seconds = 60
            simulator.human_edit("incident", key, {"title": "Edited just now"})
            async for page in client.changed_since("incident", ""):
                return page.observations[0].values["title"]
            return ""

    assert asyncio.run(act()) == "Edited just now"


def test_labels_of_ours_are_no_tags_and_survive_a_removal_of_all_tags():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", {**NEW, "tags": ["db"]}, "link", "key")
            await client.write(made.ref, {}, {"tags": SetDelta(remove=("db",))}, "")
            seen = await client.read(made.ref)
            return seen.values["tags"], seen.correlation, simulator.find_all("incident", "link")

    tags, correlation, found = asyncio.run(act())
    assert (tags, correlation, len(found)) == ([], "link", 1)


def test_internal_and_public_comments_keep_their_visibility_both_ways():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "key")
            await client.comment(made.ref, "for us", public=False, correlation="c-1")
            simulator.human_comment("incident", made.ref.key, "for all", public=True)
            simulator.human_comment("incident", made.ref.key, "for agents", public=False)
            return [(each.body, each.public, each.correlation) for each in await client.comments(made.ref)]

    assert asyncio.run(act()) == [("for us", False, "c-1"), ("for all", True, ""), ("for agents", False, "")]


def test_a_write_that_somebody_followed_at_once_is_not_taken_for_ours():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "key")
            # The first GET is the look before the write; the second, after the PUT, is the read-back.
            simulator.after_read.append(lambda: None)
            simulator.faults.plan(Fault.SLOW, method="PUT", delay_seconds=1.0)
            writing = asyncio.ensure_future(client.write(made.ref, {"title": "Ours"}, {}, ""))
            while simulator.project.issue(made.ref.key)["fields"]["summary"] != "Ours":  # noqa: ASYNC110 - nobody rings for it
                await asyncio.sleep(0.001)
            simulator.human_edit("incident", made.ref.key, {"priority": "Low"})
            return await writing

    written = asyncio.run(act())
    assert written.observation is None
    assert written.version


def test_a_version_that_has_moved_on_is_a_conflict_before_anything_is_written():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "key")
            await asyncio.sleep(0.002)
            simulator.human_edit("incident", made.ref.key, {"title": "Theirs"})
            before = len(simulator.writes())
            with pytest.raises(Conflict):
                await client.write(made.ref, {"title": "Ours"}, {}, made.version)
            return len(simulator.writes()) - before

    assert asyncio.run(act()) == 0
