"""Which change may have caused it: found on the path, on record before anybody diagnoses."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.errors import Rejected
from isthmus.practices.incident import service as incidents


def test_a_change_upstream_is_named_on_the_incident_with_its_distance(monitor: Any, world: Any) -> None:
    monitor.map([{"name": "web"}], [("web", "shop-app")])
    change = world.planned()
    monitor.fire(host="web")
    monitor.fire(host="leaf")
    monitor.pass_time(seconds=5)
    far, near = monitor.incidents()
    (suspect,) = incidents.suspects(near)
    assert (suspect.change, suspect.hops, suspect.verdict) == (change.id, 2, "proposed")
    assert change.number in suspect.reason
    assert incidents.suspects(far) == []
    assert any(each.what == "suspect" and change.number in each.text for each in incidents.timeline(near))


@pytest.mark.parametrize("with_change", [True, False])
def test_the_third_incident_of_a_signature_asks_for_a_collision_check(
    monitor: Any, world: Any, *, with_change: bool
) -> None:
    for _ in range(2):
        monitor.fire(host="shop-app")
        monitor.pass_time(seconds=5)
        monitor.clear(host="shop-app")
        monitor.pass_time(minutes=90)
    change = world.planned() if with_change else None
    monitor.fire(host="shop-app")
    monitor.pass_time(seconds=5)
    third = monitor.incidents()[-1]
    agent = monitor.book.actor("agent")

    def start(work: Any) -> Any:
        return incidents.update(work, incidents.get(work, third.id), {"state": "in_progress"})

    with pytest.raises(Rejected, match="colliding changes"):
        monitor.book.perform(start, actor=agent)
    checked = monitor.book.perform(
        lambda work: incidents.check_collisions(work, incidents.get(work, third.id)), actor=agent
    )
    expected = change.number if change else "none found"
    assert checked.collision_checked["result"] == expected
    assert {monitor.cis["shop-app"], monitor.cis["db"]} <= set(checked.collision_checked["cis_searched"])
    assert monitor.book.perform(start, actor=agent).state == "in_progress"
