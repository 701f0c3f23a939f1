"""Merging and splitting incidents that alerts opened: alerts follow, later ones too, and it can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.ledger import audit, reading, sealer
from isthmus.practices.incident import merging, service
from isthmus.practices.incident.models import Incident, IncidentMerge, Suspect


def again(incident: Any) -> Incident:
    found: Incident = Incident.objects.get(id=incident.id)
    return found


def pair(monitor: Any) -> tuple[Incident, Incident]:
    """Two alerts that nothing joins: two incidents."""
    monitor.fire("Disk", host="db1")
    monitor.fire("Web", host="web9")
    first, second = monitor.incidents()
    return first, second


def merged(monitor: Any, into: Incident, each: Incident, reason: str = "Same cause.") -> IncidentMerge:
    found: IncidentMerge = monitor.book.perform(
        lambda work: merging.merge(
            work, service.get(work, into.id), service.get(work, each.id), reason=reason
        ),
        actor=monitor.book.actor("agent"),
    )
    return found


def undone(monitor: Any, held: IncidentMerge) -> None:
    monitor.book.perform(
        lambda work: merging.undo(work, merging.get(held.id), reason="It was not."),
        actor=monitor.book.actor("agent"),
    )


def say(monitor: Any, incident: Incident, text: str) -> str:
    return str(
        monitor.book.perform(
            lambda work: service.comment(work, service.get(work, incident.id), text),
            actor=monitor.book.actor("agent"),
        ).id
    )


def test_alerts_and_comments_follow_with_reasons_and_the_duplicate_is_resolved_as_such(monitor):
    first, second = pair(monitor)
    say(monitor, second, "The web server hangs")
    (preview,) = merging.preview(first, [second])
    assert (preview.alerts, preview.comments, preview.refused) == (1, 1, "")
    held = merged(monitor, first, second)
    assert {each.incident for each in monitor.alerts()} == {first.id}
    assert [each.body for each in service.comments_of(first.id)] == ["The web server hangs"]
    assert second.number in service.comments_of(first.id)[0].author_label
    duplicate = again(second)
    assert (duplicate.state, duplicate.resolution_code, duplicate.merged_into) == (
        "resolved",
        "duplicate",
        first.id,
    )
    assert again(first).state == "new"
    told = [why for each in reading.history(first.id) for why in each.why if why.rule == "incident.merge"]
    assert "Same cause." in told[0].text
    assert held.moved["alerts"] == [monitor.alerts()[1].id]


def test_later_alerts_of_the_duplicates_group_go_to_the_survivor_and_open_nothing(monitor):
    first, second = pair(monitor)
    merged(monitor, first, second)
    monitor.clear("Web", host="web9")
    monitor.fire("Web", host="web9")
    assert len(monitor.incidents()) == 2
    assert again(second).state == "resolved", "the duplicate is not reopened"
    assert {each.incident for each in monitor.alerts()} == {first.id}


def test_a_chain_of_merges_leads_to_its_end(monitor):
    first, second = pair(monitor)
    monitor.fire("Cache", host="cache1")
    third = monitor.incidents()[2]
    merged(monitor, second, third)
    merged(monitor, first, second)
    monitor.clear("Cache", host="cache1")
    monitor.fire("Cache", host="cache1")
    assert len(monitor.incidents()) == 3
    assert {each.incident for each in monitor.alerts()} == {first.id}


def test_a_merge_is_taken_back_whole(monitor):
    first, second = pair(monitor)
    say(monitor, second, "Mine")
    held = merged(monitor, first, second)
    undone(monitor, held)
    assert [each.incident for each in monitor.alerts()] == [first.id, second.id]
    assert service.comments_of(first.id) == []
    assert [each.body for each in service.comments_of(second.id)] == ["Mine"]
    duplicate = again(second)
    assert (duplicate.state, duplicate.merged_into) == ("in_progress", "")
    with pytest.raises(Conflict, match="undone already"):
        undone(monitor, held)


def suspected(monitor: Any, incident: Incident, change: str, verdict: str = "proposed") -> None:
    values = {"incident": incident.id, "change": change, "hops": 1, "reason": "Near.", "verdict": verdict}
    monitor.book.perform(
        lambda work: work.create(Suspect, organisation=incident.organisation, values=values, why=[])
    )


def verdicts(incident: Incident) -> dict[str, str]:
    return {each.change: each.verdict for each in Suspect.objects.filter(incident=incident.id)}


def test_suspects_that_followed_go_with_the_merge_unless_somebody_has_judged_them_since(monitor):
    first, second = pair(monitor)
    for name, verdict in (("a", "proposed"), ("b", "confirmed"), ("c", "cleared"), ("d", "proposed")):
        suspected(monitor, second, name, verdict)
    held = merged(monitor, first, second)
    judged = Suspect.objects.get(incident=first.id, change="d")
    monitor.book.perform(lambda work: service.judge_suspect(work, judged, "confirmed"))
    undone(monitor, held)
    assert verdicts(first) == {"a": "cleared", "b": "cleared", "c": "cleared", "d": "confirmed"}
    assert verdicts(second) == {"a": "proposed", "b": "confirmed", "c": "cleared", "d": "proposed"}


def test_what_cannot_be_merged_says_why(monitor):
    first, second = pair(monitor)
    (same,) = merging.preview(first, [first])
    assert "own duplicate" in same.refused
    with pytest.raises(Rejected, match="own duplicate"):
        merged(monitor, first, first)
    merged(monitor, first, second)
    with pytest.raises(Conflict, match="merged into another already"):
        merged(monitor, first, second)
    with pytest.raises(Conflict, match="is not open"):
        merged(monitor, second, first)


def test_children_follow(monitor):
    first, second = pair(monitor)
    child = monitor.book.perform(
        lambda work: service.create(
            work, monitor.book.organisation, {"title": "A till", "parent": second.id}
        ),
        actor=monitor.book.actor("agent"),
    )
    held = merged(monitor, first, second)
    assert again(child).parent == first.id
    undone(monitor, held)
    assert again(child).parent == second.id


def split_off(monitor: Any, incident: Incident, **more: Any) -> IncidentMerge:
    found: IncidentMerge = monitor.book.perform(
        lambda work: merging.split(
            work, service.get(work, incident.id), title="Something else", reason="Two causes.", **more
        ),
        actor=monitor.book.actor("agent"),
    )
    return found


def test_a_split_takes_its_alerts_along_and_comes_back(monitor):
    first, second = pair(monitor)
    merged(monitor, first, second)
    alert = monitor.alerts()[1]
    said = say(monitor, first, "This is about the web server")
    held = split_off(monitor, first, alerts=[alert.id], comment_ids=[said])
    made = Incident.objects.get(id=held.other)
    assert (made.title, made.state) == ("Something else", "new")
    assert [each.incident for each in monitor.alerts()] == [first.id, made.id]
    assert [each.body for each in service.comments_of(made.id)] == ["This is about the web server"]
    undone(monitor, held)
    assert {each.incident for each in monitor.alerts()} == {first.id}
    assert again(made).state == "cancelled"


def test_a_split_of_nothing_or_of_another_incidents_alert_changes_nothing(monitor):
    first, _ = pair(monitor)
    with pytest.raises(Rejected, match="takes something along"):
        split_off(monitor, first, alerts=[])
    with pytest.raises(NotFound, match="not on this incident"):
        split_off(monitor, first, alerts=[monitor.alerts()[1].id])
    assert len(monitor.incidents()) == 2


def test_a_split_that_was_worked_on_is_merged_back_instead(monitor):
    first, _ = pair(monitor)
    held = split_off(monitor, first, alerts=[monitor.alerts()[0].id])
    monitor.book.perform(
        lambda work: service.update(work, service.get(work, held.other), {"state": "in_progress"}),
        actor=monitor.book.actor("agent"),
    )
    with pytest.raises(Conflict, match="has been worked on"):
        undone(monitor, held)
    assert monitor.alerts()[0].incident == held.other


def test_the_book_of_merges_verifies(monitor):
    first, second = pair(monitor)
    undone(monitor, merged(monitor, first, second))
    split_off(monitor, first, alerts=[monitor.alerts()[0].id])
    sealer.seal_once(monitor.book.clock.now())
    report = audit.verify_store()
    assert report.ok, report.findings
