"""The API of desks: ledger, answers, waits, merges, reviews, known errors; what one organisation sees of another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from isthmus.hub.http import limits
from isthmus.identity import tokens
from isthmus.ledger import scope
from isthmus.practices.incident import hooks, service
from isthmus.practices.incident.models import Incident, IncidentMerge, TriggerHandover


class Caller:
    """A program of one organisation, with a token; it sees what its organisation sees."""

    def __init__(self, desk: Any, organisation: str, name: str) -> None:
        token = desk.book.perform(
            lambda work: tokens.issue(
                work, organisation=organisation, name=name, scopes=["incident:read", "incident:write"]
            )[1],
            actor=desk.book.actor("administrator", organisation=organisation),
        )
        self.client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {token}"})

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        limits.limiter.__init__()
        with scope.within(()):
            answer = self.client.generic(
                method,
                f"/api/v1{path}",
                json.dumps(body) if body is not None else "",
                content_type="application/json",
            )
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def two(desk: Any) -> Iterator[Any]:
    tokens.forget()
    desk.vendor = desk.book.add_organisation("Vendor")
    desk.apply(
        desks={
            "service-desk": {"members": ["ours"]}, "vendor": {"members": ["theirs"], "organisation": "Vendor"},
            "operations": {"members": ["otto"]},
        },
        forwarding={"contracts": [{"name": "support", "from": ["service-desk"], "to": ["vendor"]}]},
        incident={"major": {"triggers": {"resolve": "operations"}}},
    )  # fmt: skip
    ours_at = desk.book.add_organisation("Ours")
    desk.ours, desk.theirs = Caller(desk, ours_at, "ours"), Caller(desk, desk.vendor, "theirs")
    yield desk
    tokens.forget()


def opened(desk: Any, title: str = "Till 4 is down") -> Any:
    return desk.ours.ask("POST", "/incidents", {"title": title}, status=201)


def test_forwarded_and_answered_over_the_api_both_see_one_ledger(two):
    incident = opened(two)
    offered = two.ours.ask(
        "POST", f"/incidents/{incident['id']}/forward", {"to": "vendor", "reason": "Please"}, status=201
    )
    assert (offered["state"], offered["giver"]) == ("offered", "service-desk")
    (seen,) = two.theirs.ask("GET", "/custody?state=offered")["items"]
    assert seen["id"] == offered["id"]
    two.ours.ask("POST", f"/custody/{offered['id']}/accept", {}, status=403)
    two.theirs.ask("POST", f"/custody/{offered['id']}/accept", {})
    (own,) = two.theirs.ask("GET", "/incidents")["items"]
    ledgers = [
        two.ours.ask("GET", f"/incidents/{incident['id']}/custody"),
        two.theirs.ask("GET", f"/incidents/{own['id']}/custody"),
    ]
    assert [each["holder"] for each in ledgers] == ["vendor", "vendor"]
    assert [each["party"] for each in ledgers[0]["intervals"]] == ["service-desk", "vendor"]
    assert ledgers[0]["intervals"][0] == ledgers[1]["intervals"][0]
    two.theirs.ask("POST", f"/custody/{offered['id']}/hand-back", {"reason": "Repaired"})
    assert two.ours.ask("GET", f"/incidents/{incident['id']}/custody")["holder"] == "service-desk"
    two.theirs.ask("POST", f"/custody/{offered['id']}/hand-back", {"reason": "Again"}, status=409)


def test_neither_organisation_sees_the_others_incident(two):
    incident = opened(two)
    offered = two.ours.ask(
        "POST", f"/incidents/{incident['id']}/forward", {"to": "vendor", "reason": "Please"}, status=201
    )
    (own,) = two.theirs.ask("GET", "/incidents")["items"]
    two.theirs.ask("GET", f"/incidents/{incident['id']}", status=404)
    two.ours.ask("GET", f"/incidents/{own['id']}", status=404)
    shown = two.theirs.ask("GET", f"/incidents/{own['id']}/custody")
    assert shown["case"] == ""
    assert incident["id"] not in json.dumps(shown), "the ledger names desks, not the other's incident"
    ours = two.ours.ask("GET", f"/incidents/{incident['id']}/custody")
    assert own["id"] not in json.dumps(ours)
    assert offered["reason"] == "Please"


def test_what_waits_is_summed_by_whom_it_waits_for(two):
    for number in range(2):
        incident = opened(two, f"Till {number}")
        two.ours.ask(
            "POST", f"/incidents/{incident['id']}/forward", {"to": "vendor", "reason": "Please"}, status=201
        )
    for by, name in (("workflow", "custody_offer"), ("partner", "vendor"), ("owner", "service-desk")):
        (group,) = two.ours.ask("GET", f"/waits/summary?by={by}")["items"]
        assert (group[by], group["count"], group["overdue"]) == (name, 2, 0)
    two.book.clock.forward(minutes=31)
    assert two.ours.ask("GET", "/waits/summary")["items"][0]["overdue"] == 2
    found = two.ours.ask("GET", "/waits?overdue=true")["items"]
    assert [each["age_seconds"] >= 31 * 60 for each in found] == [True, True]
    assert two.theirs.ask("GET", "/waits")["items"] == []


def test_a_refused_trigger_is_on_record_though_nothing_happened(two):
    incident = opened(two)
    two.ours.ask("POST", f"/incidents/{incident['id']}/major", {"owner": "service-desk"})
    refused = two.ours.ask(
        "POST", f"/incidents/{incident['id']}/resolve", {"code": "a", "notes": "b"}, status=403
    )
    assert "operations" in refused["detail"]
    shown = two.ours.ask("GET", f"/incidents/{incident['id']}/procedure")
    assert [each["trigger"] for each in shown["handovers"]] == ["resolve"]
    assert shown["procedure"]["triggers"]["resolve"] == "operations"
    asked = TriggerHandover.objects.get()
    path = f"/incidents/{incident['id']}/procedure/handovers/{asked.id}/keep"
    two.ours.ask("POST", path, {}, status=403)
    Caller(two, incident["organisation"], "otto").ask("POST", path, {})
    two.ours.ask("POST", f"/incidents/{incident['id']}/procedure/handovers/{'0' * 26}/keep", {}, status=404)


def test_many_are_merged_each_by_itself_after_a_dry_run(two):
    into, first, second = (opened(two, title) for title in ("One", "Two", "Three"))
    body = {
        "incidents": [first["number"], into["number"], second["id"], "INC-999999"],
        "reason": "Same switch",
    }
    seen = two.ours.ask("POST", f"/incidents/{into['id']}/merge", {**body, "dry_run": True})["items"]
    assert [bool(each.get("preview", {}).get("refused")) for each in seen] == [False, True, False, False]
    assert IncidentMerge.objects.count() == 0
    done = two.ours.ask("POST", f"/incidents/{into['id']}/merge", body)["items"]
    assert [each["status"] for each in done] == [200, 422, 200, 404]
    assert Incident.objects.filter(merged_into=into["id"]).count() == 2
    (newest, _) = two.ours.ask("GET", f"/incidents/{into['id']}/merges")["items"]
    two.ours.ask("POST", f"/incidents/{into['id']}/merges/{newest['id']}/undo", {"reason": "No"})
    assert Incident.objects.filter(merged_into=into["id"]).count() == 1


def test_another_organisations_incident_cannot_be_merged(two):
    mine = opened(two)
    other = two.theirs.ask("POST", "/incidents", {"title": "Theirs"}, status=201)
    (found,) = two.ours.ask("POST", f"/incidents/{mine['id']}/merge", {"incidents": [other["id"]]})["items"]
    assert found["status"] == 404
    assert Incident.objects.get(id=other["id"]).merged_into == ""


def test_known_errors_come_from_whoever_knows_them(two, monkeypatch):
    incident = opened(two)
    assert two.ours.ask("GET", f"/incidents/{incident['id']}/known-errors")["items"] == []
    known = hooks.KnownError(id="1", number="KE-1", title="The till forgets", workaround="Restart it")
    monkeypatch.setattr(hooks, "_errors", [lambda each: [known] if "Till" in each.title else []])
    (found,) = two.ours.ask("GET", f"/incidents/{incident['id']}/known-errors")["items"]
    assert found["workaround"] == "Restart it"
    other = opened(two, "Printer")
    assert two.ours.ask("GET", f"/incidents/{other['id']}/known-errors")["items"] == []


def test_a_step_that_is_no_step_is_refused(two):
    incident = opened(two)
    two.ours.ask("PATCH", f"/incidents/{incident['id']}", {"steps": [{"text": "Looked", "done": True}]})
    for wrong in ([{"text": "x"}], [{"text": "", "done": True}], [{"text": "x", "done": "yes"}]):
        two.ours.ask("PATCH", f"/incidents/{incident['id']}", {"steps": wrong}, status=422)
    assert service.Incident.objects.get(id=incident["id"]).steps == [{"text": "Looked", "done": True}]
