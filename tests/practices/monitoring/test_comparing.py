"""What a comparison of two replays says, for any two of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isthmus.practices.monitoring.backtest import comparing
from isthmus.practices.monitoring.backtest.shapes import Made, Shown, Side

ALERTS = [f"a{each}" for each in range(8)]
partitions = st.lists(st.integers(min_value=-1, max_value=4), min_size=8, max_size=8)
"""For each alert the incident that it is part of; -1: none."""


def side(places: list[int], name: str) -> Side:
    held: dict[int, list[str]] = {}
    for alert, place in zip(ALERTS, places, strict=True):
        if place >= 0:
            held.setdefault(place, []).append(alert)
    made = [
        Made(
            title=f"{name}{place}",
            state="new",
            correlation_key=str(place),
            reason="r",
            opened_at=place,
            resolved_at=None,
            alerts=alerts,
        )
        for place, alerts in sorted(held.items())
    ]
    shown = {
        each: Shown(identity=each, summary=each, connection="am", decision="opened", reason="r", starts_at=0)
        for each in ALERTS
    }
    return Side(incidents=made, alerts=shown, decisions={"opened": 8}, events=8, timers=0)


@given(partitions, partitions)
def test_every_incident_of_both_sides_is_told_once_in_its_place(before, after):
    old, new = side(before, "old"), side(after, "new")
    found = comparing.compare(old, new)
    titles = [each["title"] for name in ("same", "only_candidate", "only_in_force") for each in found[name]]
    titles += [
        each["title"] for group in found["regrouped"] for part in ("before", "after") for each in group[part]
    ]
    twins = {frozenset(each.alerts) for each in old.incidents} & {
        frozenset(each.alerts) for each in new.incidents
    }
    assert len(titles) == len(set(titles)) == len(old.incidents) + len(new.incidents) - len(twins)
    assert found["counts"]["same"] == len(twins)

    ours = {frozenset(each.alerts) for each in old.incidents}
    theirs = {alert for each in new.incidents for alert in each.alerts}
    for each in found["only_in_force"]:
        named = {alert["summary"] for alert in each["alerts"]}
        assert frozenset(named) in ours
        assert not named & theirs
    for group in found["regrouped"]:
        sides = [
            {alert["summary"] for each in group[part] for alert in each["alerts"]}
            for part in ("before", "after")
        ]
        assert sides[0] & sides[1]


@given(partitions)
def test_a_replay_differs_from_itself_in_nothing(places):
    found = comparing.compare(side(places, "one"), side(places, "one"))
    assert found["only_in_force"] == found["only_candidate"] == found["regrouped"] == []
    assert found["counts"]["same"] == found["counts"]["in_force"] == found["counts"]["candidate"]
    assert found["left_out"] == 0
