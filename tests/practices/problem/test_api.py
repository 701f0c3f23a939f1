"""Problems and known errors over HTTP: rights, versions, one answer per fault, and what an incident carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from isthmus.hub.http import limits
from isthmus.identity import tokens
from isthmus.ledger import scope
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import service

ALL = ("incident:read", "incident:write", "problem:read", "problem:write", "problem:publish")
Ask = Callable[..., Any]


@pytest.fixture
def ask(shop: Any) -> Callable[..., Ask]:
    """`ask("problem:read")` answers calls of a program with these scopes."""

    def with_scopes(*scopes: str, organisation: str = "") -> Ask:
        where = organisation or shop.organisation
        secret = shop.monitor.book.perform(
            lambda work: tokens.issue(work, organisation=where, name="probe", scopes=scopes)[1],
            actor=shop.monitor.book.actor("administrator", organisation=where),
        )
        client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {secret}"})

        def call(method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
            limits.limiter.__init__()  # type: ignore[misc]
            with scope.within(()):
                sent = "" if body is None else json.dumps(body)
                answer = client.generic(
                    method, f"/api/v1{path}", sent, content_type="application/json", headers=headers
                )
            assert answer.status_code == status, answer.content
            return answer.json()

        return call

    tokens.forget()
    return with_scopes


def test_a_known_error_is_written_tried_published_carried_judged_and_retired(shop: Any, ask: Any) -> None:
    call = ask(*ALL)
    body = {
        "title": "The pool runs dry",
        "workaround": "Restart it",
        "link": "https://tracker.example/1",
        "cis": ["db"],
    }
    made = call("POST", "/known-errors", body, status=201)
    assert (made["number"], made["state"], made["moves"]) == ("KE-000001", "draft", ["publish", "retire"])
    early = shop.fire("Early", host="db")
    tried = call("GET", f"/known-errors/{made['number']}/trial?incident={early.number}")
    assert tried["fits"]
    assert "db" in tried["reason"]
    call("POST", f"/known-errors/{made['id']}/publish")
    fits, other = shop.fire("Down", host="db"), shop.fire("Down", host="leaf")
    (carried,) = call("GET", f"/incidents/{fits.number}/known-errors")["items"]
    assert (carried["workaround"], carried["link"], carried["verdict"]) == (
        "Restart it",
        "https://tracker.example/1",
        "proposed",
    )
    for incident in (early, other):
        assert call("GET", f"/incidents/{incident.id}/known-errors")["items"] == []
    assert not call("GET", f"/known-errors/{made['id']}/trial?incident={other.id}")["fits"]
    path = f"/incidents/{fits.id}/known-errors/{carried['match']}"
    call("POST", path, {"verdict": "rejected"}, status=422)
    call("POST", path, {"verdict": "confirmed", "comment": "loud"}, status=422)
    call("POST", path, {"verdict": "perhaps"}, status=422)
    assert call("POST", path, {"verdict": "confirmed", "comment": "public"})["verdict"] == "confirmed"
    (comment,) = call("GET", f"/incidents/{fits.id}/comments")["items"]
    assert comment["public"]
    assert call("GET", f"/incidents/{fits.id}")["workaround"] == "Restart it"
    call(
        "POST", f"/incidents/{other.id}/known-errors/{carried['match']}", {"verdict": "confirmed"}, status=404
    )
    assert call("POST", f"/known-errors/{made['id']}/retire", {"reason": "Fixed"})["state"] == "retired"
    assert call("GET", f"/incidents/{shop.fire('Late', host='db').id}/known-errors")["items"] == []
    (match,) = call("GET", f"/known-errors/{made['id']}/matches")["items"]
    assert match["record"] == fits.id
    told = call("GET", f"/incidents/{fits.id}/timeline")["items"]
    assert "known_error" in {each["what"] for each in told}


def test_one_is_attached_by_hand_and_declared_out_of_an_incident(shop: Any, ask: Any) -> None:
    call = ask(*ALL)
    incident = shop.fire(host="leaf")
    declared = call(
        "POST", "/known-errors", {"incident": incident.number, "workaround": "Kick it"}, status=201
    )
    assert (declared["title"], declared["cis"]) == (incident.title, [shop.cis["leaf"]])
    other = shop.fire("Other", host="db")
    attached = call(
        "POST", f"/incidents/{other.id}/known-errors", {"known_error": declared["number"]}, status=201
    )
    assert (attached["found_by"], attached["record"]) == ("hand", other.id)
    call("POST", f"/incidents/{other.id}/known-errors", {"known_error": declared["number"]}, status=409)
    call("POST", f"/incidents/{other.id}/known-errors", {"known_error": "KE-000099"}, status=404)


def test_a_problem_goes_its_way_and_does_not_close_without_its_analysis(shop: Any, ask: Any) -> None:
    call = ask(*ALL)
    incident = shop.fire(host="db")
    problem = call("POST", "/problems", {"incident": incident.number, "priority": "2"}, status=201)
    assert (problem["number"], problem["state"], problem["cis"]) == ("PRB-000001", "new", [shop.cis["db"]])
    path = f"/problems/{problem['id']}"
    assert [each["id"] for each in call("GET", f"{path}/incidents")["items"]] == [incident.id]
    assert [each["id"] for each in call("GET", f"/incidents?problem={problem['id']}")["items"]] == [
        incident.id
    ]
    call("POST", f"{path}/moves/close", status=409)
    call("POST", f"{path}/moves/dance", status=404)
    call("POST", f"{path}/moves/find-cause", {"cause_code": "capacity"}, status=422)
    known = call("POST", f"{path}/moves/find-cause", {"cause_code": "capacity", "root_cause": "Too small"})
    assert known["state"] == "root_cause_known"
    call("POST", f"{path}/moves/resolve", {"resolution": "Enlarged"})
    refused = call("POST", f"{path}/moves/close", status=422)
    assert [each["pointer"] for each in refused["errors"]] == ["/actions"]
    call("POST", f"{path}/actions", {"text": "Alarm", "owner": "Ann", "due": "soon"}, status=422)
    held = call("POST", f"{path}/actions", {"text": "Alarm", "owner": "Ann", "due": "2026-12-24"}, status=201)
    (action,) = held["actions"]
    assert (action["due"], action["done"]) == ("2026-12-24", False)
    assert call("POST", f"{path}/actions/{action['id']}", {"done": True})["actions"][0]["done_at"]
    assert call("POST", f"{path}/moves/close")["state"] == "closed"
    call("PATCH", path, {"title": "x"}, status=409)
    assert call("GET", "/problems?open=true")["items"] == []
    assert len(call("GET", "/problems?state=closed,new")["items"]) == 1
    wrong = call("GET", "/problems?state=closed,bogus", status=422)
    assert [each["pointer"] for each in wrong["errors"]] == ["/query/state"]


def test_incidents_are_linked_and_unlinked(shop: Any, ask: Any) -> None:
    call = ask(*ALL)
    problem, incident = shop.problem(), shop.fire(host="leaf")
    linked = call("POST", f"/problems/{problem.number}/incidents", {"incident": incident.number}, status=201)
    assert linked["problem"] == problem.id
    assert call("DELETE", f"/problems/{problem.id}/incidents/{incident.id}")["problem"] == ""
    call("DELETE", f"/problems/{problem.id}/incidents/{incident.id}", status=404)


def test_an_edit_of_what_another_has_changed_is_refused(shop: Any, ask: Any) -> None:
    call = ask(*ALL)
    problem = shop.problem()
    call("PATCH", f"/problems/{problem.id}", {"title": "New"}, **{"if-match": f'"{problem.id}-1"'})
    call(
        "PATCH", f"/problems/{problem.id}", {"title": "Old"}, status=412, **{"if-match": f'"{problem.id}-1"'}
    )
    assert call("GET", f"/problems/{problem.id}")["title"] == "New"


def test_each_right_opens_its_own_doors(shop: Any, ask: Any) -> None:
    known = shop.known(publish=False, cis=["db"])
    reader, writer, publisher = ask("problem:read"), ask("problem:read", "problem:write"), ask(*ALL)
    reader("GET", f"/known-errors/{known.id}")
    reader("PATCH", f"/known-errors/{known.id}", {"title": "x"}, status=403)
    reader("POST", "/problems", {"title": "x"}, status=403)
    carried = shop.fire(host="leaf")
    shop.by(
        "agent",
        lambda work: service.attach(
            work, incidents.get(work, carried.id), service.known_error_of(work, known.id)
        ),
    )
    assert reader("GET", f"/known-errors/{known.id}/matches")["items"] == []
    reader("GET", f"/known-errors/{known.id}/trial?incident={carried.id}", status=403)
    assert len(ask(*ALL)("GET", f"/known-errors/{known.id}/matches")["items"]) == 1
    writer("POST", f"/known-errors/{known.id}/publish", status=403)
    writer("PATCH", f"/known-errors/{known.id}", {"title": "Better"})
    publisher("POST", f"/known-errors/{known.id}/publish")
    writer("PATCH", f"/known-errors/{known.id}", {"title": "x"}, status=403)
    writer("POST", f"/known-errors/{known.id}/retire", status=403)
    ask("incident:read")("GET", "/problems", status=403)


def test_another_organisations_records_do_not_exist(shop: Any, ask: Any) -> None:
    elsewhere = shop.monitor.book.add_organisation("Elsewhere")
    known, problem, incident = shop.known(cis=["db"]), shop.problem(), shop.fire(host="db")
    call = ask(*ALL, organisation=elsewhere)
    for path in (
        f"/known-errors/{known.number}",
        f"/problems/{problem.id}",
        f"/incidents/{incident.id}/known-errors",
    ):
        call("GET", path, status=404)
    call("POST", "/known-errors", {"title": "x", "problem": problem.id}, status=404)
    call("POST", "/known-errors", {"title": "x", "cis": [shop.cis["db"]]}, status=422)
    assert call("GET", "/problems")["items"] == call("GET", "/known-errors")["items"] == []
