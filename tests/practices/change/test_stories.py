"""Windows that quiet alerts, changes near an incident, the calendar, evidence of partners."""

from __future__ import annotations

import pytest

from isthmus.identity import partner_names
from isthmus.kernel.instant import DAY, HOUR, MINUTE, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger import reading
from isthmus.practices.approval.models import Approval
from isthmus.practices.change import evidence, service
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules.content import content_hash
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration.models import Ci


def approved(world, change, who="ben"):
    world.do("ada", service.request_approval, change)
    return world.do(who, service.approve, change)


# Windows and neighbours ---------------------------------------------------------------------------------------


def ids():
    return dict(Ci.objects.values_list("name", "id"))


def test_an_authorised_window_covers_its_items_and_what_depends_on_them(world):
    change = world.authorised(cis=["db"])
    found = service.windows_covering(ids()["Shop"], world.now, organisation=world.organisation)
    assert [each.number for each in found] == [world.again(change).number]
    assert service.windows_covering(ids()["db"], world.now, organisation=world.organisation)
    assert not service.windows_covering(ids()["leaf"], world.now, organisation=world.organisation)
    assert not service.windows_covering(
        ids()["db"], Instant(world.now + 5 * HOUR), organisation=world.organisation
    )
    world.do("ada", service.cancel, change, "postponed")
    assert not service.windows_covering(ids()["db"], world.now, organisation=world.organisation)


def test_a_window_that_nobody_authorised_covers_nothing_not_even_if_the_row_says_so(world):
    from django.db import connection

    change = world.raise_change(cis=["db"])
    world.do("ada", service.submit, change)
    assert not service.windows_covering(ids()["db"], world.now, organisation=world.organisation)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE change_change SET state = 'scheduled', authorisation = 'approved' WHERE id = %s",
            [change.id],
        )
    world.raise_change()
    assert not service.windows_covering(ids()["db"], world.now, organisation=world.organisation)


def test_a_moved_window_is_followed(world):
    change = world.authorised(cis=["db"])
    world.do(
        "ada",
        service.update,
        change,
        {"window_start": world.now + 10 * HOUR, "window_end": world.now + 11 * HOUR},
    )
    world.do("ada", service.assess, change)
    approved(world, change)
    assert not service.windows_covering(ids()["db"], world.now, organisation=world.organisation)
    assert service.windows_covering(
        ids()["db"], Instant(world.now + 10 * HOUR + MINUTE), organisation=world.organisation
    )


def test_changes_upstream_are_found_with_distance_and_those_elsewhere_are_not(world):
    near = world.authorised(cis=["db"])
    world.authorised(cis=["leaf"])
    found = service.recent_on_path([ids()["Shop"]], world.now, organisation=world.organisation)
    assert [(each.number, each.hops) for each in found] == [(world.again(near).number, 2)]
    assert "2 hops upstream on db" in found[0].reason
    assert not service.recent_on_path([ids()["Shop"]], world.now, organisation=world.organisation, hops=1)
    assert not service.recent_on_path(
        [ids()["db"]], world.now, organisation=world.book.add_organisation("Other")
    )
    world.do("ada", service.start, near)
    world.do("ada", service.implement, near, "successful")
    later = Instant(world.now + 2 * DAY)
    assert service.recent_on_path([ids()["Shop"]], later, organisation=world.organisation)
    assert not service.recent_on_path(
        [ids()["Shop"]], Instant(world.now + 4 * DAY), organisation=world.organisation
    )


def test_the_calendar_names_what_collides_and_the_next_free_slot(world):
    first, second = world.authorised(cis=["db"]), world.authorised(cis=["shop-app"])
    far = world.authorised(cis=["leaf"])
    freeze = {
        "name": "Quiet",
        "starts_at": world.now + 4 * HOUR,
        "ends_at": world.now + 6 * HOUR,
        "cis": ["db"],
    }
    world.do("ada", service.create_freeze, freeze, organisation=world.organisation)
    page = service.calendar(
        Instant(world.now - HOUR), Instant(world.now + DAY), organisation=world.organisation
    )
    assert {each.effect for each in page.items} == {"change", "freeze"}
    pairs = {frozenset((each.first, each.second)) for each in page.conflicts}
    numbers = [world.again(each).number for each in (first, second, far)]
    assert frozenset(numbers[:2]) in pairs
    assert not any(numbers[2] in pair for pair in pairs)
    slot = service.next_slot(
        HOUR,
        cis=["db"],
        environment="production",
        after=world.now,
        until=Instant(world.now + DAY),
        high_risk=False,
        organisation=world.organisation,
    )
    assert slot == (freeze["ends_at"], freeze["ends_at"] + HOUR)
    free = service.next_slot(
        HOUR, cis=["Shop"], environment="test", after=Instant(world.now + 7 * HOUR), until=Instant(world.now + DAY), high_risk=False,
        organisation=world.organisation,
    )  # fmt: skip
    assert free is not None


