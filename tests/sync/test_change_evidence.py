"""Approvals and changes of a ServiceNow: what they open here, and what they never open. With the real
connector, its simulator and its mapping, by poll and by signed webhook."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import asynccontextmanager

import msgspec
import pytest

from isthmus.blueprint import approvals, running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.connectors.kit import registry
from isthmus.hub import connections
from isthmus.identity import people
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.instant import HOUR, Instant, to_datetime
from isthmus.ledger import reading
from isthmus.practices.approval.models import Approval
from isthmus.practices.change import gate, service
from isthmus.practices.change.models import Change
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration.models import Ci

FLOWS = {
    "change": {
        "owner": "Change enablement",
        "system_of_record": "hub",
        "connections": {"snow": {}},
        "fields": [],
    }
}
ROUTES = [{"id": "changes", "kind": "change", "to": ["snow"], "when": 'channel == "api"'}]
NAMES = {"ada": "ada.snow", "ben": "ben.snow", "eve": "eve.snow"}


class Office:
    """A desk with a small map, Ada who asks, Ben and Eve who approve, all three known at ServiceNow."""

    def __init__(self, desk):
        self.desk, self.book, self.people = desk, desk.book, {}
        self.snow = desk.simulators["snow"]
        self.posted = []
        self.snow.emit = self.posted.append

    async def open(self):
        rows = [
            {"kind": "ci", "name": "db-7", "ci_class": "database"},
            {"kind": "ci", "name": "shop-7", "ci_class": "application"},
            {"kind": "ci", "name": "mail-7", "ci_class": "server"},
            {"kind": "ci_relation", "source_ci": "shop-7", "target_ci": "db-7"},
        ]
        await self.desk.perform(
            lambda work: configuration.import_rows(work, rows, organisation=self.organisation, source="test")
        )
        for name, there in NAMES.items():
            person = await self.desk.perform(
                lambda work, name=name, there=there: self._join(work, name, there)
            )
            self.people[name] = Actor(
                kind=ActorKind.PERSON, id=person.id, label=name, organisations=frozenset({self.organisation}),
                roles=frozenset({"agent", "change_manager", "approver"}),
            )  # fmt: skip
        return self

    def _join(self, work, name, there):
        person = people.create_person(
            work, organisation=self.organisation, name=name, email="", username=name
        )
        return work.change(person, {"partner_names": {"snow": there}, "state": "active"}, why=[])

    @property
    def organisation(self):
        return self.book.organisation

    @property
    def now(self):
        return self.book.clock.now()

    async def trust(self, *types):
        """Name ServiceNow as authority for these types: Eve agrees, Ada applies."""
        change = {"evidence": [{"system": "snow", "types": list(types)}] if types else []}

        def plan():
            sections = {**blueprints.export(), "change": change}
            return sections, blueprints.plan(Source(sections=sections)).content_hash

        sections, content = await self.desk.store(plan)
        for who, act in (
            ("eve", lambda work: approvals.approve(work, content)),
            ("ada", lambda work: blueprints.apply(work, Source(sections=sections))),
        ):
            await self.desk.perform(act, actor=self.people[who])
        running.forget()
        await self.desk.store(connections.in_force)

    async def do(self, who, act, *arguments, **more):
        def inside(work):
            given = [service.load(work, each.id) if isinstance(each, Change) else each for each in arguments]
            return act(work, *given, **more)

        return await self.desk.perform(inside, actor=self.people[who], channel="api")

    async def asked(self, **values):
        """A change of Ada's, up for approval here and written to ServiceNow."""
        whole = {
            "title": "New release", "cis": ["db-7"], "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
            "window_start": self.now, "window_end": Instant(self.now + 4 * HOUR), **values,
        }  # fmt: skip
        change = await self.do("ada", service.create, whole, organisation=self.organisation)
        await self.do("ada", service.submit, change)
        await self.do("ada", service.request_approval, change)
        await self.desk.settle()
        (key,) = [row["sys_id"] for row in self.snow.instance.rows("change_request")]
        return change, key

    def raised(self, who="ada", *, start=0, hours=4, **columns):
        """A change that somebody raises at ServiceNow; its sys_id."""
        values = {
            "short_description": "Their release", "cmdb_ci": "db-7", "implementation_plan": "Roll out.",
            "start_date": self.text(start), "end_date": self.text(start + hours), **columns,
        }  # fmt: skip
        return self.snow.instance.insert("change_request", values, NAMES.get(who, who))["sys_id"]

    def text(self, hours):
        at = to_datetime(Instant(self.now + hours * HOUR)).replace(microsecond=0)
        return at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")

    def edit(self, key, who="ben", **columns):
        self.snow.instance.update("change_request", key, columns, NAMES.get(who, who))

    async def poll(self):
        client = await self.desk.store(lambda: connections.open("snow").client)
        try:
            async for page in client.changed_since("change", ""):
                for each in page.observations:
                    await self.desk.observe("snow", each, door="poll")
        finally:
            await client.close()
        await self.desk.settle()

    async def webhook(self):
        """Hand the last signed delivery of the simulator in, as the door and the pump do."""
        body = msgspec.json.encode(self.posted[-1])
        headers, source = self.snow.sign(body), registry.find("servicenow").connector.source
        context = registry.find("servicenow").context(
            "snow", self.snow.config(self.desk.urls["snow"]), secrets=self.snow.secrets()
        )
        for each in source.parse(body, headers, context):
            await self.desk.observe("snow", each)
        await self.desk.settle()

    async def the(self, change=None):
        found = Change.objects.get if change is None else lambda: Change.objects.get(id=change.id)
        return await self.desk.store(found)

    async def gate(self, change):
        def ask(work):
            question = {"change": change.id, "cis": ["db-7"]}
            return gate.check(work, question, organisation=self.organisation).verdict

        return await self.desk.perform(ask, channel="api")

    async def quiet(self, name, *, hours=0.0):
        def look():
            ci = Ci.objects.get(name=name).id
            at = Instant(self.now + int(hours * HOUR))
            return bool(service.windows_covering(ci, at, organisation=self.organisation))

        return await self.desk.store(look)


