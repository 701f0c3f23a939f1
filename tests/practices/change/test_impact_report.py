"""G4: the impact report that an approval needs: whom it reaches, what is promised, what is going on there."""

from __future__ import annotations

import pytest

from isthmus.kernel.errors import Conflict
from isthmus.kernel.instant import HOUR
from isthmus.practices.approval import service as approvals
from isthmus.practices.approval.models import Approval
from isthmus.practices.change import service
from isthmus.practices.configuration.models import Ci
from isthmus.practices.incident import service as incidents


def opened(world, item, **values):
    found = Ci.objects.get(name=item).id
    whole = {"title": "Something is wrong", "ci": found, "impact": "2", "urgency": "2", **values}
    return world.do("ada", lambda work: incidents.create(work, world.organisation, whole))


def report(world, change):
    world.do("ada", service.assess, change)
    return world.again(change).impact_report


def test_it_lists_services_promises_open_incidents_and_other_changes_of_the_window(world):
    near, own, far = opened(world, "shop-app"), opened(world, "db"), opened(world, "leaf")
    over = opened(world, "db")
    world.do(
        "ada", lambda work: incidents.resolve(work, incidents.get(work, over.id), code="fixed", notes="Done.")
    )
    other, elsewhere = world.raise_change(cis=["shop-app"]), world.raise_change(cis=["leaf"])
    later = world.raise_change(
        cis=["shop-app"], window_start=world.now + 9 * HOUR, window_end=world.now + 10 * HOUR
    )
    found = report(world, world.raise_change(cis=["db"]))
    assert [each["name"] for each in found["services"]] == ["Shop"]
    assert {each["incident"] for each in found["incidents"]} == {near.id, own.id}
    assert far.id not in str(found)
    assert {each["change"] for each in found["changes"]} == {other.id}
    assert not {elsewhere.id, later.id} & {each["change"] for each in found["changes"]}
    (promise,) = found["targets"]
    assert (promise["name"], promise["priority"]) == ("Shop", "2")
    assert 0 < promise["respond"] < promise["resolve"]


def test_the_words_of_incidents_stay_out_of_it(world):
    opened(world, "db", title="Salaries of the board leaked")
    assert "Salaries" not in str(report(world, world.raise_change(cis=["db"])))


def test_a_service_of_higher_criticality_is_promised_more(world):
    before = report(world, world.raise_change(cis=["db"]))["targets"][0]
    world.bring(("Shop", "business_service", {"criticality": "gold"}))
    after = report(world, world.raise_change(cis=["db"]))["targets"][0]
    assert (after["priority"], after["resolve"]) < (before["priority"], before["resolve"])


def test_nobody_approves_on_a_report_that_the_map_has_outgrown(world):
    change = world.raise_change(cis=["db"])
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    world.bring(("new-app", "application", {}), ties=[("new-app", "db")])
    with pytest.raises(Conflict, match="outdated"):
        world.do("ben", service.approve, change)
    with pytest.raises(Conflict, match="outdated"):
        world.do("ben", lambda work: approvals.decide(work, Approval.objects.get(), "approved"))
    world.do("ada", service.assess, change)
    world.do("ben", service.approve, change)
    assert world.again(change).authorisation == "approved"


def test_without_a_report_nobody_is_even_asked(world):
    change = world.raise_change(cis=["db"])
    world.do("ada", service.submit, change)

    def lose_it(work):
        work.change(service.load(work, change.id), {"impact_report": None}, why=[])

    world.do("ada", lose_it)
    with pytest.raises(Conflict, match="impact report"):
        world.do("ada", service.request_approval, change)
