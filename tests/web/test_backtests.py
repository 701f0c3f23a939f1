"""Back-tests over the API: asked for, read back, refused with the field, and seen by nobody else."""

from __future__ import annotations

import json

import pytest

from isthmus.blueprint import service
from isthmus.blueprint.source import Source
from isthmus.hub.intake import shared
from isthmus.hub.intake.message import WEBHOOK, Draft
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.instant import DAY, MINUTE, to_rfc3339
from isthmus.ledger.ids import source
from isthmus.ledger.models import Entry
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring.backtest import gathering, jobs, running

RULE = {"name": "per site", "match": {"alertname": "Down"}, "by": ["site"], "topology": False}


def message(at: int, *hosts: str, site: str) -> Draft:
    alerts = [
        {
            "status": "firing", "labels": {"alertname": "Down", "severity": "critical", "host": host, "site": site},
            "annotations": {"summary": f"{host} is down"}, "startsAt": to_rfc3339(at), "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "", "fingerprint": host.encode().hex().ljust(16, "0")[:16],
        }
        for host in hosts
    ]  # fmt: skip
    body = {
        "version": "4", "groupKey": site, "truncatedAlerts": 0, "status": "firing", "receiver": "isthmus", "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": alerts,
    }  # fmt: skip
    return Draft(
        id=source.new_id(),
        trace=source.new_trace(),
        received_at=at,
        door=WEBHOOK,
        connector="alertmanager@1",
        headers=[("content-type", "application/json")],
        body=json.dumps(body).encode(),
    )


@pytest.fixture
def past(desk):
    """Two organisations with a source each, and what theirs sent an hour ago."""
    book = desk.book
    other = book.add_organisation("basalt")
    connections = {
        "am": {"connector": "alertmanager", "config": {"token": {"secret": "env:AM"}}},
        "am-b": {
            "connector": "alertmanager",
            "organisation": "basalt",
            "config": {"token": {"secret": "env:AM"}},
        },
    }
    book.perform(lambda work: service.apply(work, Source(sections={"connections": connections})))
    now = book.clock.now()
    log = shared.log()
    log.append("am", [message(now - 3 * DAY, "old", site="north")])
    log.append(
        "am", [message(now - 60 * MINUTE + each, name, site="north") for each, name in enumerate(("a", "b"))]
    )
    log.append("am-b", [message(now - 50 * MINUTE, "basalt-host", site="north")])
    desk.other = other
    return desk


def post(client, *, key="", **body):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(
        "/api/v1/backtests", json.dumps(body), content_type="application/json", headers=headers
    )


def finished(client, started):
    assert started.status_code == 202, started.content
    job_id = started.json()["id"]
    jobs.wait(job_id, 200)
    return client.get(f"/api/v1/backtests/{job_id}")


def test_a_rule_is_tried_on_what_is_in_the_log_and_only_its_organisation_sees_the_result(past):
    client = past.client("administrator")
    before = Entry.objects.count()
    witness = past.book.directory / "witness"
    marks = sorted(witness.rglob("*")) if witness.exists() else []
    answer = finished(client, post(client, rules=[RULE]))
    found = answer.json()
    assert (found["state"], found["progress"], found["problem"]) == ("done", 100, "")
    result = found["result"]
    assert result["notes"] == [gathering.NOT_REPLAYED]
    assert result["events"] == 2  # neither the other organisation's nor what is older than the window
    assert (result["counts"]["in_force"], result["counts"]["candidate"], result["counts"]["regrouped"]) == (
        2,
        1,
        1,
    )
    after = result["regrouped"][0]["after"][0]
    assert [each["summary"] for each in after["alerts"]] == ["a is down", "b is down"]
    assert "basalt" not in answer.content.decode()
    assert Entry.objects.count() == before
    assert (sorted(witness.rglob("*")) if witness.exists() else []) == marks

    past.add_person("bea", "administrator", organisation=past.other)
    path = f"/api/v1/backtests/{found['id']}"
    assert past.client("bea").get(path).status_code in {403, 404}
    assert past.client("requester" if "requester" in past.people else "nobody").get(path).status_code == 403
    assert post(past.client("bea"), rules=[RULE]).status_code == 403
    assert client.get("/api/v1/backtests/01ARZ3NDEKTSV4RRFFQ69G5FAV").status_code == 404
    assert client.get("/api/v1/backtests/..%2F..%2Fkeys").status_code == 404
    past.book.clock.forward(hours=25)
    assert client.get(path).status_code == 404