@pytest.fixture
def office(desk):
    @asynccontextmanager
    async def opened():
        async with desk(sync=FLOWS, routes=ROUTES) as found:
            yield await Office(found).open()

    return opened


def story(office, act):
    async def run():
        async with office() as found:
            await act(found)

    asyncio.run(run())


# Raised here, approved there ----------------------------------------------------------------------------------


def test_approved_there_opens_nothing_until_the_blueprint_names_that_system_for_that_type(office):
    async def act(world):
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved")
        await world.poll()
        assert await world.gate(change) == "wait"
        await world.trust("emergency")
        await world.poll()
        assert await world.gate(change) == "wait"
        await world.trust("normal")
        await world.poll()
        assert await world.gate(change) == "allow"
        decided = await world.desk.store(lambda: Approval.objects.get(subject=change.id))
        assert (decided.approver, decided.evidence["system"]) == (world.people["ben"].id, "snow")

    story(office, act)


@pytest.mark.parametrize("who", ["ada", "stranger"])
def test_neither_the_requester_nor_a_stranger_opens_it_from_there(office, who):
    async def act(world):
        await world.trust("normal")
        change, key = await world.asked()
        world.edit(key, who, approval="approved")
        await world.poll()
        assert await world.gate(change) == "wait"

    story(office, act)


@pytest.mark.parametrize(
    "columns",
    [
        {"short_description": "Another release"},
        {"backout_plan": "None."},
        {"end_date": "2099-01-01 00:00:00"},
        {"start_date": ""},
        {"type": "standard"},
        {"cmdb_ci": "mail-7"},
    ],
)
def test_an_approval_of_other_content_than_stands_here_opens_nothing(office, columns):
    async def act(world):
        await world.trust("normal", "standard")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved", **columns)
        await world.poll()
        assert await world.gate(change) != "allow"

    story(office, act)


def test_naming_the_same_item_or_an_equal_spelling_is_the_same_content(office):
    async def act(world):
        await world.trust("normal")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved", cmdb_ci="db-7")
        await world.poll()
        assert await world.gate(change) == "allow"

    story(office, act)


@pytest.mark.parametrize(
    "columns",
    [
        {"short_description": "Another release"},
        {"end_date": "2099-01-01 00:00:00"},
        {"type": "emergency"},
        {"approval": "rejected"},
        {"approval": "requested"},
        {"approval": "not requested"},
        {"approval": "some word nobody knows"},
    ],
)
def test_a_later_edit_there_voids_what_was_approved_there(office, columns):
    async def act(world):
        await world.trust("normal", "emergency")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved")
        await world.webhook()
        assert await world.gate(change) == "allow"
        world.edit(key, "eve", **columns)
        await world.webhook()
        assert await world.gate(change) != "allow"
        assert (await world.the(change)).authorisation == "void"
        await world.poll()
        assert await world.gate(change) != "allow"

    story(office, act)


def test_a_later_edit_here_voids_it_and_the_old_approval_there_does_not_revive_it(office):
    async def act(world):
        await world.trust("normal")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved")
        await world.webhook()
        await world.do("ada", service.update, change, {"title": "Another release"})
        await world.desk.settle()
        assert await world.gate(change) != "allow"
        await world.poll()
        assert await world.gate(change) != "allow"

    story(office, act)


def test_a_note_there_or_an_edit_that_is_not_content_keeps_it(office):
    async def act(world):
        await world.trust("normal")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved")
        await world.webhook()
        world.edit(key, "eve", work_notes="Good luck.", priority="2")
        await world.webhook()
        assert await world.gate(change) == "allow"

    story(office, act)


def test_an_old_delivery_that_shows_an_approval_withdrawn_since_opens_nothing(office):
    async def act(world):
        await world.trust("normal")
        change, key = await world.asked()
        world.edit(key, "ben", approval="approved")
        approved = world.posted[-1]
        world.edit(key, "ben", approval="requested")
        await world.webhook()
        world.posted.append(approved)
        await world.webhook()
        assert await world.gate(change) == "wait"

    story(office, act)


# Raised there -------------------------------------------------------------------------------------------------


