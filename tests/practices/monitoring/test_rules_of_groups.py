"""Rules that wait, that compare summaries, that report on the incident; windows that move."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isthmus.ledger import reading
from isthmus.practices.change import service as changes
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Comment
from isthmus.practices.monitoring import enrichment
from isthmus.practices.monitoring.rules.classification import classify, severities_of


def rules(monitor: Any, *, reports: dict[str, str] | None = None, **rule: Any) -> None:
    given = {"name": "crashes", "match": {"alertname": "Crash"}, **rule}
    monitor.configure(monitoring={"correlation": {"rules": [given], "reports": reports or {}}})


def test_nearly_equal_summaries_share_an_incident_and_say_how_alike_they_are(monitor: Any) -> None:
    rules(monitor, similarity=85)
    monitor.send(
        monitor.event("Crash", host="a", summary="Worker 17 of queue billing crashed after 30s"),
        monitor.event("Crash", host="b", summary="Worker 4 of queue billing crashed after 45s"),
        monitor.event("Crash", host="c", summary="Certificate of the gateway expires"),
    )
    monitor.fire("Crash", host="d", summary="Worker 9 of queue billing crashed after 1s")
    assert len(monitor.incidents()) == 2
    joined = monitor.alerts(decision="joined")
    assert {each.labels["host"] for each in joined} == {"b", "d"}
    assert all("% like" in each.decision_reason for each in joined)


def test_the_leaders_of_many_groups_are_asked_for_at_once(monitor: Any) -> None:
    rules(monitor, similarity=85, by=["host"])

    def asked(*hosts: str) -> int:
        events = [monitor.event("Crash", host=host, summary="Worker crashed") for host in hosts]
        with CaptureQueriesContext(connection) as queries:
            monitor.send(*events)
        return sum("LIKE" in each["sql"] for each in queries.captured_queries)

    assert asked("a") == asked(*(f"host-{number}" for number in range(40))) == 1


def test_a_leader_of_another_spelling_leads_nobody(monitor: Any) -> None:
    rules(monitor, similarity=50, by=["host"])
    monitor.fire("Crash", host="DB", summary="Worker crashed")
    monitor.fire("Crash", host="db", summary="Worker crashed")
    keys = [each.group_key for each in monitor.alerts()]
    assert keys == ["rule:crashes|host=2:DB|~worker crashed", "rule:crashes|host=2:db|~worker crashed"]


def test_without_the_pattern_all_of_the_rule_share_it(monitor: Any) -> None:
    rules(monitor)
    monitor.send(
        *(monitor.event("Crash", host=host, summary=text) for host, text in (("a", "One"), ("b", "Other")))
    )
    assert len(monitor.incidents()) == 1


def test_the_order_of_delivery_in_a_batch_does_not_change_the_groups_of_texts(monitor: Any) -> None:
    rules(monitor, similarity=75)
    now = monitor.book.clock.now()
    texts = [
        "disk of host almost full",
        "disk of host nearly full",
        "fan of rack broken",
        "disk of hosts almost full",
    ]
    events = [
        monitor.event("Crash", host=str(place), summary=text, starts_at=now + place)
        for place, text in enumerate(texts)
    ]
    monitor.send(*reversed(events))
    found = {each.labels["host"]: each.incident for each in monitor.alerts()}
    assert found["0"] == found["1"] == found["3"] != found["2"]


def test_a_rule_that_waits_collects_before_it_opens_and_what_clears_opens_nothing(monitor: Any) -> None:
    rules(monitor, wait="PT30S", by=["site"])
    monitor.fire("Crash", host="a", site="ber")
    monitor.fire("Crash", host="b", site="ber")
    monitor.fire("Crash", host="c", site="muc")
    assert [each.decision for each in monitor.alerts()] == ["waiting"] * 3
    assert "waits 30 s" in monitor.alerts()[0].decision_reason
    monitor.clear("Crash", host="c", site="muc")
    monitor.pass_time(seconds=32)
    (incident,) = monitor.incidents()
    assert [each.incident for each in monitor.alerts(state="firing")] == [incident.id] * 2
    assert monitor.alerts(state="resolved")[0].decision == "cleared_while_waiting"


def test_the_incident_is_told_who_joined_once_per_interval_and_what_still_fires_again_and_again(
    monitor: Any,
) -> None:
    rules(monitor, reports={"interval": "PT5M", "repeat": "PT1H"})
    monitor.fire("Crash", host="a")
    for host in ("b", "c", "d"):
        monitor.fire("Crash", host=host)
    monitor.pass_time(minutes=6)
    notes = [each.body for each in Comment.objects.order_by("id")]
    assert len(notes) <= 2
    assert sum(int(each.split(" further")[0]) for each in notes) == 3, "the first one opened it"
    assert any("Crash on d" in each for each in notes)
    assert not any("Crash on a" in each for each in notes)
    monitor.pass_time(minutes=121)
    still = [each.body for each in Comment.objects.order_by("id") if "still fire" in each.body]
    assert len(still) == 2
    assert "4 alert(s) still fire" in still[0]
    for host in "abcd":
        monitor.clear("Crash", host=host)
    monitor.pass_time(minutes=300)
    assert monitor.incidents()[0].state in {"resolved", "closed"}, "the hub's notes are nobody's work"
    assert Comment.objects.count() == len(notes) + 2


def test_a_cancelled_change_lets_its_alerts_out_without_waiting_for_their_source(
    monitor: Any, world: Any
) -> None:
    change = world.authorised()
    monitor.fire(host="db")
    world.do("ada", changes.cancel, change, "Not today.")
    monitor.pass_time(seconds=1)
    assert len(monitor.incidents()) == 1


def test_an_edit_that_leaves_the_window_leaves_the_quiet(monitor: Any, world: Any) -> None:
    world.authorised()
    monitor.fire(host="db")
    monitor.pass_time(seconds=1)
    assert monitor.incidents() == []


def test_a_change_that_is_still_carried_out_after_its_window_is_flagged_and_so_are_its_alerts(
    monitor: Any, world: Any
) -> None:
    change = world.authorised()
    world.do("ada", changes.start, change)
    monitor.fire(host="db")
    monitor.pass_time(minutes=66)
    assert any("Overrun" in why.text for entry in reading.history(change.id) for why in entry.why)
    (alert,) = monitor.alerts()
    assert any("overruns" in why.text for entry in reading.history(alert.id) for why in entry.why)
    assert len(monitor.incidents()) == 1


def test_a_change_that_was_done_in_time_is_not_flagged(monitor: Any, world: Any) -> None:
    change = world.authorised()
    monitor.pass_time(minutes=66)
    assert not any("Overrun" in why.text for entry in reading.history(change.id) for why in entry.why)


@pytest.mark.parametrize(
    ("severity", "kind"),
    [
        ("informational", "informational"),
        ("warning", "warning"),
        ("error", "exception"),
        ("critical", "exception"),
        ("", "unclassified"),
        ("odd", "unclassified"),
    ],
)
def test_every_severity_has_one_of_the_kinds(severity: str, kind: str) -> None:
    assert classify(severity) == kind
    assert severity in severities_of(kind) or severity == "odd"


def test_what_is_known_around_an_alert(monitor: Any, world: Any) -> None:
    monitor.map([{"name": "db", "owner": "Ada", "criticality": "gold"}])
    world.planned()
    monitor.fire(host="db")
    monitor.fire(host="nowhere")
    known, unknown = monitor.alerts()
    found = enrichment.of(known, monitor.book.clock.now())
    assert found.item is not None
    assert (found.item.name, found.item.owner, found.item.criticality) == ("db", "Ada", "gold")
    assert found.binding.startswith("by ")
    assert [each.hops for each in found.changes] == [0]
    assert found.known_errors == ()
    nothing = enrichment.of(unknown, monitor.book.clock.now())
    assert (nothing.item, nothing.binding, nothing.changes) == (None, "not on the map", ())
    known_error = incidents.KnownError(
        id="1", number="KE-1", title="Leak", workaround="Restart", why="same item"
    )
    monitor.monkeypatch.setattr(enrichment, "_providers", [*enrichment._providers])
    enrichment.register_known_errors(lambda alert: [known_error] if alert.ci else [])
    assert enrichment.of(known, monitor.book.clock.now()).known_errors == (known_error,)
    assert enrichment.of(unknown, monitor.book.clock.now()).known_errors == ()
