"""The live board, silences and sources, as people use them; the commands beside them."""

from __future__ import annotations

import json
import time

import pytest
from typer.testing import CliRunner

from isthmus.cli import client as cli_client
from isthmus.cli.main import app
from isthmus.hub.models import ConnectionState
from isthmus.hub.observing import Seen
from isthmus.kernel.actor import system
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.practices.monitoring import index, service
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.web.console.systems import Card


def text_of(answer):
    return answer.content.decode()


def fire(desk, *hosts, name="Down", severity="critical", connection="am"):
    now = desk.book.clock.now()
    seens = [
        Seen(
            message_position=place, place=0, connection=connection, organisation=desk.book.organisation,
            observation=Observation(
                kind="alert", external=ExternalRef(connection=connection, kind="alert", key=f"k-{host}"), event_id=f"{name}{host}{now}",
                values={"state": "firing", "severity": severity, "summary": f"{name} on {host}", "labels": {"alertname": name, "host": host},
                        "starts_at": now, "external_key": f"k-{host}"},
            ),
            received_at=now, message_id="m", trace=f"{place:032x}",
        )
        for place, host in enumerate(hosts, 1)
    ]  # fmt: skip
    index.forget()
    desk.book.perform(
        lambda work: service.take(work, seens, work.now), actor=system("pump"), channel="webhook"
    )
    return list(Alert.objects.order_by("id"))


def test_the_board_says_the_decision_who_has_it_and_filters_by_the_url(desk):
    fire(desk, "web-01")
    fire(desk, "web-02", severity="informational", name="Note")
    client = desk.client("agent")
    board = text_of(client.get("/alerts"))
    assert "Down on web-01" in board
    assert "Note on web-02" in board
    assert "Opened: no open incident" in board
    only = text_of(client.get("/alerts?classification=exception&mark=nobody&connection=am"))
    assert "Down on web-01" in only
    assert "Note on web-02" not in only
    assert "No alerts here" in text_of(client.get("/alerts?mark=taken"))
    assert "No alerts here" in text_of(client.get("/alerts?mark=astray"))


def test_many_are_taken_after_a_preview_and_put_back_by_undo(desk):
    chosen = [each.id for each in fire(desk, "web-01", "web-02", "web-03")][:2]
    client = desk.client("agent")
    preview = text_of(client.post("/alerts/many", {"id": chosen, "action": "acknowledge"}))
    assert "Take: 2 alerts" in preview
    assert not Alert.objects.exclude(taken_at=None).exists(), "a preview changes nothing"
    done = text_of(
        client.post("/alerts/many", {"id": chosen, "action": "acknowledge", "confirmed": "yes"}, follow=True)
    )
    assert "2 alert(s)" in done
    assert {each.id for each in Alert.objects.exclude(taken_at=None)} == set(chosen)
    assert done.count("agent has it") == 2
    assert "Undo" in done
    client.post("/alerts/many/undo")
    assert not Alert.objects.exclude(taken_at=None).exists()
    assert "nothing to undo" in text_of(client.post("/alerts/many/undo"))


def test_undo_leaves_what_somebody_else_took_since(desk):
    chosen = [each.id for each in fire(desk, "web-01")]
    client = desk.client("agent")
    client.post("/alerts/many", {"id": chosen, "action": "acknowledge", "confirmed": "yes"})
    other = desk.client("administrator")
    other.post(f"/alerts/{chosen[0]}/do", {"action": "acknowledge"})
    client.post("/alerts/many/undo")
    assert Alert.objects.get().taken_by == "administrator"


def test_undo_of_a_putting_back_gives_nobody_what_was_not_theirs(desk):
    mine, hers = (each.id for each in fire(desk, "web-01", "web-02"))
    client, other = desk.client("agent"), desk.client("administrator")
    client.post(f"/alerts/{mine}/do", {"action": "acknowledge"})
    other.post(f"/alerts/{hers}/do", {"action": "acknowledge"})
    both = {"id": [mine, hers], "action": "unacknowledge", "confirmed": "yes"}
    client.post("/alerts/many", both)
    client.post("/alerts/many/undo")
    assert {each.id: each.taken_by for each in Alert.objects.all()} == {mine: "agent", hers: ""}

    client.post("/alerts/many", both)
    other.post(f"/alerts/{mine}/do", {"action": "acknowledge"})
    client.post("/alerts/many/undo")
    assert Alert.objects.get(id=mine).taken_by == "administrator"


