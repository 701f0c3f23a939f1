"""Drafts and accuracy as a person meets them: pages that work as plain forms, and the API beside them."""

from __future__ import annotations

import json

import pytest

from isthmus.kernel.record import Reason
from isthmus.practices.monitoring.models import AccuracySample, Alert, AutomationMode

WHY = [Reason(rule="test", text="For the test.")]


def drafted(desk, name, *, sampled=False):
    def act(work):
        alert = work.create(
            Alert,
            organisation=desk.book.organisation,
            values={
                "identity": name, "summary": f"{name} is full", "severity": "error", "state": "firing", "open": True,
                "decision": "drafted", "decision_reason": "A person confirms first.", "labels": {"alertname": "DiskFull"},
            },
            why=WHY,
        )  # fmt: skip
        if sampled:
            work.create(
                AccuracySample,
                organisation=desk.book.organisation,
                values={"alert": alert.id, "alert_class": "DiskFull", "verdict": "open", "seed": "s"},
                why=WHY,
            )
        return alert.id

    return desk.book.perform(act)


def test_chosen_drafts_become_incidents_and_a_rejected_one_does_not(desk):
    first, second, third = (drafted(desk, name) for name in ("disk-1", "disk-2", "disk-3"))
    client = desk.client("agent")
    text = client.get("/drafts").content.decode()
    assert all(f"disk-{number} is full" in text for number in (1, 2, 3))
    done = client.post("/drafts/word", {"id": [first, second], "action": "confirm"}, follow=True)
    assert "2 incident(s) opened" in done.content.decode()
    refused = client.post("/drafts/word", {"id": [third], "action": "reject", "reason": " "}, follow=True)
    assert "Say why no incident is needed" in refused.content.decode()
    assert Alert.objects.get(id=third).decision == "drafted"
    client.post("/drafts/word", {"id": [third], "action": "reject", "reason": "Planned work"})
    assert Alert.objects.get(id=third).decision == "draft_rejected"
    assert all(Alert.objects.get(id=each).incident for each in (first, second))
    assert "No draft waits for you" in client.get("/drafts").content.decode()


def test_a_reader_sees_drafts_but_has_no_buttons_and_is_refused(desk):
    alert = drafted(desk, "disk-1")
    client = desk.client("viewer")
    assert "Open incidents" not in client.get("/drafts").content.decode()
    assert client.post("/drafts/word", {"id": [alert], "action": "confirm"}).status_code == 403
    assert Alert.objects.get(id=alert).incident == ""


def test_a_verdict_is_given_on_the_page_and_shown_with_its_class(desk):
    drafted(desk, "disk-1", sampled=True)
    (sample,) = AccuracySample.objects.all()
    client = desk.client("agent")
    assert "disk-1 is full" in client.get("/accuracy").content.decode()
    refused = client.post(f"/accuracy/{sample.id}/judge", {"verdict": "wrong"}, follow=True)
    assert "what was wrong" in refused.content.decode()
    client.post(f"/accuracy/{sample.id}/judge", {"verdict": "wrong", "note": "No outage."})
    mode = AutomationMode.objects.get()
    assert (mode.alert_class, mode.verdicts, mode.wrong, mode.full_permitted) == ("DiskFull", 1, 1, False)
    page = client.get("/accuracy?verdict=wrong").content.decode()
    assert "No outage." in page
    assert "insufficient data" in page
    assert desk.client("viewer").post(f"/accuracy/{sample.id}/judge", {"verdict": "right"}).status_code == 403


@pytest.mark.parametrize("role", ["agent", "viewer"])
def test_the_api_does_what_the_pages_do(desk, role):
    alert = drafted(desk, "disk-1", sampled=True)
    client = desk.client(role)
    (sample,) = client.get("/api/v1/accuracy/samples?verdict=open").json()["items"]
    assert sample["alert"] == alert

    def post(path, body):
        return client.post(
            f"/api/v1{path}", json.dumps(body), content_type="application/json",
            headers={"Idempotency-Key": f"{role} {path} {body}"},
        )  # fmt: skip

    may = role == "agent"
    judged = post(f"/accuracy/samples/{sample['id']}/judge", {"verdict": "right"})
    assert judged.status_code == (200 if may else 403)
    classes = client.get("/api/v1/accuracy/modes").json()["items"]
    assert [(each["alert_class"], each["precision"]) for each in classes] == (
        [("DiskFull", None)] if may else []
    )
    rejected = post("/drafts/bulk", {"ids": [alert], "action": "reject", "reason": "Planned"})
    assert rejected.status_code == (200 if may else 403)
    assert Alert.objects.get(id=alert).decision == ("draft_rejected" if may else "drafted")
