"""Silences on both sides: what sources hold mutes here, what the hub holds is set there, and neither echoes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.connectors.kit.manifest import Capability
from isthmus.connectors.kit.marks import mark_of
from isthmus.connectors.kit.ports import Written
from isthmus.hub.lanes.calls import Result, Turn
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.observing import Outcome, Seen
from isthmus.kernel.actor import system
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import HOUR, MINUTE
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger.columns import open_json
from isthmus.practices.monitoring import mirroring, partner_silences, silences, telling
from isthmus.practices.monitoring.models import Silence

WEB = {"label": "host", "op": "=", "value": "web-01"}


def hold(
    monitor: Any,
    key: str = "d1",
    *,
    connection: str = "am",
    minutes: int = 60,
    correlation: str = "",
    **more: Any,
) -> Outcome:
    now = monitor.book.clock.now()
    monitor.position += 1
    values = {
        "matchers": [WEB],
        "starts_at": now,
        "ends_at": now + minutes * MINUTE,
        "comment": "New disk",
        "state": "active",
    }
    observation = Observation(
        kind="silence", external=ExternalRef(connection=connection, kind="silence", key=key), values=values | more,
        event_id=f"s{monitor.position}", partner_actor="zed", correlation=correlation,
    )  # fmt: skip
    seen = Seen(
        message_position=monitor.position, place=0, connection=connection, organisation=monitor.book.organisation,
        observation=observation, received_at=now, message_id="m", trace="0" * 32, door="poll",
    )  # fmt: skip
    found: list[Outcome] = monitor.book.perform(
        lambda work: partner_silences.take(work, [seen], work.now), actor=system("pump"), channel="poll"
    )
    return found[0]


def test_a_downtime_there_mutes_its_own_alerts_here_and_no_others(monitor: Any) -> None:
    assert hold(monitor).what == "entry"
    (silence,) = Silence.objects.all()
    assert (silence.owner_label, silence.connection, silence.external_key) == ("zed", "am", "d1")
    monitor.fire(host="web-01")
    monitor.connection = "zabbix"
    monitor.fire(host="web-01")
    assert [each.decision for each in monitor.alerts()] == ["suppressed_silence", "opened"]


@pytest.mark.parametrize(("meant", "muted"), [("all", 2), ("ignore", 0)])
def test_by_blueprint_it_mutes_every_source_or_none(monitor: Any, meant: str, muted: int) -> None:
    monitor.configure(monitoring={"suppression": {"partners": {"am": meant}}})
    hold(monitor)
    monitor.fire(host="web-01")
    monitor.connection = "zabbix"
    monitor.fire(host="web-01")
    assert len(monitor.alerts(decision="suppressed_silence")) == muted


def test_when_it_ends_there_it_ends_here_and_what_still_fires_is_decided(monitor: Any) -> None:
    hold(monitor)
    monitor.fire(host="web-01")
    hold(monitor, state="expired")
    assert Silence.objects.get().state == "expired"
    assert len(monitor.incidents()) == 1


def test_shortened_there_it_is_shorter_here_and_its_own_end_ends_it(monitor: Any) -> None:
    hold(monitor)
    monitor.fire(host="web-01")
    assert hold(monitor).what == "repeat" or Silence.objects.count() == 1
    hold(monitor, minutes=10)
    monitor.pass_time(minutes=9)
    assert monitor.incidents() == []
    monitor.pass_time(minutes=2)
    assert len(monitor.incidents()) == 1


def test_one_that_matches_nothing_is_parked_with_its_path(monitor: Any) -> None:
    with pytest.raises(Rejected) as refusal:
        hold(monitor, matchers=[])
    assert refusal.value.problems[0].path == "/matchers"


@pytest.fixture
def mirrored(monitor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    able = (Capability("alert", "silence"),)
    held = {
        name: SimpleNamespace(
            organisation=where, connector=SimpleNamespace(open=object()), config=SimpleNamespace(called=True),
            manifest=SimpleNamespace(able=lambda: able),
        )
        for name, where in (("am", monitor.book.organisation), ("elsewhere", "another"))
    }  # fmt: skip
    for module in (telling, mirroring):
        monkeypatch.setattr(module.connections, "in_force", lambda: held)
    monitor.configure(monitoring={"telling": {"silence": True}})


def create(monitor: Any) -> Silence:
    found: Silence = monitor.book.perform(
        lambda work: silences.create(
            work, organisation=monitor.book.organisation, matchers=[WEB], starts_at=work.now, ends_at=work.now + HOUR,
            comment="Known noise.",
        ),
        actor=monitor.book.actor("agent", name="Cy"),
    )  # fmt: skip
    return found


def conclude(monitor: Any, delivery: Delivery, key: str) -> None:
    written = Written(ref=ExternalRef(connection="am", kind="silence", key=key))
    turn = Turn(
        due_id="", due_epoch=0, subject=delivery.subject, organisation=delivery.organisation, do="once"
    )
    monitor.book.perform(lambda work: mirroring.concluded(work, delivery, Result(turn=turn, written=written)))


@pytest.mark.usefixtures("mirrored")
def test_ours_is_set_at_the_sources_of_its_organisation_and_ended_with_it(monitor: Any) -> None:
    silence = create(monitor)
    (sent,) = Delivery.objects.all()
    payload = open_json(sent.payload)
    assert (sent.connection, sent.verb, payload["by"], payload["matchers"]) == ("am", "silence", "Cy", [WEB])
    conclude(monitor, sent, "there-1")
    assert Silence.objects.get().mirrors["am"]["ref"] == "there-1"
    monitor.book.perform(lambda work: silences.expire(work, silences.get(work, silence.id)))
    ended = Delivery.objects.get(verb="unsilence")
    assert open_json(ended.payload)["silence"] == "there-1"


@pytest.mark.usefixtures("mirrored")
def test_ours_that_comes_back_is_not_theirs_before_or_after_its_key_is_known(monitor: Any) -> None:
    create(monitor)
    (sent,) = Delivery.objects.all()
    mark = mark_of(sent.key)
    assert hold(monitor, "there-1", correlation=mark).what == "repeat"
    conclude(monitor, sent, "there-1")
    assert hold(monitor, "there-1").what == "repeat"
    assert Silence.objects.count() == 1
    assert hold(monitor, "other").what == "entry"


@pytest.mark.usefixtures("mirrored")
def test_ended_there_before_its_time_it_is_said_to_have_gone_astray(monitor: Any) -> None:
    create(monitor)
    conclude(monitor, Delivery.objects.get(), "there-1")
    hold(monitor, "there-1", state="expired")
    silence = Silence.objects.get()
    assert silence.astray
    assert "before its time" in silence.mirrors["am"]["why"]
    assert silence.state == "active", "the hub's own silence is the hub's to end"


def test_a_preview_says_what_would_match(monitor: Any) -> None:
    monitor.send(*(monitor.event(host=f"web-0{number}") for number in range(4)))
    monitor.clear(host="web-03")
    found = silences.preview(
        [{"label": "host", "op": "=~", "value": "web-0[123]"}], organisation=monitor.book.organisation
    )
    assert (found.matched, found.firing, found.looked_at) == (3, 2, 4)
    assert silences.preview([], organisation=monitor.book.organisation).matched == 0
    with pytest.raises(Rejected):
        silences.preview(
            [{"label": "host", "op": "=~", "value": "("}], organisation=monitor.book.organisation
        )
