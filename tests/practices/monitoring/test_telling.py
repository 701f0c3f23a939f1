"""What people do about an incident reaches the sources of its alerts: once, in their name, never as an echo."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.manifest import Capability
from isthmus.connectors.kit.ports import Written
from isthmus.hub import due
from isthmus.hub.lanes import turns
from isthmus.hub.lanes.calls import Fault, Result
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Conflict
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger import reading
from isthmus.ledger.columns import open_json
from isthmus.ledger.door import perform
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import acts, service, telling
from isthmus.practices.monitoring.models import Alert


@dataclass
class Partner:
    """A monitoring system that can be told things, seen from the lane: what it was asked, and what it answers."""

    monitor: Any
    name: str = "am"
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def work(
        self, *, fault: Fault | None = None, shows: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        """Let the lane do what is due; return what the partner was asked in this round."""
        book, before = self.monitor.book, len(self.asked)
        for _ in range(20):
            book.clock.forward(seconds=2)
            rows = due.claim(book.clock.now(), seconds=60, lane=self.name)
            found = book.perform(lambda work, rows=rows: turns.begin(work, rows, lambda *_: []))
            if not rows:
                break
            for turn in found:
                self.asked.append((turn.verb, dict(turn.payload)))
                ref = ExternalRef(connection=self.name, kind="alert", key="k")
                seen = None if shows is None else Observation(kind="alert", external=ref, values=shows)
                written = Written(ref=ref, observation=seen)
                result = Result(turn=turn, fault=fault) if fault else Result(turn=turn, written=written)
                book.perform(lambda work, result=result: turns.conclude(work, [result], lambda *_: [], 0.5))
        return self.asked[before:]


@pytest.fixture
def partner(monitor: Any, monkeypatch: pytest.MonkeyPatch) -> Partner:
    able = tuple(Capability("alert", verb) for verb in ("read", "acknowledge", "annotate", "resolve"))
    manifest = SimpleNamespace(able=lambda: able)
    usable = SimpleNamespace(
        connector=SimpleNamespace(open=object()), config=ConnectorConfig(), manifest=manifest
    )
    monkeypatch.setattr(telling.connections, "in_force", lambda: {"am": usable, "mute": SimpleNamespace(
        connector=SimpleNamespace(open=object()), config=ConnectorConfig(), manifest=SimpleNamespace(able=lambda: (Capability("alert", "silence"),)))})  # fmt: skip
    return Partner(monitor)


def fire(monitor: Any, host: str = "web-01", **more: Any) -> Any:
    seen = monitor.event("Down", host=host)
    values = {**seen.observation.values, "external_key": f"key-{host}", **more}
    return monitor.send(type(seen)(**{
        **{name: getattr(seen, name) for name in seen.__struct_fields__},
        "observation": Observation(kind="alert", external=seen.observation.external, values=values, event_id=seen.observation.event_id),
    }))[0]  # fmt: skip


def change(monitor: Any, values: dict[str, Any], *, connection: str = "", name: str = "Ada Berg") -> None:
    (incident,) = monitor.incidents()

    def do(work: Any) -> None:
        held = incidents.get(work, incident.id)
        if connection:
            from isthmus.hub.sync import recording

            recording.acted_by(work)[held.id] = "ada.at.the.desk"
        incidents.update(work, held, values, partner=bool(connection))

    actor = system("pump") if connection else monitor.book.actor("agent", name=name)
    perform(
        do, actor=actor, origin=Origin(channel="webhook" if connection else "page", connection=connection)
    )


def test_taking_the_incident_acknowledges_its_alerts_in_the_operators_name(
    monitor: Any, partner: Partner
) -> None:
    fire(monitor)
    assert partner.work() == []
    change(monitor, {"state": "in_progress"})
    ((verb, payload),) = partner.work()
    assert (verb, payload["alert"], payload["by"]) == ("acknowledge", "key-web-01", "Ada Berg")
    assert payload["labels"]["host"] == "web-01"
    assert "taken" not in payload["comment"] or "Ada" in payload["comment"]
    (alert,) = monitor.alerts()
    assert (alert.taken_by, alert.told["acknowledge"]["state"], alert.astray) == ("Ada Berg", "done", False)
    change(monitor, {"impact": "1"})
    assert partner.work() == [], "an edit that says nothing about who has it tells nobody anything"


def test_an_incident_with_more_alerts_than_are_told_says_so(
    monitor: Any, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.configure(
        monitoring={"correlation": {"rules": [{"name": "all", "match": {"alertname": "Down"}}]}}
    )
    monkeypatch.setattr(telling, "ALERTS_MAX", 2)
    for host in ("a", "b"):
        fire(monitor, host)
    (incident,) = monitor.incidents()
    change(monitor, {"state": "in_progress"})
    assert len(partner.work()) == 2
    assert "Not every source" not in said(incident)
    fire(monitor, "c")
    change(monitor, {"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Restarted."})
    told = [payload["alert"] for verb, payload in partner.work() if verb == "resolve"]
    assert told == ["key-b", "key-c"]
    assert "only the newest 2 of its alerts are passed on" in said(incident)


def said(incident: Any) -> str:
    return " ".join(why.text for entry in reading.history(incident.id) for why in entry.why)


def test_a_desk_that_took_the_ticket_gives_its_own_name_for_the_operator(
    monitor: Any, partner: Partner
) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"}, connection="desk")
    ((verb, payload),) = partner.work()
    assert (verb, payload["by"]) == ("acknowledge", "ada.at.the.desk")


def test_what_came_from_the_source_is_never_told_back_to_it(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"}, connection="am")
    assert partner.work() == []
    assert Delivery.objects.count() == 0


def test_what_the_source_shows_already_is_not_told_again(monitor: Any, partner: Partner) -> None:
    fire(monitor, acknowledged=True, acknowledged_by="zed", acknowledged_at=5)
    (alert,) = monitor.alerts()
    assert (alert.acknowledged, alert.acknowledged_by, alert.acknowledged_at) == (True, "zed", 5)
    change(monitor, {"state": "in_progress"})
    assert partner.work() == []
    assert monitor.alerts()[0].taken_by == "Ada Berg"


def test_resolving_the_incident_closes_what_still_fires_and_leaves_what_has_cleared(
    monitor: Any, partner: Partner
) -> None:
    fire(monitor)
    change(monitor, {"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Restarted."})
    ((verb, payload),) = partner.work()
    assert (verb, payload["by"]) == ("resolve", "Ada Berg")


def test_an_incident_that_settles_because_its_alerts_cleared_tells_nobody(
    monitor: Any, partner: Partner
) -> None:
    fire(monitor)
    monitor.clear("Down", host="web-01")
    monitor.pass_time(minutes=6)
    assert monitor.incidents()[0].state == "resolved"
    assert partner.work() == []


def test_by_blueprint_a_source_hears_nothing(monitor: Any, partner: Partner) -> None:
    monitor.configure(
        monitoring={"tellings": {"am": {"acknowledge": False, "resolve": False, "annotate": False}}}
    )
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    change(monitor, {"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Restarted."})
    assert partner.work() == []


def test_a_source_without_acknowledgements_is_silenced_for_the_stated_time(
    monitor: Any, partner: Partner
) -> None:
    monitor.configure(monitoring={"tellings": {"mute": {"instead": "PT30M"}}})
    monitor.connection = partner.name = "mute"
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    ((verb, payload),) = partner.work()
    assert (verb, payload["by"], payload["alert"]) == ("silence", "Ada Berg", "key-web-01")
    assert payload["ends_at"] - payload["starts_at"] == 30 * 60 * 1_000_000
    assert {"label": "host", "op": "=", "value": "web-01"} in payload["matchers"]


def test_an_answer_that_did_not_stick_is_said_and_heals_when_it_does(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    partner.work()
    fire(monitor, acknowledged=False)
    (alert,) = monitor.alerts(astray=True)
    assert "shows it unacknowledged" in alert.told["acknowledge"]["why"]
    before = alert.occurrences
    fire(monitor, acknowledged=True, acknowledged_by="Ada Berg")
    (alert,) = monitor.alerts(astray=False)
    assert (alert.told["acknowledge"]["state"], alert.acknowledged) == ("kept", True)
    assert alert.occurrences == before, "an acknowledgement is no occurrence"
    fire(monitor, acknowledged=False)
    assert monitor.alerts(astray=True) == [], "who takes it back there decides so: nothing went astray"


def test_the_partners_own_answer_is_read_back_at_once(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    partner.work(shows={"acknowledged": False})
    assert monitor.alerts(astray=True)


def test_a_refusal_is_told_with_its_cause_and_remedy(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    partner.work(fault=Fault(fault="operator", cause="The token may only read.", remedy="Give it write."))
    (alert,) = monitor.alerts(astray=True)
    assert "may only read" in alert.told["acknowledge"]["why"]
    assert "Give it write" in alert.told["acknowledge"]["why"]


def test_an_alert_that_joins_an_incident_in_hand_is_acknowledged_too(monitor: Any, partner: Partner) -> None:
    monitor.configure(
        monitoring={
            "correlation": {"rules": [{"name": "web", "match": {"alertname": "Down"}, "by": ["alertname"]}]}
        }
    )
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    assert len(partner.work()) == 1
    fire(monitor, host="web-02")
    ((verb, payload),) = partner.work()
    assert (verb, payload["alert"]) == ("acknowledge", "key-web-02")


def test_a_new_episode_is_told_again(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    partner.work()
    monitor.clear("Down", host="web-01")
    monitor.book.clock.forward(seconds=10)
    fire(monitor)
    ((verb, _),) = partner.work()
    assert verb == "acknowledge"


def test_handed_on_the_source_gets_a_note_and_put_back_it_is_withdrawn(
    monitor: Any, partner: Partner
) -> None:
    fire(monitor)
    change(monitor, {"state": "in_progress"})
    partner.work()
    change(monitor, {"assignee": "person-ben"}, name="Ben")
    ((verb, payload),) = partner.work()
    assert (verb, payload["by"]) == ("annotate", "Ben")
    change(monitor, {"assignee": ""}, name="Ben")
    ((verb, _),) = partner.work()
    assert verb == "unacknowledge"
    assert monitor.alerts()[0].taken_by == ""


def act(monitor: Any, action: str, comment: str = "") -> Any:
    def do(work: Any) -> Any:
        (alert,) = acts.load(work, [each.id for each in Alert.objects.all()]).values()
        return acts.act(work, alert, action, comment)

    return monitor.book.perform(do, actor=monitor.book.actor("agent", name="Cy"))


def test_a_person_acts_on_the_alert_itself(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    act(monitor, "acknowledge", "Looking.")
    act(monitor, "acknowledge", "Looking.")
    act(monitor, "annotate", "Disk is being replaced.")
    act(monitor, "unacknowledge")
    act(monitor, "resolve")
    assert [(verb, payload["by"]) for verb, payload in partner.work()] == [
        ("acknowledge", "Cy"), ("annotate", "Cy"), ("unacknowledge", "Cy"), ("resolve", "Cy"),
    ]  # fmt: skip


def test_what_exists_only_at_the_source_is_refused_where_it_cannot_be_told(
    monitor: Any, partner: Partner
) -> None:
    monitor.connection = "mute"
    fire(monitor)
    with pytest.raises(Conflict, match="not told"):
        act(monitor, "annotate", "Hello")
    assert Delivery.objects.count() == 0


def test_the_name_and_the_words_are_sealed_in_the_delivery(monitor: Any, partner: Partner) -> None:
    fire(monitor)
    act(monitor, "acknowledge", "Looking.")
    held = Delivery.objects.get()
    assert b"Looking" not in bytes(held.payload)
    assert open_json(held.payload)["comment"] == "Looking."


def test_a_view_inside_a_repeated_event_counts_too(monitor: Any) -> None:
    fire(monitor)
    seen = monitor.event("Down", host="web-01")
    seen.observation.values["silenced"] = True
    monitor.repeat(seen)
    (alert,) = monitor.alerts()
    assert (alert.silenced, alert.occurrences, alert.notifications) == (True, 1, 2)
    monitor.book.perform(lambda work: service.count_repeats(work, [seen], work.now))
    assert monitor.alerts()[0].version == alert.version, "the same view again adds no entry"


@pytest.mark.parametrize(("seconds", "astray"), [(10, False), (120, True)])
def test_a_closing_that_the_source_answers_and_does_not_keep_is_said(
    monitor: Any, partner: Partner, *, seconds: int, astray: bool
) -> None:
    fire(monitor)
    act(monitor, "resolve")
    partner.work()
    monitor.book.clock.forward(seconds=seconds)
    fire(monitor)
    (alert,) = monitor.alerts()
    assert alert.astray == astray
    assert ("still fires" in alert.told["resolve"].get("why", "")) == astray
