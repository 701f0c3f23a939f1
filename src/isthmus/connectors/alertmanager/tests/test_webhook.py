"""What users rely on: the alert's own status, its identity, and speed at the door."""

import json
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.kernel.errors import Rejected

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source


def context(**config):
    simulator = INSTALLED.connector.simulator()
    return INSTALLED.context(
        "prometheus-eu", {**simulator.config("http://x"), **config}, secrets=simulator.secrets()
    )


def body(name: str) -> bytes:
    return (FOLDER / "fixtures" / "accepted" / f"{name}.json").read_bytes()


def parse(raw: bytes, **config):
    return SOURCE.parse(raw, {}, context(**config))


def test_each_alert_has_its_own_status_not_the_groups():
    sent = json.loads(body("firing_group_with_one_member_resolved__v4"))
    assert sent["status"] == "firing"
    found = parse(json.dumps(sent).encode())
    assert [each.values["state"] for each in found] == ["firing", "resolved"]
    assert found[0].values["ends_at"] is None
    assert found[1].values["ends_at"] == found[1].occurred_at


def test_a_repeat_is_the_same_event_and_a_new_start_is_another():
    first = parse(body("firing_group__v4"))
    assert [each.event_id for each in parse(body("firing_group_repeated_unchanged__v4"))] == [
        each.event_id for each in first
    ]
    again = json.loads(body("firing_group__v4"))
    again["alerts"][0]["startsAt"] = "2026-11-20T18:00:00Z"
    assert parse(json.dumps(again).encode())[0].event_id != first[0].event_id


def test_a_resolution_sent_twice_with_another_end_is_the_same_event():
    sent = json.loads(body("resolved_single__v4"))
    first = parse(json.dumps(sent).encode())[0].event_id
    sent["alerts"][0]["endsAt"] = "2026-11-20T23:00:00Z"
    assert parse(json.dumps(sent).encode())[0].event_id == first


def test_the_zone_of_a_time_does_not_change_the_event():
    sent = json.loads(body("firing_group__v4"))
    utc = parse(json.dumps(sent).encode())[0].event_id
    sent["alerts"][0]["startsAt"] = "2026-11-20T15:57:24.728+01:00"
    assert parse(json.dumps(sent).encode())[0].event_id == utc


def test_digits_beyond_milliseconds_do_not_change_the_event():
    """API v2 leaves them out: a poll must confirm what a webhook said, not repeat it as something new."""
    sent = json.loads(body("firing_group__v4"))
    cut = parse(json.dumps(sent).encode())[0].event_id
    sent["alerts"][0]["startsAt"] = "2026-11-20T14:57:24.728961123Z"
    assert parse(json.dumps(sent).encode())[0].event_id == cut
    sent["alerts"][0]["startsAt"] = "2026-11-20T14:57:24.729Z"
    assert parse(json.dumps(sent).encode())[0].event_id != cut


def test_left_out_members_are_reported():
    found = parse(body("truncated_group__v4"))
    assert found[0].unknown == {"truncated_alerts": 7}
    assert all(not each.unknown for each in found[1:])


def test_severities_are_the_connections_own():
    found = parse(body("firing_group__v4"), severity_label="team", severities={"payments": "error"})
    assert {each.values["severity"] for each in found} == {"error"}


@pytest.mark.parametrize("severity", ["fatal", "CRITICALISH"])
def test_a_severity_outside_the_table_is_kept_as_unknown(severity):
    sent = json.loads(body("firing_group__v4"))
    sent["alerts"][0]["labels"]["severity"] = severity
    first = parse(json.dumps(sent).encode())[0]
    assert first.unknown["severity"] == severity
    assert "severity" not in first.values


def test_basic_authentication_is_an_alternative_to_bearer():
    basic = context(authentication="basic")
    basic = type(basic)(**{**vars(basic), "secrets": {"token": "prom:pass"}})
    headers = SOURCE.sign(b"{}", basic, NOW)
    assert SOURCE.authenticate(headers, b"{}", basic, NOW) is None
    assert SOURCE.authenticate({"authorization": "Bearer prom:pass"}, b"{}", basic, NOW).status == 401


def test_more_alerts_than_the_limit_are_refused():
    sent = json.loads(body("firing_group__v4"))
    sent["alerts"] = sent["alerts"][:1] * 10_001
    with pytest.raises(Rejected) as caught:
        parse(json.dumps(sent).encode())
    assert caught.value.problems[0].path == "/alerts"


def test_the_simulator_fingerprints_like_prometheus():
    from isthmus.connectors.alertmanager.simulator import fingerprint

    for alert in json.loads(body("firing_group__v4"))["alerts"]:
        assert fingerprint(alert["labels"]) == alert["fingerprint"]
