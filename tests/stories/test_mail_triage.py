"""Mail that says too little opens nothing: it waits with its raw text, and a person makes exactly one incident of it."""

import pytest
from tests.stories import world as worlds

from isthmus.connectors.mail.simulator import MailSimulator
from isthmus.hub.intake import shared
from isthmus.hub.models import Due, ParkedMessage
from isthmus.hub.pump import completing, parking
from isthmus.kernel.errors import Rejected
from isthmus.practices.incident.models import Comment

WHOLE = "Title: Checkout is slow\nImpact: high\nUrgency: 1\nDescription: It is slow since ten."
SECRET = "Nobody but Zacharias Testament may pay."


@pytest.fixture
def desk():
    return MailSimulator()


@pytest.fixture
def world(book, monkeypatch, desk):
    monkeypatch.setenv("MAIL_TOKEN", desk.secret)
    with worlds.opened(book, monkeypatch, systems=()) as world:
        world.apply(
            connections={"desk": {"connector": "mail", "config": desk.config("")}},
            sync={
                "incident": {
                    "owner": "Desk lead",
                    "system_of_record": "hub",
                    "connections": {"desk": {"direction": "in"}},
                }
            },
            routes=[],
        )
        yield world


def handed_over(world, desk, raw):
    status = world.post("/mail/desk", raw, token=desk.secret)
    world.settle()
    return status


def test_a_mail_that_says_everything_is_one_incident_however_often_it_comes(world, desk):
    raw = desk.write("Help", WHOLE)
    assert [handed_over(world, desk, raw) for _ in range(2)] == [202, 202]
    incident = world.incident()
    assert (incident.title, incident.impact, incident.urgency) == ("Checkout is slow", "2", "1")
    assert incident.description == "It is slow since ten."


def test_with_one_label_less_it_is_no_incident_until_a_person_completes_it(world, desk):
    raw = desk.write("Help", WHOLE.replace("Impact: high\n", f"{SECRET}\n"))
    assert handed_over(world, desk, raw) == 202
    assert world.incidents() == []
    row = ParkedMessage.objects.get(state="parked")
    assert [each["path"] for each in row.problems] == ["/impact"]
    assert completing.raw(shared.log(), row).body == raw
    assert [each.name for each in completing.fields_of(row) if each.asked] == ["impact"]

    for wrong in ({}, {"impact": "gigantic"}, {"state": "closed"}):
        with pytest.raises(Rejected):
            world.do(
                "agent",
                lambda work, wrong=wrong: parking.redrive(work, row.id, completing.checked(row, wrong)),
            )
    world.do("agent", lambda work: parking.redrive(work, row.id, completing.checked(row, {"impact": "2"})))
    waiting = Due.objects.get(what=parking.REDRIVE)
    assert "2" not in str(waiting.payload["given"])[:4]
    assert "impact" not in str(waiting.payload), "what a person gave waits sealed"
    world.settle()
    incident = world.incident()
    assert (incident.title, incident.impact) == ("Checkout is slow", "2")
    assert ParkedMessage.objects.get(id=row.id).state == "redriven"
    assert handed_over(world, desk, raw) == 202
    assert len(world.incidents()) == 1


def test_a_mail_that_still_says_too_little_stays_with_its_new_cause(world, desk):
    handed_over(world, desk, desk.write("Help", "Please help"))
    row = ParkedMessage.objects.get(state="parked")
    world.do("agent", lambda work: parking.redrive(work, row.id, completing.checked(row, {"impact": "2"})))
    world.settle()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("parked", 2)
    assert [each["path"] for each in row.problems] == ["/urgency"]
    assert world.incidents() == []


def test_an_answer_becomes_a_comment_on_the_incident_of_its_thread(world, desk):
    raw = desk.write("Help", WHOLE)
    handed_over(world, desk, raw)
    thread = next(line for line in raw.decode().splitlines() if line.startswith("Message-ID")).partition("<")[
        2
    ][:-1]
    handed_over(world, desk, desk.write("Re: Help", "It works again.", In_Reply_To=f"<{thread}>"))
    assert world.incident().title == "Checkout is slow"
    assert [each.body for each in Comment.objects.filter(record=world.incident().id)] == ["It works again."]


def test_who_is_not_proved_opens_nothing_and_leaves_nothing(world, desk):
    forged = desk.write("Help", WHOLE, Authentication_Results="mx.example.test; dmarc=fail")
    assert handed_over(world, desk, forged) == 403
    assert handed_over(world, desk, desk.write("Help", WHOLE, Auto_Submitted="auto-replied")) == 202
    assert world.incidents() == []
    assert not ParkedMessage.objects.exists()