def test_the_same_key_starts_one_back_test_and_answers_with_it_again(past):
    client = past.client("administrator")
    first = post(client, key="k-1", rules=[RULE])
    again = post(client, key="k-1", rules=[RULE])
    assert finished(client, first).json()["state"] == "done"
    after = post(client, key="k-1", rules=[RULE])
    assert first.status_code == again.status_code == after.status_code == 202
    assert first.json()["id"] == again.json()["id"] == after.json()["id"]
    assert post(client, key="k-1", rules=[{**RULE, "name": "other"}]).status_code == 409
    assert len(list((past.book.directory / "backtests").glob("*.json"))) == 1


def test_what_a_killed_hub_left_of_a_back_test_is_removed_by_the_next_one(past, monkeypatch):
    client = past.client("administrator")
    monkeypatch.setattr(gathering, "EVENTS_MAX", 1)
    found = finished(client, post(client, rules=[RULE])).json()
    folder = running.folder_of(found["id"])
    assert not folder.exists()
    folder.mkdir()
    (folder / "handover").write_bytes(b"alerts")
    path = past.book.directory / "backtests" / f"{found['id']}.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"state": "running"}))
    past.book.clock.forward(minutes=3)
    finished(client, post(client, rules=[RULE]))
    assert not folder.exists()


def test_results_are_kept_up_to_a_number_and_a_size(past, monkeypatch):
    client = past.client("administrator")
    monkeypatch.setattr(gathering, "EVENTS_MAX", 1)
    ids = [finished(client, post(client, rules=[RULE])).json()["id"] for _ in range(3)]
    monkeypatch.setattr(jobs, "KEPT_MAX", 3)
    ids.append(finished(client, post(client, rules=[RULE])).json()["id"])
    held = sorted(each.stem for each in (past.book.directory / "backtests").iterdir())
    assert held == ids[1:]
    monkeypatch.setattr(jobs, "KEPT_BYTES_MAX", 0)
    ids.append(finished(client, post(client, rules=[RULE])).json()["id"])
    assert [each.stem for each in (past.book.directory / "backtests").iterdir()] == ids[-1:]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"rules": [{**RULE, "when": "labels.site =="}]}, "/monitoring/correlation/rules/0/when"),
        ({"rules": [{**RULE, "windw": "PT5M"}]}, "/monitoring/correlation/rules/0/windw"),
        ({"sections": {"monitoring": {"times": {"stable": "soon"}}}}, "/monitoring/times/stable"),
        ({"sections": {"people": {}}}, "/people"),
        ({"rules": [RULE], "since": "yesterday"}, "/since"),
        ({"rules": [RULE], "since": "2020-01-01T00:00:00Z"}, "/since"),
        ({"rules": [RULE], "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "/until"),
        ({}, "/rules"),
    ],
)
def test_what_is_wrong_is_refused_with_its_field_and_nothing_is_started(past, body, pointer):
    answer = post(past.client("administrator"), **body)
    assert answer.status_code == 422, answer.content
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]
    assert not list((past.book.directory / "backtests").glob("*.json"))