def test_undo_leaves_what_was_somebodys_before(desk):
    mine, fresh = (each.id for each in fire(desk, "web-01", "web-02"))
    client = desk.client("agent")
    client.post(f"/alerts/{mine}/do", {"action": "acknowledge"})
    client.post("/alerts/many", {"id": [mine, fresh], "action": "acknowledge", "confirmed": "yes"})
    client.post("/alerts/many/undo")
    assert {each.id: each.taken_by for each in Alert.objects.all()} == {mine: "agent", fresh: ""}


def test_nothing_chosen_and_unknown_actions_are_said(desk):
    client = desk.client("agent")
    assert "Nothing was chosen" in text_of(client.post("/alerts/many", {"action": "acknowledge"}))
    assert "Choose what to do" in text_of(client.post("/alerts/many", {"action": "explode"}))


def test_a_reader_sees_no_actions_and_may_take_none(desk):
    (alert,) = fire(desk, "web-01")
    client = desk.client("viewer")
    assert "Go on…" not in text_of(client.get("/alerts"))
    for path in ("/alerts/many", "/alerts/many/undo", f"/alerts/{alert.id}/do", "/silences/create"):
        assert client.post(path, {"id": alert.id, "action": "acknowledge"}).status_code == 403, path


def test_silencing_many_leads_to_a_preview_of_what_they_share(desk):
    chosen = [each.id for each in fire(desk, "web-01", "web-02")]
    client = desk.client("agent")
    answer = client.post("/alerts/many", {"id": chosen, "action": "silence"}, follow=True)
    shown = text_of(answer)
    assert "alertname=Down" in shown
    assert "2 open alerts match, 2 of them firing" in shown
    assert not Silence.objects.exists()
    form = {
        "matchers": "alertname=Down",
        "minutes": "30",
        "comment": "Known",
        "organisation": desk.book.organisation,
    }
    assert "Silence for 30 minutes" in text_of(client.get("/silences/new", form))
    listed = text_of(client.post("/silences/create", form, follow=True))
    assert "alertname=&quot;Down&quot;" in listed
    silence = Silence.objects.get()
    ended = text_of(client.post(f"/silences/{silence.id}/expire", follow=True))
    assert "has ended" in ended
    assert "No silences here" in ended


@pytest.mark.parametrize(
    "wrong", [{"matchers": "nonsense"}, {"minutes": "0"}, {"comment": " "}, {"matchers": "host=~("}]
)
def test_a_silence_that_cannot_work_is_refused_in_words(desk, wrong):
    form = {
        "matchers": "host=web-01",
        "minutes": "30",
        "comment": "Known",
        "organisation": desk.book.organisation,
    }
    answer = desk.client("agent").post("/silences/create", {**form, **wrong}, follow=True)
    assert "flash-error" in text_of(answer)
    assert not Silence.objects.exists()


def test_the_page_of_an_alert_takes_it_and_says_so(desk):
    (alert,) = fire(desk, "db1")
    client = desk.client("agent")
    assert "Take</button>" in text_of(client.get(f"/alerts/{alert.id}"))
    assert "You have it now" in text_of(
        client.post(f"/alerts/{alert.id}/do", {"action": "acknowledge"}, follow=True)
    )
    shown = text_of(client.get(f"/alerts/{alert.id}"))
    assert "agent</span> has it since" in shown
    assert "Put back" in shown
    refused = client.post(f"/alerts/{alert.id}/do", {"action": "annotate", "comment": "Hello"}, follow=True)
    assert "was not told" in text_of(refused)


def test_sources_without_any_say_what_to_do(desk):
    assert "No source of alerts is connected" in text_of(desk.client("viewer").get("/sources"))