def test_raised_and_approved_there_its_window_quiets_its_item_and_dependants_and_nothing_else(office):
    async def act(world):
        await world.trust("normal")
        key = world.raised("ada")
        starts = world.snow.instance.rows("change_request")[0]["start_date"]
        await world.webhook()
        change = await world.the()
        assert (change.state, change.authorisation, change.window_start, change.cis or []) == (
            "new",
            "not_requested",
            None,
            [],
        )
        assert not await world.quiet("db-7")
        world.edit(key, "ben", approval="approved", state="-2")
        await world.webhook()
        change = await world.the()
        assert (change.state, change.authorisation, change.requester) == (
            "scheduled",
            "approved",
            world.people["ada"].id,
        )
        assert [await world.quiet(each) for each in ("db-7", "shop-7", "mail-7")] == [True, True, False]
        assert not await world.quiet("db-7", hours=4.1)
        assert await world.gate(change) == "allow"
        entries = await world.desk.store(lambda: len(reading.history(change.id)))
        await world.poll()
        assert await world.desk.store(lambda: len(reading.history(change.id))) == entries, (
            "the same sight says nothing new"
        )
        row = world.snow.instance.rows("change_request")[0]
        assert (row["cmdb_ci"], row["start_date"], row["type"]) == ("db-7", starts, "normal"), (
            "nothing was written over"
        )

    story(office, act)


def test_approved_there_from_its_first_sight(office):
    async def act(world):
        await world.trust("standard")
        key = world.raised("ada", type="standard")
        world.edit(key, "ben", approval="approved", state="-2")
        await world.poll()
        assert await world.quiet("db-7")
        assert (await world.the()).type == "standard"
        assert await world.gate(await world.the()) == "allow"
        assert world.snow.instance.rows("change_request")[0]["type"] == "standard"

    story(office, act)


@pytest.mark.parametrize(
    ("types", "requester", "approver", "columns"),
    [
        ((), "ada", "ben", {}),
        (("standard",), "ada", "ben", {}),
        (("normal",), "ben", "ben", {}),
        (("normal",), "ada", "stranger", {}),
        (("normal",), "stranger", "ben", {}),
        (("normal",), "ada", "ben", {"approval": "requested"}),
        (("normal",), "ada", "ben", {"cmdb_ci": ""}),
        (("normal",), "ada", "ben", {"end_date": ""}),
        (("emergency",), "ada", "ben", {"type": "emergency"}),
    ],
)
def test_without_authority_that_counts_it_never_quiets_anything(office, types, requester, approver, columns):
    async def act(world):
        await world.trust(*types)
        key = world.raised(requester)
        await world.webhook()
        world.edit(key, approver, **{"approval": "approved", "state": "-2", **columns})
        await world.webhook()
        change = await world.the()
        assert (change.authorisation, change.window_start, change.cis or []) == ("not_requested", None, [])
        assert not await world.quiet("db-7")
        assert await world.gate(change) != "allow"
        entries = await world.desk.store(lambda: len(reading.history(change.id)))
        await world.poll()
        assert await world.desk.store(lambda: len(reading.history(change.id))) == entries, "said once"

    story(office, act)


def test_a_move_there_is_followed(office):
    async def act(world):
        await world.trust("normal")
        key = world.raised("ada")
        world.edit(key, "ben", approval="approved")
        await world.poll()
        world.edit(key, "ben", start_date=world.text(10), end_date=world.text(11), cmdb_ci="mail-7")
        await world.webhook()
        assert not await world.quiet("db-7")
        assert not await world.quiet("mail-7")
        assert await world.quiet("mail-7", hours=10.5)
        world.edit(key, "stranger", start_date=world.text(0))
        await world.webhook()
        assert (await world.the()).authorisation == "void", "moved by somebody unknown"
        assert not await world.quiet("mail-7", hours=10.5)

    story(office, act)


@pytest.mark.parametrize(
    ("columns", "state"),
    [({"state": "4"}, "cancelled"), ({"state": "3"}, "closed"), ({"approval": "requested"}, "assessment")],
)
def test_cancelled_closed_or_withdrawn_there_ends_the_quiet(office, columns, state):
    async def act(world):
        await world.trust("normal")
        key = world.raised("ada")
        world.edit(key, "ben", approval="approved")
        await world.poll()
        assert await world.quiet("db-7")
        world.edit(key, "eve", **columns)
        await world.webhook()
        assert not await world.quiet("db-7")
        assert (await world.the()).state == state

    story(office, act)


def test_after_an_edit_here_the_approval_there_must_be_given_anew(office):
    async def act(world):
        await world.trust("normal")
        key = world.raised("ada")
        world.edit(key, "ben", approval="approved")
        await world.poll()
        change = await world.the()
        await world.do("eve", service.update, change, {"artefact_hash": "sha256:" + "ab" * 32})
        assert not await world.quiet("db-7")
        world.edit(key, "eve", work_notes="Nothing else.")
        await world.poll()
        assert not await world.quiet("db-7")
        world.edit(key, "eve", approval="requested")
        await world.webhook()
        world.edit(key, "ben", approval="approved")
        await world.webhook()
        assert await world.quiet("db-7")

    story(office, act)