def test_a_window_with_too_many_events_fails_in_words_and_a_second_back_test_waits(past, monkeypatch):
    client = past.client("administrator")
    monkeypatch.setattr(gathering, "EVENTS_MAX", 1)
    found = finished(client, post(client, rules=[RULE])).json()
    assert found["state"] == "failed"
    assert "more than 1 events" in found["problem"]
    assert found["remedy"] == "Choose a shorter window."

    path = past.book.directory / "backtests" / f"{found['id']}.json"
    alive = json.loads(path.read_bytes()) | {"state": "running", "told_at": int(source.now())}
    path.write_text(json.dumps(alive))
    assert post(client, rules=[RULE]).status_code == 409
    past.book.clock.forward(minutes=3)
    lost = client.get(f"/api/v1/backtests/{found['id']}").json()
    assert (lost["state"], lost["problem"]) == ("failed", "The process that ran it has ended.")
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0


def test_sections_replace_those_in_force_and_nothing_is_queued_for_anybody(past):
    client = past.client("administrator")
    deliveries = Delivery.objects.count()
    sections = {"monitoring": {"automation": {"default": "record"}}, "incident": {}}
    result = finished(client, post(client, sections=sections)).json()["result"]
    assert result["decisions"] == {"in_force": {"opened": 2}, "candidate": {"recorded_only": 2}}
    assert result["counts"]["candidate"] == 0
    assert [each["title"] for each in result["only_in_force"]] == ["a is down", "b is down"]
    assert Delivery.objects.count() == deliveries
    assert [each.id for each in Incident.objects.all()] == [past.incident.id]


FORM = {
    "name": "per site", "match": "alertname=Down", "when": "", "by": "site", "window": "PT0S", "threshold": "1",
    "wait": "PT0S", "similarity": "0", "days": "1",
}  # fmt: skip


def test_the_page_edits_a_rule_tries_it_and_hands_the_blueprint_to_the_plan(past):
    client = past.client("administrator")
    assert "No rule of your own yet" in client.get("/rules").content.decode()
    assert client.get("/rules/edit").status_code == 200
    before = Entry.objects.count()
    started = client.post("/rules/try", {**FORM, "do": "try"})
    assert started.status_code == 303, started.content
    path = started["Location"]
    jobs.wait(path.rsplit("/", 1)[1], 200)
    text = client.get(path).content.decode()
    for said in (
        "Grouped differently (1)",
        "a is down",
        "b is down",
        "For the blueprint",
        "- name: per site",
    ):
        assert said in text, said
    assert "basalt-host" not in text
    shown = client.post("/rules/try", {**FORM, "do": "yaml"})
    whole = shown.content.decode().split('<textarea name="text" hidden>')[1].split("</textarea>")[0]
    assert Entry.objects.count() == before

    planned = client.post("/configuration/plan", {"text": whole})
    assert "/monitoring" in planned.content.decode()
    client.post("/configuration/apply", {"text": whole})
    assert "/rules/edit?name=per%20site" in client.get("/rules").content.decode()
    again = client.get("/rules/edit?name=per%20site").content.decode()
    assert "alertname=Down" in again
    assert 'value="site"' in again


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("when", "labels.site ==", "r-when-wrong"),
        ("threshold", "many", "r-threshold-wrong"),
        ("threshold", "0", "positive"),
        ("similarity", "7", "r-similarity-wrong"),
        ("window", "soon", "r-window-wrong"),
        ("match", "Down", "r-match-wrong"),
        ("name", "", "r-name-wrong"),
    ],
)
def test_the_page_says_at_the_field_what_the_blueprint_would_refuse(past, field, value, said):
    answer = past.client("administrator").post("/rules/try", {**FORM, field: value, "do": "try"})
    assert answer.status_code == 422
    text = answer.content.decode()
    assert f'id="{said}"' in text or (said == "positive" and said in text)
    assert not list((past.book.directory / "backtests").glob("*.json"))


def test_who_may_not_read_the_blueprint_has_no_page_of_rules(past):
    past.add_person("bea", "administrator", organisation=past.other)
    for who in ("agent", "bea"):
        client = past.client(who)
        for path in ("/rules", "/rules/edit", "/rules/tests/01ARZ3NDEKTSV4RRFFQ69G5FAV"):
            assert client.get(path).status_code == 403, (who, path)
        assert client.post("/rules/try", FORM).status_code == 403
