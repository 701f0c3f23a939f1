"""Incidents over HTTP: rights, versions, paging, one answer per bulk item."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from isthmus.hub.http import limits
from isthmus.identity import people, tokens

Call = Callable[..., Any]


@pytest.fixture
def api(desk: Any) -> Callable[..., Call]:
    """`api("incident:read")` answers calls of a token with these scopes."""
    people.forget()
    tokens.forget()
    limits.limiter.__init__()  # type: ignore[misc]

    def with_scopes(*scopes: str, organisation: str = "") -> Call:
        where = organisation or desk.book.organisation
        secret = desk.book.perform(
            lambda work: tokens.issue(work, organisation=where, name="probe", scopes=scopes, days=1)[1],
            actor=desk.book.actor("administrator", organisation=where),
        )
        client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {secret}"})

        def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
            send = getattr(client, method)
            if body is None and method == "get":
                return send(f"/api/v1{path}", headers=headers)
            return send(f"/api/v1{path}", data=body or {}, content_type="application/json", headers=headers)

        call.client = client  # type: ignore[attr-defined]
        return call

    return with_scopes


def test_an_incident_is_opened_read_changed_and_resolved(api: Any) -> None:
    call = api("incident:read", "incident:write")
    made = call("post", "/incidents", {"title": "Printer on fire", "impact": "2", "urgency": "1"})
    assert made.status_code == 201, made.content
    incident = made.json()
    assert (incident["number"], incident["priority"], incident["state"]) == ("INC-000001", "1", "new")
    read = call("get", f"/incidents/{incident['number']}")
    assert read.headers["ETag"] == made.headers["ETag"]
    changed = call(
        "patch",
        f"/incidents/{incident['id']}",
        {"state": "in_progress"},
        **{"if-match": read.headers["ETag"]},
    )
    assert changed.json()["state"] == "in_progress"
    late = call("patch", f"/incidents/{incident['id']}", {"title": "x"}, **{"if-match": read.headers["ETag"]})
    assert late.status_code == 412
    comment = call("post", f"/incidents/{incident['id']}/comments", {"body": "On my way", "public": True})
    assert comment.status_code == 201
    resolved = call("post", f"/incidents/{incident['id']}/resolve", {"code": "fixed", "notes": "Water."})
    assert resolved.json()["state"] == "resolved"
    told = call("get", f"/incidents/{incident['id']}/timeline").json()["items"]
    assert [each["what"] for each in told] == ["entry", "entry", "comment", "entry"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/incidents", {"title": " "}, "/title"),
        ("/incidents", {}, "/body/title"),
    ],
)
def test_what_is_wrong_is_named(api: Any, path: str, body: Any, pointer: str) -> None:
    answer = api("incident:write")("post", path, body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}


def test_an_illegal_step_names_the_legal_ones(api: Any) -> None:
    call = api("incident:read", "incident:write")
    incident = call("post", "/incidents", {"title": "x"}).json()
    answer = call("post", f"/incidents/{incident['id']}/close")
    assert answer.status_code == 422
    assert "in_progress" in answer.json()["remedy"]


def test_reading_does_not_allow_writing_and_other_organisations_see_nothing(api: Any, desk: Any) -> None:
    incident = api("incident:write")("post", "/incidents", {"title": "Ours"}).json()
    assert api("incident:read")("patch", f"/incidents/{incident['id']}", {"title": "x"}).status_code == 403
    other = api("incident:read", organisation=desk.book.add_organisation("Other"))
    assert other("get", f"/incidents/{incident['id']}").status_code == 404
    assert other("get", "/incidents").json()["items"] == []


def test_lists_are_filtered_and_paged(api: Any) -> None:
    call = api("incident:read", "incident:write")
    for index in range(5):
        call(
            "post", "/incidents", {"title": f"n{index}", "impact": "1" if index % 2 else "4", "urgency": "1"}
        )
    first = call("get", "/incidents?limit=2").json()
    rest = call("get", f"/incidents?limit=50&cursor={first['next']}").json()
    assert [each["title"] for each in (*first["items"], *rest["items"])] == ["n4", "n3", "n2", "n1", "n0"]
    assert [each["title"] for each in call("get", "/incidents?priority=1&open=true").json()["items"]] == [
        "n3",
        "n1",
    ]


def test_the_same_idempotency_key_makes_one_incident(api: Any) -> None:
    call = api("incident:read", "incident:write")
    answers = [
        call("post", "/incidents", {"title": "once"}, **{"idempotency-key": "k"}).json()["id"]
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert len(call("get", "/incidents").json()["items"]) == 1


def test_bulk_answers_item_by_item(api: Any) -> None:
    call = api("incident:read", "incident:write")
    one = call("post", "/incidents", {"title": "one"}).json()
    items = [
        {"incident": one["id"], "action": "update", "values": {"category": "network"}},
        {"incident": "nothing", "action": "close"},
    ]
    answer = call("post", "/incidents/bulk", {"items": items}).json()["items"]
    assert [each["status"] for each in answer] == [200, 404]
    assert answer[0]["result"]["category"] == "network"


def test_a_silence_is_set_and_ended_and_a_hopeless_one_refused(api: Any) -> None:
    call = api("alert:read", "alert:write")
    body = {
        "matchers": [{"label": "host", "value": "a"}],
        "ends_at": "2099-01-01T00:00:00Z",
        "comment": "noise",
    }
    refused = call("post", "/silences", body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/ends_at"
    made = call("post", "/silences", {**body, "starts_at": "2098-12-31T00:00:00Z"})
    assert made.status_code == 201, made.content
    ended = call("post", f"/silences/{made.json()['id']}/expire")
    assert ended.json()["state"] == "expired"
    assert call("get", "/alerts").json()["items"] == []
    assert call("get", "/events?connection=am&event_id=unknown").status_code == 404


def test_a_file_goes_in_and_comes_out_unchanged_and_only_as_a_download(
    desk: Any, api: Callable[..., Call]
) -> None:
    call = api("incident:read", "incident:write")
    incident = desk.open()
    at = f"/api/v1/incidents/{incident.number}/attachments"
    client, headers = call.client, {"content-type": "text/html; charset=utf-8"}  # type: ignore[attr-defined]
    body = bytes(range(256)) * 5_000

    def send(name: str, content: bytes) -> Any:
        return client.generic("POST", f"{at}?{urlencode({'filename': name})}", content, headers=headers)

    made = send("Größe <1>.html", body)
    assert made.status_code == 201, made.content
    assert made.json()["sha256"] == hashlib.sha256(body).hexdigest()
    assert send("Größe <1>.html", body).json()["id"] == made.json()["id"], "repeating is harmless"
    (shown,) = client.get(at).json()["items"]
    assert (shown["filename"], shown["size"], shown["state"]) == ("Größe <1>.html", len(body), "stored")
    found = client.get(f"{at}/{shown['id']}/content")
    assert b"".join(found.streaming_content) == body
    assert found["Content-Disposition"].startswith("attachment;")
    assert (found["Content-Type"], found["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    story = client.get(f"/api/v1/incidents/{incident.number}/timeline").json()["items"]
    assert [each["title"] for each in story if each["what"] == "attachment"] == ["File: Größe <1>.html"]


@pytest.mark.parametrize("name", ["", "../x", 'a"b', "a\nb", "x" * 201])
def test_file_names_that_could_do_harm_are_refused(desk: Any, api: Callable[..., Call], name: str) -> None:
    client = api("incident:read", "incident:write").client  # type: ignore[attr-defined]
    at = f"/api/v1/incidents/{desk.open().number}/attachments"
    refused = client.generic("POST", f"{at}?{urlencode({'filename': name})}", b"x", content_type="text/plain")
    assert refused.status_code == 422
    assert client.get(at).json()["items"] == []


def test_files_need_the_right_to_write_a_content_and_a_bound(desk: Any, api: Callable[..., Call]) -> None:
    at = f"/api/v1/incidents/{desk.open().number}/attachments"
    reader = api("incident:read").client  # type: ignore[attr-defined]
    assert reader.generic("POST", f"{at}?filename=x", b"x", content_type="text/plain").status_code == 403
    writer = api("incident:read", "incident:write").client  # type: ignore[attr-defined]
    assert writer.generic("POST", f"{at}?filename=x", b"", content_type="text/plain").status_code == 422
    over = writer.generic("POST", f"{at}?filename=x", b"x" * 10_000_001, content_type="text/plain")
    assert over.status_code == 422
    assert writer.get(at).json()["items"] == []