# Evidence -----------------------------------------------------------------------------------------------------


@pytest.fixture
def partner(world):
    """A person of ours with a name at the partner, the partner named as authority, and a change up for approval."""
    from isthmus.identity import people
    from isthmus.identity.models import Person

    def join(work):
        person = people.create_person(
            work, organisation=world.organisation, name="Eve", email="", username="eve"
        )
        return work.change(person, {"partner_names": {"snow": "eve.partner"}, "state": "active"}, why=[])

    eve = world.book.perform(join)
    assert Person.objects.get(id=eve.id).partner_names == {"snow": "eve.partner"}
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    return world.again(change)


def seen(world, change, **more):
    told = {
        "authorisation": "approved",
        "content_hash": more.pop("hash", None) or world.again(change).content_hash,
    }
    observation = Observation(
        kind="change", external=ExternalRef(connection="snow", kind="change_request", key="k"), values={}, partner_actor=more.pop("by", "eve.partner"),
        version="7", evidence={**told, **more},
    )  # fmt: skip
    world.book.perform(
        lambda work: evidence.judge(work, service.load(work, change.id), "snow", observation),
        channel="webhook",
    )


def trust(world, *types):
    world.configure(change={"evidence": [{"system": "snow", "types": list(types)}]})


def test_a_partner_saying_approved_opens_nothing_unless_the_blueprint_names_it(world, partner):
    seen(world, partner)
    assert world.again(partner).state == "authorisation"
    assert world.gate(partner)[0] == "wait"
    assert Approval.objects.get().evidence["counts"] is False
    entries = len(reading.history(Approval.objects.get().id))
    seen(world, partner)
    assert len(reading.history(Approval.objects.get().id)) == entries, "the same sight is no second entry"
    trust(world, "emergency")
    seen(world, partner)
    assert world.gate(partner)[0] == "wait"
    trust(world, "normal")
    seen(world, partner)
    assert world.gate(partner)[0] == "allow"


@pytest.mark.parametrize(
    "edit", [{"hash": "00" * 32}, {"by": "stranger"}, {"by": ""}, {"authorisation": "requested"}]
)
def test_evidence_about_other_content_or_by_nobody_known_opens_nothing(world, partner, edit):
    trust(world, "normal")
    seen(world, partner, **edit)
    assert world.gate(partner)[0] == "wait"


def test_a_partner_s_approval_by_the_requester_opens_nothing(world, partner):
    trust(world, "normal")
    eve = partner_names.find("snow", "eve.partner", world.organisation).person
    world.people["ada"] = world.book.actor("change_manager", name=eve)
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    seen(world, change)
    assert world.gate(change)[0] == "wait"


def test_a_later_edit_voids_the_partner_s_approval(world, partner):
    trust(world, "normal")
    seen(world, partner)
    world.do("ada", service.update, partner, {"title": "Another release"})
    assert world.gate(partner)[0] != "allow"


def test_a_change_born_at_a_partner_is_not_authorised(world):
    change = world.book.perform(
        lambda work: evidence.born_there(
            work,
            Change,
            world.organisation,
            {"title": "Theirs", "state": "scheduled"},
            [],
            None,
            "m",
            "t" * 32,
        )
    )
    found = world.again(change)
    assert (found.state, found.authorisation, found.content_hash) == (
        "new",
        "not_requested",
        content_hash({"title": "Theirs", "type": "normal"}),
    )


def test_a_gap_is_noted_for_an_unknown_item_of_a_change(world):
    from isthmus.practices.configuration.models import Gap

    change = world.raise_change(cis=["leaf", "ghost-1"])
    assert Gap.objects.get().found_by == change.id
    assert configuration.resolve(["ghost-1"])["ghost-1"] == ""
