"""From the service desk back to the monitoring system: what people do with a ticket is seen at the alert's source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.stories import world as worlds

from isthmus.kernel.instant import HOUR, from_rfc3339
from isthmus.practices.monitoring.models import Silence


@pytest.fixture
def world(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.World]:
    with worlds.opened(book, monkeypatch) as found:
        source = found.partners.start("alertmanager", "prometheus")
        held = found.sections["connections"]
        for name, value in found.partners.environment().items():
            monkeypatch.setenv(name, value)
        settings = {**source.inside.config(source.url), **held["prometheus"]["config"]}
        polled = {"seconds_min": 2, "seconds_max": 5}
        found.apply(
            connections={**held, "prometheus": {**held["prometheus"], "config": settings, "polling": polled}},
            monitoring={"tellings": {"prometheus": {"instead": "PT1H"}}},
        )
        yield found


def silences(world: worlds.World) -> list[dict[str, Any]]:
    """Return what the Alertmanager holds, read inside it."""
    inside: Any = world.partners.all["prometheus"].inside
    return world.partners.inside(lambda: [dict(each) for _, each in inside.shelf("silence").all()])


def fired(world: worlds.World, **labels: str) -> None:
    """Let an alert fire inside the Alertmanager and have it notified."""
    inside: Any = world.partners.all["prometheus"].inside
    alert = world.alert(**labels)
    alert["fingerprint"] = world.partners.inside(lambda: inside.fire(alert["labels"], alert["annotations"]))
    assert world.alertmanager(alert) == 202
    world.settle()


def test_taken_at_the_desk_the_alert_is_quiet_at_its_source_in_the_operators_name(
    world: worlds.World,
) -> None:
    fired(world, host="web-01")
    assert silences(world) == []
    world.edit("snow", state="2")
    world.poll()
    (held,) = silences(world)
    operator = world.row("snow")["sys_updated_by"]
    assert held["createdBy"] == operator
    assert {each["name"]: each["value"] for each in held["matchers"]}["host"] == "web-01"
    assert from_rfc3339(held["endsAt"]) - from_rfc3339(held["startsAt"]) == HOUR
    world.poll()
    (alert,) = world.alerts()
    assert (alert.taken_by, alert.silenced, alert.astray) == (operator, True, False)
    assert alert.told["silence"]["state"] == "kept"
    assert Silence.objects.count() == 0, "what the hub set itself is not taken for somebody's silence"
    assert len(silences(world)) == 1


def test_a_silence_that_a_person_sets_there_holds_here_until_it_ends_there(world: worlds.World) -> None:
    inside: Any = world.partners.all["prometheus"].inside
    key = world.partners.inside(lambda: inside.add_silence({"host": "web-02"}, by="zed", comment="New disk"))
    world.poll()
    (held,) = Silence.objects.all()
    assert (held.owner_label, held.comment, held.external_key) == ("zed", "New disk", key)
    fired(world, host="web-02")
    assert (world.incidents(), world.tickets("snow")) == ([], 0)
    world.partners.inside(lambda: inside.expire_silence(key))
    world.poll()
    assert len(world.incidents()) == 1
    assert world.tickets("snow") == 1


def test_an_edit_at_the_desk_that_is_no_taking_tells_the_source_nothing(world: worlds.World) -> None:
    fired(world, host="web-01")
    world.edit("snow", short_description="A better title")
    world.poll()
    assert silences(world) == []
