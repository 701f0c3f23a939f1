"""What people do beside the daily work: freezes, major incidents, suspects, editing, undoing, giving up."""

from __future__ import annotations

import base64
import datetime as dt

import pytest

from isthmus.hub.http import idempotency
from isthmus.hub.models import ParkedMessage
from isthmus.identity.models import IdempotencyKey
from isthmus.ledger import keys
from isthmus.practices.change.models import Change, Freeze
from isthmus.practices.incident.models import Incident, Suspect


def text_of(answer):
    return answer.content.decode()


def local(hours):
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")


def test_a_freeze_is_set_and_lifted_on_the_calendar(desk):
    client = desk.client("change_manager")
    form = {
        "name": "Stock-taking",
        "effect": "freeze",
        "starts_at": local(1),
        "ends_at": local(5),
        "environments": "production, test",
    }
    assert "Stock-taking" in text_of(client.post("/changes/freezes", form, follow=True))
    freeze = Freeze.objects.get()
    assert freeze.environments == ["production", "test"]
    client.post(f"/changes/freezes/{freeze.id}/lift")
    assert Freeze.objects.get().state == "cancelled"
    assert "None now" in text_of(client.get("/changes/calendar"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"ends_at": ""},
        {"ends_at": "2020-01-01T00:00"},
        {"cis": "no-such-item"},
        {"effect": "storm"},
    ],
)
def test_a_freeze_that_would_freeze_nothing_is_refused(desk, wrong):
    client = desk.client("change_manager")
    form = {"name": "x", "starts_at": local(1), "ends_at": local(5), **wrong}
    assert "flash-error" in text_of(client.post("/changes/freezes", form, follow=True))
    assert not Freeze.objects.exists()


def test_an_agent_sets_no_freeze(desk):
    assert desk.client("agent").post("/changes/freezes", {"name": "x"}).status_code == 403


def test_a_major_incident_needs_an_owner_and_is_handed_over(desk):
    client, path = desk.client("agent"), f"/incidents/{desk.incident.id}"
    assert "flash-error" in text_of(client.post(f"{path}/major", {"owner": " "}, follow=True))
    assert not Incident.objects.get().major
    client.post(f"{path}/major", {"owner": "Command", "reason": "All shops"})
    client.post(f"{path}/major", {"owner": "Night command"})
    held = Incident.objects.get()
    assert (held.major, held.trigger_owner) == (True, "Night command")
    assert "Night command" in text_of(client.get(path))
    client.post(f"{path}/stand-down", {"reason": "over"})
    assert not Incident.objects.get().major


def test_a_suspect_is_searched_judged_and_taken_back(desk):
    agent, path = desk.client("agent"), f"/incidents/{desk.incident.id}"
    agent.post(
        "/changes/new",
        {
            "title": "New kernel",
            "type": "normal",
            "cis": "db1",
            "window_start": local(-1),
            "window_end": local(1),
        },
    )
    assert "CHG-" in text_of(agent.post(f"{path}/collision-check", follow=True))
    suspect = Suspect.objects.get()
    agent.post(f"/suspects/{suspect.id}/judge", {"verdict": "confirmed", "reason": "It began then."})
    assert Suspect.objects.get().verdict == "confirmed"
    agent.post(f"/suspects/{suspect.id}/judge", {"verdict": "guilty"})
    assert Suspect.objects.get().verdict == "confirmed"
    assert (
        desk.client("viewer").post(f"/suspects/{suspect.id}/judge", {"verdict": "cleared"}).status_code == 403
    )
    agent.post(f"/suspects/{suspect.id}/judge", {"verdict": "proposed"})
    assert Suspect.objects.get().verdict == "proposed"


def test_a_change_is_edited_and_a_stale_form_overwrites_nothing(desk):
    client = desk.client("agent")
    client.post(
        "/changes/new", {"title": "Old words", "type": "normal", "cis": "db1", "environment": "production"}
    )
    change = Change.objects.get()
    form = text_of(client.get(f"/changes/{change.id}/edit"))
    assert "Old words" in form
    assert ">db1</textarea>" in form
    given = {"title": "New words", "type": "normal", "cis": "db1", "environment": "production"}
    answer = client.post(f"/changes/{change.id}/edit", {**given, "version": change.version})
    assert answer.status_code == 303, text_of(answer)[-2000:]
    assert Change.objects.get().title == "New words"
    late = client.post(
        f"/changes/{change.id}/edit", {**given, "title": "Too late", "version": change.version}
    )
    assert late.status_code == 422
    assert "Too late" in text_of(late)
    assert Change.objects.get().title == "New words"