def test_with_ten_thousand_open_alerts_an_action_and_a_page_cost_what_they_cost_with_few(desk, queries):
    first = fire(desk, "web-01")[0]
    rows = [
        (f"i{number}", "am", f"k{number}", "critical", "firing", f"Down {number}", {"alertname": "Down", "host": f"h{number}"}, "opened",
         "Opened.", True, desk.book.clock.now())
        for number in range(10_000)
    ]  # fmt: skip
    names = (
        "identity",
        "connection",
        "external_key",
        "severity",
        "state",
        "summary",
        "labels",
        "decision",
        "decision_reason",
        "open",
        "starts_at",
    )

    def many(work):
        for each in rows:
            work.create(
                Alert, organisation=desk.book.organisation, values=dict(zip(names, each, strict=True)), why=[]
            )

    desk.book.perform(many)
    client = desk.client("agent")
    client.get("/alerts")
    started = time.process_time()
    with queries() as found:
        assert client.post(f"/alerts/{first.id}/do", {"action": "acknowledge"}).status_code == 303
    took = time.process_time() - started
    assert len(found) < 60
    with queries() as found:
        assert "Down 9999" in text_of(client.get("/alerts"))
    assert len(found) < 40
    print(f"{took * 1000:.0f} ms of processor time")
    assert took < 0.2, "the processor's time of a state change, whatever else the machine does"


class Inside:
    """The command line's transport into this very process, as one signed-in client."""

    def __init__(self, desk):
        scopes = ("alert:read", "alert:write", "incident:write", "sla:read")
        self.client = desk.client(headers={"authorization": f"Bearer {desk.token(*scopes)}"})

    def send(self, method, path, body, headers):
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = getattr(self.client, method.lower())(path, **given)
        return cli_client.Answer(
            status=answer.status_code,
            body=json.loads(answer.content or b"null"),
            headers=dict(answer.headers.items()),
        )


@pytest.fixture
def isthmus(desk, monkeypatch):
    transport = Inside(desk)
    monkeypatch.setattr(cli_client.Hub, "_choose", staticmethod(lambda: transport))

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments))

    return run


def test_the_commands_say_what_the_pages_say(desk, isthmus):
    alerts = fire(desk, "web-01", "web-02")
    listed = json.loads(isthmus("alerts", "list", "--json").stdout)
    assert {each["summary"] for each in listed} == {"Down on web-01", "Down on web-02"}
    done = isthmus("alerts", "ack", alerts[0].id, "unknown", "--json")
    assert done.exit_code == 1, "one of them does not exist"
    assert [each["status"] for each in json.loads(done.stdout)["items"]] == [200, 404]
    assert Alert.objects.get(id=alerts[0].id).taken_by
    assert json.loads(isthmus("alerts", "show", alerts[0].id, "--json").stdout)["context"]["binding"]
    assert isthmus("alerts", "unack", alerts[0].id).exit_code == 0
    assert not Alert.objects.get(id=alerts[0].id).taken_by
    tried = json.loads(
        isthmus("silences", "create", "host=~web-.*", "--comment", "x", "--dry-run", "--json").stdout
    )
    assert tried["matched"] == 2
    assert not Silence.objects.exists()
    assert isthmus("alerts", "silence", alerts[0].id, "--comment", "Known", "--label", "host").exit_code == 0
    (held,) = json.loads(isthmus("silences", "list", "--json").stdout)
    assert held["matchers"] == [{"label": "host", "op": "=", "value": "web-01"}]
    assert isthmus("silences", "expire", held["id"]).exit_code == 0
    assert Silence.objects.get().state == "expired"
    assert json.loads(isthmus("sources", "--json").stdout) == []
    assert isthmus("alerts", "silence", alerts[0].id, "--comment", "x", "--label", "nope").exit_code == 2


@pytest.mark.parametrize(
    ("silent", "status"), [("am was never heard", ("bad", "silent")), ("", ("quiet", "no traffic yet"))]
)
def test_the_card_of_a_silent_source_says_so(silent, status):
    assert (
        Card(name="am", organisation="o", state=ConnectionState(breaker="closed"), silent=silent).status()
        == status
    )
