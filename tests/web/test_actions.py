from __future__ import annotations

import re

from isthmus.identity.models import RoleGrant, ServiceAccount
from isthmus.practices.change.models import Change


def test_verify_now_says_that_a_sound_book_is_sound_and_names_an_edit(desk):
    from django.db import connection

    from isthmus.ledger import sealer

    sealer.seal_all(desk.book.clock.now())
    client = desk.client("auditor")
    assert "The book is sound" in client.post("/audit/verify").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE incident_incident SET priority = '4' WHERE id = %s", [desk.incident.id])
    text = client.post("/audit/verify").content.decode()
    assert "The book is sound" not in text
    assert desk.incident.id in text


def test_the_evidence_pack_is_for_those_who_may_take_it(desk):
    taken = desk.client("auditor").post("/audit/download")
    assert taken.status_code == 200
    assert b"".join(taken.streaming_content)[:2] == b"PK"
    assert desk.client("agent").post("/audit/download").status_code == 403


def test_a_token_is_shown_once_and_works(desk):
    client = desk.client("administrator")
    shown = client.post(
        "/tokens/issue", {"name": "ci", "days": "7", "scope": ["gate:check", "incident:read"]}
    )
    token = re.search(r"<pre>(ist_[^<]+)</pre>", shown.content.decode()).group(1)
    assert token not in client.get("/tokens").content.decode()
    assert desk.client().get("/api/v1/incidents", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 200
    account = ServiceAccount.objects.get()
    client.post(f"/tokens/{account.id}/revoke")
    assert desk.client().get("/api/v1/incidents", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 401


def test_a_role_granted_on_the_page_opens_screens_and_a_revoked_one_closes_them(desk):
    admin, person = desk.client("administrator"), desk.people["nobody"]
    admin.post(f"/people/{person}/grant", {"role": "auditor"})
    assert desk.client("nobody").get("/audit").status_code == 200
    grant = RoleGrant.objects.get(holder=person)
    admin.post(f"/people/grants/{grant.id}/revoke")
    desk.book.clock.forward(seconds=2)
    assert desk.client("nobody").get("/audit").status_code == 403


def raised(desk, client):
    answer = client.post(
        "/changes/new",
        {
            "title": "Replace the switch",
            "type": "normal",
            "cis": "db1",
            "description": "Old",
            "implementation_plan": "Swap",
            "backout_plan": "Swap back",
        },
    )
    assert answer.status_code == 303, answer.content.decode()[-3000:]
    return Change.objects.get()


def test_a_change_is_raised_on_the_page_and_its_page_opens(desk):
    change = raised(desk, desk.client("agent"))
    for role in ("viewer", "approver", "change_manager"):
        text = desk.client(role).get(f"/changes/{change.id}").content.decode()
        assert "Replace the switch" in text
    assert "Replace the switch" in desk.client("viewer").get("/changes").content.decode()


def test_a_change_on_an_unknown_item_is_refused_and_keeps_what_was_typed(desk):
    answer = desk.client("agent").post(
        "/changes/new", {"title": "Typed this", "type": "normal", "cis": "no-such-item"}
    )
    assert answer.status_code == 422
    assert b"Typed this" in answer.content
    assert not Change.objects.exists()


def test_a_viewer_cannot_raise_move_or_decide(desk):
    change = raised(desk, desk.client("agent"))
    client = desk.client("viewer")
    assert client.post("/changes/new", {"title": "x"}).status_code == 403
    assert client.post(f"/changes/{change.id}/submit").status_code == 403
    assert client.post("/approvals/x/decide", {"verdict": "approved"}).status_code == 403


def test_the_finder_goes_straight_to_the_only_match(desk):
    client = desk.client("viewer")
    assert client.get(f"/find?q={desk.incident.number}")["Location"] == f"/incidents/{desk.incident.id}"
    assert client.get("/find?q=Systems")["Location"] == "/systems"
    assert b"Nothing answers" in client.get("/find?q=zzzzz").content


def test_the_map_draws_both_directions_and_says_it_in_a_table(desk):
    text = desk.client("viewer").get(f"/map/{desk.cis['db1']}").content.decode()
    assert 'aria-label="shop, service' in text
    assert "depends on it, 1 hops" in text
    assert "900" in text


def test_the_trace_is_exported_with_every_entry(desk):
    answer = desk.client("viewer").get(f"/trace/{desk.incident.id}?format=json")
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer.json()["complete"] is True


def test_a_missing_entry_is_a_marked_gap(desk):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ledger_entry WHERE record = %s AND version = 1", [desk.people["viewer"]])
        cursor.execute("UPDATE incident_incident SET version = version + 1 WHERE id = %s", [desk.incident.id])
    text = desk.client("viewer").get(f"/trace/{desk.incident.id}").content.decode()
    assert "missing from the journal" in text


def test_the_overview_costs_the_same_whatever_it_shows(desk, queries):
    from isthmus.practices.incident import service as incidents

    client = desk.client("viewer")
    client.get("/")
    with queries() as few:
        client.get("/")
    for number in range(8):
        values = {"title": f"Late {number}", "impact": "1", "urgency": "1"}
        desk.book.perform(lambda work, values=values: incidents.create(work, desk.book.organisation, values))
    desk.book.clock.forward(hours=5)
    client.get("/")
    with queries() as many:
        text = client.get("/").content.decode()
    assert "Target missed" in text
    assert len(many) <= len(few) + 2
