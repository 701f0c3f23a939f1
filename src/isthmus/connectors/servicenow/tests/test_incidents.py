import asyncio

import pytest

from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.servicenow.tests.connected import connected
from isthmus.kernel.errors import Conflict, NeedsOperator, Rejected, UnknownOutcome

NEW = {"number": "INC-000042", "title": "Checkout slow", "state": "1", "priority": "1"}


def test_a_priority_is_written_as_the_pair_that_yields_it():
    async def act():
        async with connected() as (client, simulator):
            seen = []
            for priority in ("1", "2", "3", "4"):
                made = await client.create("incident", {**NEW, "priority": priority}, f"link-{priority}", "")
                row = simulator.shelf("incident").get(made.ref.key)
                seen.append((made.observation.values["priority"], row["impact"], row["urgency"]))
            return seen

    assert asyncio.run(act()) == [("1", "1", "1"), ("2", "1", "2"), ("3", "2", "2"), ("4", "2", "3")]


def test_a_priority_that_cannot_be_derived_is_refused_by_name():
    async def act():
        async with connected() as (client, simulator):
            with pytest.raises(Rejected) as caught:
                await client.create("incident", {**NEW, "priority": "9"}, "link", "")
            return caught.value.problems[0].path, simulator.writes()

    assert asyncio.run(act()) == ("/priority", [])


def test_the_hubs_number_and_correlation_stand_on_the_record():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link-1", "")
            row = simulator.shelf("incident").get(made.ref.key)
            return row["correlation_id"], row["correlation_display"]

    assert asyncio.run(act()) == ("link-1", "INC-000042")


def test_resolving_without_code_and_notes_names_both_and_changes_nothing():
    async def act():
        async with connected(close_code="", close_notes="") as (client, simulator):
            made = await client.create("incident", NEW, "link", "")
            with pytest.raises(Rejected) as caught:
                await client.write(made.ref, {"state": "6"}, {}, made.version)
            state = simulator.shelf("incident").get(made.ref.key)["state"]
            return {each.path for each in caught.value.problems}, state

    assert asyncio.run(act()) == ({"/resolution_code", "/resolution_notes"}, "1")


def test_the_connections_own_resolution_fills_what_the_hub_leaves_open():
    async def act():
        async with connected(close_code="Solution provided", close_notes="See the hub.") as (client, _):
            made = await client.create("incident", NEW, "link", "")
            patch = {"state": "6", "resolution_notes": "Port replaced"}
            return (await client.write(made.ref, patch, {}, made.version)).observation.values

    values = asyncio.run(act())
    assert values["resolution_code"] == "Solution provided"
    assert values["resolution_notes"] == "Port replaced", "what the hub says wins"


def test_a_closed_incident_is_left_to_servicenow():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "")
            simulator.human_edit(
                "incident", made.ref.key, {"state": "7", "resolution_code": "x", "resolution_notes": "y"}
            )
            with pytest.raises(NeedsOperator):
                await client.write(made.ref, {"title": "late"}, {}, "")

    asyncio.run(act())


def test_the_way_to_closed_leads_through_resolved_and_never_out_of_closed():
    async def act():
        async with connected() as (client, _):
            ways = [
                client.path("incident", *pair) for pair in (("1", "7"), ("3", "7"), ("6", "2"), ("7", "2"))
            ]
            return [*ways, client.path("change", "-5", "3")]

    assert asyncio.run(act()) == [["6", "7"], ["6", "7"], ["2"], None, None]


def test_a_column_that_an_access_rule_ignores_shows_its_old_value():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "")
            simulator.instance.ignored.add("short_description")
            return (await client.write(made.ref, {"title": "unwanted"}, {}, made.version)).observation.values

    assert asyncio.run(act())["title"] == "Checkout slow"


def test_a_version_that_has_moved_on_is_a_conflict_before_anything_is_written():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "")
            simulator.human_edit("incident", made.ref.key, {"title": "Theirs"})
            before = len(simulator.writes())
            with pytest.raises(Conflict):
                await client.write(made.ref, {"title": "Ours"}, {}, made.version)
            return len(simulator.writes()) - before

    assert asyncio.run(act()) == 0


def test_an_edit_in_the_gap_is_read_along_with_its_comments():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", NEW, "link", "")
            simulator.after_read.append(
                lambda: simulator.human_comment("incident", made.ref.key, "I am on it")
            )
            return (await client.write(made.ref, {"priority": "2"}, {}, made.version)).observation.comments

    assert [each.body for each in asyncio.run(act())] == ["I am on it"]


def test_an_unknown_group_is_refused_and_a_known_one_is_stored_by_its_id():
    async def act():
        async with connected() as (client, simulator):
            made = await client.create("incident", {**NEW, "assignment_group": "Database"}, "link", "")
            with pytest.raises(Rejected) as caught:
                await client.write(made.ref, {"assignment_group": "Nobody^active=true"}, {}, "")
            stored = simulator.shelf("incident").get(made.ref.key)["assignment_group"]
            return made.observation.values["assignment_group"], len(stored), caught.value.problems[0].path

    assert asyncio.run(act()) == ("Database", 32, "/assignment_group")


def test_a_new_incident_does_not_wait_for_a_group_that_servicenow_lacks():
    async def act():
        async with connected() as (client, _):
            made = await client.create("incident", {**NEW, "assignment_group": "Nobody"}, "link", "")
            return made.observation.values["assignment_group"]

    assert asyncio.run(act()) == "", "the hub sees that the group did not stick"


def test_an_answer_that_is_no_record_leaves_a_creation_unknown_and_looking_finds_it():
    async def act():
        async with connected() as (client, simulator):
            simulator.faults.plan(Fault.BAD_JSON, method="POST")
            with pytest.raises(UnknownOutcome):
                await client.create("incident", NEW, "link", "")
            found = await client.find("link", "incident")
            again = await client.create("incident", NEW, "link", "")
            return [each.key for each in found] == [again.ref.key], len(
                simulator.find_all("incident", "link")
            )

    assert asyncio.run(act()) == (True, 1)


def test_oauth_asks_for_a_token_once_and_again_when_it_is_refused():
    async def act():
        async with connected(client_id="isthmus") as (client, simulator):
            await client.create("incident", NEW, "link", "")
            simulator.bearer = "renewed"
            await client.create("incident", NEW, "link-2", "")
            return [each.path for each in simulator.calls].count("/oauth_token.do")

    assert asyncio.run(act()) == 2