def test_a_bulk_assignment_is_undone_once(desk):
    client = desk.client("agent")
    before = Incident.objects.get().assignment_group
    client.post("/incidents/many", {"id": [desk.incident.id], "assignment_group": "dba", "confirmed": "yes"})
    assert "Undo" in text_of(client.get("/incidents"))
    client.post("/incidents/many/undo")
    assert Incident.objects.get().assignment_group == before
    assert client.post("/incidents/many/undo").status_code == 409


def test_an_undo_that_comes_too_late_is_refused(desk):
    client = desk.client("agent")
    client.post("/incidents/many", {"id": [desk.incident.id], "assignment_group": "dba", "confirmed": "yes"})
    desk.book.clock.forward(minutes=11)
    assert "Undo" not in text_of(client.get("/incidents"))
    assert client.post("/incidents/many/undo").status_code == 409
    assert Incident.objects.get().assignment_group == "dba"


def parked(desk):
    return ParkedMessage.objects.create(
        id="01PARKED000000000000000000", organisation=desk.book.organisation, connection="branches", position=1,
        place=0, message_id="01MESSAGE00000000000000000", trace="0" * 32, kind="alert", subject="alert:x",
        cause="No organisation.", remedy="Add it.", state="parked", received_at=1, parked_at=1,
    )  # fmt: skip


def test_a_parked_message_is_given_up_with_a_reason_only(desk):
    row, client = parked(desk), desk.client("agent")
    path = f"/deliveries/parked/{row.id}/dismiss"
    assert "flash-error" in text_of(client.post(path, {"reason": " "}, follow=True))
    assert ParkedMessage.objects.get().state == "parked"
    assert desk.client("viewer").post(path, {"reason": "x"}).status_code == 403
    client.post(path, {"reason": "There is no such branch."})
    assert ParkedMessage.objects.get().state == "dismissed"


def test_the_api_redrives_and_dismisses_parked_messages(desk):
    row = parked(desk)
    token = desk.token("delivery:read", "delivery:retry")
    call = {"HTTP_AUTHORIZATION": f"Bearer {token}", "content_type": "application/json"}
    base = f"/api/v1/deliveries/parked/{row.id}"
    assert desk.client().post(f"{base}/redrive", {}, **call).status_code == 202
    assert desk.client().post(f"{base}/dismiss", {"reason": ""}, **call).status_code == 422
    assert desk.client().post(f"{base}/dismiss", {"reason": "gone"}, **call).status_code == 200
    assert desk.client().post(f"{base}/dismiss", {"reason": "gone"}, **call).status_code == 404
    other = desk.add_person("stranger", "agent", organisation=desk.book.add_organisation("Other"))
    assert other
    assert (
        desk.client("stranger").post(f"/deliveries/parked/{row.id}/dismiss", {"reason": "x"}).status_code
        == 404
    )


def test_everybody_reads_what_they_may_do(desk):
    text = text_of(desk.client("viewer").get("/me"))
    assert "Viewer" in text
    assert "Approve or refuse" in text
    assert desk.client().get("/me").status_code == 302


def test_old_idempotency_keys_are_forgotten_and_young_ones_are_not(desk):
    token = desk.token("incident:read", "incident:write")
    for key in ("old", "young"):
        desk.client().post(
            "/api/v1/incidents", {"title": key}, content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_IDEMPOTENCY_KEY=key,
        )  # fmt: skip
        if key == "old":
            desk.book.clock.forward(hours=idempotency.KEPT_HOURS - 1)
    desk.book.clock.forward(hours=2)
    assert idempotency.forget_expired(desk.book.clock.now()) == 1
    assert [each.key for each in IdempotencyKey.objects.all()] == ["young"]


def test_a_kept_answer_shows_no_text_in_the_store_repeats_itself_and_ends_with_the_record(desk):
    token = desk.token("incident:read", "incident:write")

    def post():
        return desk.client().post(
            "/api/v1/incidents", {"title": "T", "description": "Ada Lovelace cannot print"},
            content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_IDEMPOTENCY_KEY="k",
        )  # fmt: skip

    first = post()
    kept = IdempotencyKey.objects.get().answer
    assert "Lovelace" not in kept
    assert b"Lovelace" not in base64.b64decode(kept)
    assert post().json() == first.json()
    keys.ring().destroy(f"record:{first.json()['id']}")
    assert post().status_code == 409


def test_an_unknown_connection_is_neither_probed_nor_linked(desk):
    assert desk.client("integration_engineer").post("/systems/nowhere/probe").status_code == 404
    form = {"kind": "incident", "record": desk.incident.id, "connection": "nowhere"}
    answer = desk.client("agent").post("/links/add", form, follow=True)
    assert "takes no part in the flow" in text_of(answer)
    assert desk.client("viewer").post("/links/add", form).status_code == 403
