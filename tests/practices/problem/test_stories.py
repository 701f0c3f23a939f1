"""Known errors, from the first incident to the retirement: what carries the workaround, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Rejected
from isthmus.ledger import reading
from isthmus.practices.incident import hooks
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Comment, Incident
from isthmus.practices.monitoring import enrichment
from isthmus.practices.problem import matching, published, service
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem


def test_published_a_new_incident_carries_workaround_and_link_until_it_is_retired(shop: Any) -> None:
    before = shop.fire(host="db")
    known = shop.known(publish=False, cis=["db"])
    draft = shop.fire("Draft", host="db")
    shop.on(known, service.publish)
    fits, other = shop.fire("Slow", host="db"), shop.fire("Slow", host="leaf")
    shop.on(known, service.retire, reason="Fixed in 4.2")
    after = shop.fire("Late", host="db")

    assert [shop.matches(each) for each in (before, draft, other, after)] == [[], [], [], []]
    (match,) = shop.matches(fits)
    assert (match.known_error, match.verdict, match.found_by) == (known.id, "proposed", "rule")
    assert "it is on db" in match.reason
    (shown,) = service.of_incident(fits)
    assert (shown.workaround, shown.link) == ("Restart the pool", "https://tracker.example/4711")
    assert shown.state == "retired", "who works on it sees that it is retired since"
    told = f"Known error {known.number} (The pool runs dry): it is on db."
    assert told in Incident.objects.get(id=fits.id).description
    assert known.number not in Incident.objects.get(id=other.id).description
    (entry,) = reading.history(match.id)
    assert list(entry.inputs) == [(known.id, KnownError.objects.get(id=known.id).version - 1)]
    assert entry.trace == fits.trace
    assert any(each.what == "known_error" and known.number in each.title for each in incidents.timeline(fits))


@pytest.mark.parametrize(
    ("names", "fits", "misses"),
    [
        ({"cis": ["db"]}, {"host": "db"}, {"host": "leaf"}),
        ({"classes": ["database"]}, {"host": "db"}, {"host": "shop-app"}),
        ({"services": ["Shop"]}, {"host": "shop-app"}, {"host": "leaf"}),
        ({"condition": "labels.pool == 'main'"}, {"host": "leaf", "pool": "main"}, {"host": "leaf", "pool": "side"}),
        ({"condition": "title.matches('(?i)pool dry')"}, {"host": "leaf", "summary": "POOL DRY"}, {"host": "leaf", "summary": "Wet"}),
        ({"cis": ["db"], "condition": "severity == 'critical'"}, {"host": "db"}, {"host": "db", "severity": "warning"}),
    ],
)  # fmt: skip
def test_items_classes_services_labels_and_texts_decide(
    shop: Any, names: Any, fits: Any, misses: Any
) -> None:
    known = shop.known(**names)
    missed, found = shop.fire("Other", **misses), shop.fire("Down", **fits)
    assert missed.id != found.id
    assert shop.matches(missed) == []
    assert [each.known_error for each in shop.matches(found)] == [known.id]


def test_an_alert_that_joins_an_incident_brings_the_known_error_that_it_fits(shop: Any) -> None:
    shop.monitor.configure(
        monitoring={
            "correlation": {"rules": [{"name": "host", "match": {}, "by": ["host"], "window": "PT1H"}]}
        }
    )
    known = shop.known(condition="labels.alertname == 'PoolDry'")
    incident = shop.fire("Slow", host="leaf")
    assert shop.matches(incident) == []
    assert shop.fire("PoolDry", host="leaf").id == incident.id
    (match,) = shop.matches(incident)
    (alert,) = [each for each in shop.monitor.alerts() if each.labels["alertname"] == "PoolDry"]
    assert (match.known_error, match.alert) == (known.id, alert.id)
    shop.fire("PoolDry", host="leaf")
    assert len(shop.matches(incident)) == 1


def test_an_edit_counts_for_later_incidents_and_only_for_those(shop: Any) -> None:
    known = shop.known(cis=["db"])
    early = shop.fire("One", host="leaf")
    shop.on(known, service.update_known_error, {"cis": ["leaf"]})
    assert shop.matches(early) == []
    late, gone = shop.fire("Two", host="leaf"), shop.fire("Three", host="db")
    assert (len(shop.matches(late)), shop.matches(gone)) == (1, [])


def test_an_incident_opened_by_hand_is_compared_too_and_again_when_its_item_is_found(shop: Any) -> None:
    known = shop.known(cis=["db"])
    values = {"title": "Nobody can pay"}
    made = shop.by("agent", lambda work: incidents.create(work, shop.organisation, values))
    assert shop.matches(made) == []
    shop.by(
        "agent", lambda work: incidents.update(work, incidents.get(work, made.id), {"ci": shop.cis["db"]})
    )
    assert [each.known_error for each in shop.matches(made)] == [known.id]
    assert Incident.objects.get(id=made.id).description == "", "what a person wrote stays as it is"


def test_no_more_than_the_limit_are_attached_the_closest_first(shop: Any) -> None:
    for _ in range(matching.MATCHES_MAX):
        shop.known(classes=["database"])
    closest = shop.known(cis=["db"])
    found = shop.matches(shop.fire(host="db"))
    assert len(found) == matching.MATCHES_MAX
    assert closest.id in {each.known_error for each in found}


def test_a_batch_costs_the_same_queries_however_many_incidents_open(shop: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    shop.monitor.map([{"name": f"host-{place}"} for place in range(30)])
    shop.known(condition="labels.alertname == 'Down'")

    def asked(first: int, count: int) -> list[str]:
        with CaptureQueriesContext(connection) as found:
            shop.monitor.send(*(shop.monitor.event(host=f"host-{first + place}") for place in range(count)))
        return [
            each["sql"]
            for each in found.captured_queries
            if "problem_known_error" in each["sql"] and "INSERT" not in each["sql"]
        ]

    shop.monitor.configure(monitoring={"times": {"wait": "PT0S"}})
    asked(0, 1)
    assert len(asked(1, 1)) == len(asked(2, 20)) <= 2
    assert KnownErrorMatch.objects.count() == 22


def test_without_known_errors_one_look_at_the_counter_is_all(shop: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    shop.monitor.configure(monitoring={"times": {"wait": "PT0S"}})
    with CaptureQueriesContext(connection) as found:
        shop.monitor.fire(host="db")
    asked = [each["sql"] for each in found.captured_queries if "problem_" in each["sql"]]
    assert len(asked) == 1
    assert "problem_known_error_revision" in asked[0]


def test_confirmed_it_lends_its_workaround_its_problem_and_a_comment(shop: Any) -> None:
    problem = shop.problem(cis=["db"])
    known = shop.known(cis=["db"], problem=problem.number)
    incident = shop.fire(host="db")
    (match,) = shop.matches(incident)
    judged = shop.judge(incident, match, "confirmed", comment="internal")
    held = Incident.objects.get(id=incident.id)
    assert (judged.verdict, judged.judged_by) == ("confirmed", "person-agent")
    assert (held.workaround, held.problem) == ("Restart the pool", problem.id)
    (comment,) = Comment.objects.filter(record=incident.id)
    assert not comment.public
    assert "Restart the pool" in comment.body
    assert known.number in comment.body
    assert [each.id for each in service.incidents_of(problem)] == [incident.id]


def test_rejected_it_stays_with_its_reason_and_is_not_offered_again(shop: Any) -> None:
    shop.known(cis=["db"])
    incident = shop.fire(host="db")
    (match,) = shop.matches(incident)
    with pytest.raises(Rejected, match="Reason is missing"):
        shop.judge(incident, match, "rejected")
    shop.judge(incident, match, "rejected", reason="The pool is full")
    shop.by(
        "agent",
        lambda work: incidents.update(work, incidents.get(work, incident.id), {"ci": shop.cis["leaf"]}),
    )
    shop.by(
        "agent", lambda work: incidents.update(work, incidents.get(work, incident.id), {"ci": shop.cis["db"]})
    )
    (still,) = shop.matches(incident)
    assert (still.verdict, still.note) == ("rejected", "The pool is full")
    assert Incident.objects.get(id=incident.id).workaround == ""
    alert = shop.monitor.alerts()[0]
    assert enrichment.of(alert, shop.monitor.book.clock.now()).known_errors == ()


def test_one_is_attached_by_hand_once_and_a_retired_one_is_not(shop: Any) -> None:
    known = shop.known()
    incident = shop.fire(host="leaf")
    assert shop.matches(incident) == [], "what names nothing fits nothing"

    def attach(work: Any) -> Any:
        found = service.known_error_of(work, known.number)
        return service.attach(work, incidents.get(work, incident.id), found, reason="Looks like it")

    shop.by("agent", attach)
    (match,) = shop.matches(incident)
    assert (match.found_by, match.verdict, match.note) == ("hand", "proposed", "Looks like it")
    with pytest.raises(Conflict, match="already"):
        shop.by("agent", attach)
    shop.judge(incident, match, "rejected", reason="No")
    shop.by("agent", attach)
    assert shop.matches(incident)[0].verdict == "proposed"
    shop.on(known, service.retire)
    with pytest.raises(Conflict, match="retired"):
        shop.by("agent", attach)


def test_a_known_error_is_declared_out_of_an_incident(shop: Any) -> None:
    incident = shop.fire(host="db")
    shop.by(
        "agent",
        lambda work: incidents.update(work, incidents.get(work, incident.id), {"workaround": "Turn it off"}),
    )

    def declare(work: Any) -> Any:
        held = incidents.get(work, incident.id)
        return service.write(
            work, {"condition": "severity == 'critical'"}, organisation=held.organisation, incident=held
        )

    made = KnownError.objects.get(id=shop.by("agent", declare).id)
    assert (made.title, made.workaround, made.state) == (incident.title, "Turn it off", "draft")
    assert made.cis == [shop.cis["db"]]
    (match,) = shop.matches(incident)
    assert (match.known_error, match.verdict) == (made.id, "confirmed")


def test_conditions_that_would_be_asked_of_every_incident_have_a_limit(shop: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(published, "OPEN_ENDED_MAX", 1)
    first = shop.known(condition="title.contains('pool')")
    second = shop.known(publish=False, condition="title.contains('queue')")
    with pytest.raises(Conflict, match="every incident already"):
        shop.on(second, service.publish)
    shop.on(first, service.update_known_error, {"condition": "title.contains('the pool')"})
    shop.on(second, service.update_known_error, {"cis": ["db"]})
    shop.on(second, service.publish)
    with pytest.raises(Conflict, match="every incident already"):
        shop.on(second, service.update_known_error, {"cis": []})
    shop.known(condition="labels.alertname == 'Slow' && title.contains('queue')")
    assert len(shop.matches(shop.fire("Down", host="leaf", summary="the pool is dry"))) == 1


def test_publishing_needs_the_right_and_something_to_do(shop: Any) -> None:
    bare = shop.known(publish=False, workaround="", link="", cis=["db"])
    with pytest.raises(Rejected, match="says what to do"):
        shop.on(bare, service.publish)
    known = shop.known(cis=["db"])
    with pytest.raises(Forbidden, match="problem:publish"):
        shop.on(known, service.update_known_error, {"workaround": "Something else"}, role="agent")
    with pytest.raises(Rejected, match="says what to do"):
        shop.on(known, service.update_known_error, {"workaround": "", "link": ""})
    assert KnownError.objects.get(id=known.id).workaround == "Restart the pool"
    draft = shop.known(publish=False)
    assert (
        shop.on(draft, service.update_known_error, {"workaround": "Better"}, role="agent").workaround
        == "Better"
    )


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"cis": ["nowhere"]}, "/cis"), ({"condition": "labels."}, "/condition"), ({"link": "javascript:x"}, "/link"),
        ({"title": ""}, "/title"), ({"state": "published"}, "/state"), ({"problem": "PRB-000099"}, "/problem"),
        ({"classes": [""]}, "/classes"), ({"services": "Shop"}, "/services"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(shop: Any, values: Any, path: str) -> None:
    with pytest.raises(Rejected) as refused:
        shop.known(publish=False, **values)
    assert path in {each.path for each in refused.value.problems}


def test_it_is_tried_on_an_incident_before_it_is_published(shop: Any) -> None:
    incident, other = shop.fire("PoolDry", host="leaf"), shop.fire("Slow", host="db")
    known = shop.known(publish=False, condition="labels.alertname == 'PoolDry'")
    alerts = {each.incident: [each] for each in shop.monitor.alerts()}
    fit = service.trial(known, incident, alerts[incident.id])
    assert fit is not None
    assert "its condition holds" in fit.reason.text
    assert service.trial(known, other, alerts[other.id]) is None
    assert KnownErrorMatch.objects.count() == 0


def test_what_one_has_said_in_a_description_fits_no_other(shop: Any) -> None:
    shop.known(cis=["db"], title="Swimming pools run dry")
    shop.known(condition="description.contains('pools')")
    incident = shop.fire(host="db")
    assert "pools" in Incident.objects.get(id=incident.id).description
    shop.by(
        "agent",
        lambda work: incidents.update(work, incidents.get(work, incident.id), {"title": "Slower"}, why=[]),
    )
    assert len(shop.matches(incident)) == 1
    shop.by(
        "agent",
        lambda work: incidents.update(
            work, incidents.get(work, incident.id), {"description": "Dry pools"}, why=[]
        ),
    )
    assert len(shop.matches(incident)) == 2, "the twin: a person says it"


def test_an_alert_without_an_incident_shows_what_fits_it(shop: Any) -> None:
    shop.monitor.configure(monitoring={"automation": {"default": "record"}})
    known = shop.known(cis=["db"])
    shop.monitor.fire(host="db")
    shop.monitor.fire(host="leaf")
    now = shop.monitor.book.clock.now()
    near, far = (enrichment.of(each, now).known_errors for each in shop.monitor.alerts())
    assert [(each.number, each.workaround) for each in near] == [(known.number, "Restart the pool")]
    assert far == ()


@pytest.mark.parametrize("verdict", ["proposed", "confirmed"])
def test_known_errors_follow_a_merge_and_come_back_with_it(shop: Any, verdict: str) -> None:
    from isthmus.practices.incident import merging

    shop.known(cis=["db"])
    into, duplicate = shop.fire("Slow", host="leaf"), shop.fire("Down", host="db")
    if verdict == "confirmed":
        (match,) = shop.matches(duplicate)
        shop.judge(duplicate, match, "confirmed")

    def merge(work: Any) -> Any:
        return merging.merge(
            work, incidents.get(work, into.id), incidents.get(work, duplicate.id), reason="Same"
        )

    merged = shop.by("agent", merge)
    assert [each.verdict for each in shop.matches(into)] == [verdict]
    assert len(shop.matches(duplicate)) == 1
    shop.by("agent", lambda work: merging.undo(work, merging.get(merged.id)))
    assert [each.verdict for each in shop.matches(into)] == ["rejected"]
    assert [each.verdict for each in shop.matches(duplicate)] == [verdict]


# Problems -----------------------------------------------------------------------------------------------------


def test_a_problem_without_cause_or_action_does_not_close(shop: Any) -> None:
    problem = shop.move(shop.problem(), service.assess)
    problem = shop.move(problem, service.resolve, resolution="A larger pool")
    with pytest.raises(Rejected, match="cause code and root cause and actions") as refused:
        shop.move(problem, service.close)
    assert {each.path for each in refused.value.problems} == {"/cause_code", "/root_cause", "/actions"}
    problem = shop.move(
        problem, service.add_action, text="Alarm on pool size", owner="Platform", due="2026-12-24"
    )
    with pytest.raises(Rejected, match="cause code and root cause"):
        shop.move(problem, service.close)
    shop.move(problem, service.update, {"cause_code": "capacity", "root_cause": "Too small a pool"})
    closed = shop.move(problem, service.close)
    assert (closed.state, closed.closed_at is not None) == ("closed", True)
    with pytest.raises(Conflict, match="cannot reopen"):
        shop.move(closed, service.reopen, reason="No")
    (action,) = service.actions_of(closed)
    settled = shop.move(closed, service.settle_action, action["id"], done=True)
    assert service.actions_of(settled)[0]["done"], "what is to be done goes on after the problem is closed"


def test_a_cause_alone_does_not_close_it_either(shop: Any) -> None:
    problem = shop.move(
        shop.problem(), service.find_cause, cause_code="config", root_cause="A wrong time-out"
    )
    assert problem.state == "root_cause_known"
    problem = shop.move(problem, service.resolve, resolution="Corrected")
    with pytest.raises(Rejected, match="lacks actions"):
        shop.move(problem, service.close)
    back = shop.move(problem, service.reopen, reason="It came back")
    assert (back.state, back.resolved_at) == ("assessed", None)


def test_a_problem_is_raised_out_of_an_incident_that_names_it_from_then_on(shop: Any) -> None:
    incident = shop.fire(host="db")

    def out_of(work: Any) -> Any:
        held = incidents.get(work, incident.id)
        return service.create(work, {}, organisation=held.organisation, incident=held)

    problem = Problem.objects.get(id=shop.by("agent", out_of).id)
    assert (problem.title, problem.cis, problem.service) == (
        incident.title,
        [shop.cis["db"]],
        shop.cis["Shop"],
    )
    assert Incident.objects.get(id=incident.id).problem == problem.id
    shop.by(
        "agent",
        lambda work: service.unlink(
            work, service.problem_of(work, problem.number), incidents.get(work, incident.id)
        ),
    )
    assert Incident.objects.get(id=incident.id).problem == ""
    with pytest.raises(NotFound):
        shop.by(
            "agent",
            lambda work: service.unlink(
                work, service.problem_of(work, problem.id), incidents.get(work, incident.id)
            ),
        )


def test_nobody_sets_the_problem_of_an_incident_past_its_practice(shop: Any) -> None:
    incident = shop.fire(host="db")
    with pytest.raises(Rejected):
        shop.by(
            "agent", lambda work: incidents.update(work, incidents.get(work, incident.id), {"problem": "x"})
        )


def test_what_belongs_to_another_organisation_is_neither_matched_nor_attached(shop: Any) -> None:
    elsewhere = shop.monitor.book.add_organisation("Elsewhere")
    there = shop.by("agent", lambda work: service.write(work, {"title": "Theirs", "workaround": "x", "condition": "true"}, organisation=elsewhere))  # fmt: skip
    shop.monitor.book.perform(lambda work: service.publish(work, service.known_error_of(work, there.id)))
    incident = shop.fire(host="db")
    assert shop.matches(incident) == []
    with pytest.raises(Rejected, match="different organisations"):
        shop.by(
            "agent",
            lambda work: service.attach(
                work, incidents.get(work, incident.id), service.known_error_of(work, there.id)
            ),
        )


def test_the_incident_page_asks_whoever_knows(shop: Any) -> None:
    shop.known(cis=["db"])
    assert [each.verdict for each in hooks.known_errors(shop.fire(host="db"))] == ["proposed"]
