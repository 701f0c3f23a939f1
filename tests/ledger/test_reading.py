"""Both time axes, the journal, traces, and what a scope may see."""

from __future__ import annotations

import pytest
from tests.ledger.conftest import WHY, change, open_incident

from isthmus.kernel.errors import Bug, Rejected
from isthmus.kernel.instant import HOUR, MINUTE
from isthmus.ledger import organisations, reading, scope
from isthmus.ledger.models import Organisation, Share
from isthmus.ledger.reading import JournalFilter, as_of, by_trace, history, journal
from isthmus.practices.incident.models import Incident


def test_as_of_what_was_known_and_as_of_what_had_happened(book):
    start = book.clock.now()
    made = open_incident(book)
    book.clock.forward(hours=2)

    # Learned two hours later: it was already in progress one hour in, with a smaller impact since then.
    def late(work):
        return work.change(
            Incident.objects.get(id=made.id), {"state": "in_progress"}, why=WHY, occurred_at=start + HOUR
        )

    book.perform(late)
    known = as_of(Incident, made.id, recorded=start + 90 * MINUTE)
    happened = as_of(Incident, made.id, occurred=start + 90 * MINUTE)
    assert (known["state"], happened["state"]) == ("new", "in_progress")
    assert (
        as_of(Incident, made.id, occurred=start + 90 * MINUTE, recorded=start + 90 * MINUTE)["state"] == "new"
    )
    assert as_of(Incident, made.id, recorded=start - 1) is None


def test_late_news_of_an_earlier_edit_does_not_undo_a_later_one(book):
    start = book.clock.now()
    made = open_incident(book)

    def at(state, when):
        book.perform(
            lambda work: work.change(
                Incident.objects.get(id=made.id), {"state": state}, why=WHY, occurred_at=when
            )
        )

    at("resolved", start + 3 * HOUR)
    at("on_hold", start + 2 * HOUR)
    assert as_of(Incident, made.id, occurred=start + 2 * HOUR)["state"] == "on_hold"
    assert as_of(Incident, made.id, occurred=start + 4 * HOUR)["state"] == "resolved"
    assert Incident.objects.get(id=made.id).state == "on_hold"


def test_as_of_now_equals_the_projection(book):
    made = open_incident(book, extra={"a": 1}, major=True)
    change(book, made, {"tags": [], "impact": "", "extra": None})
    read, then = Incident.objects.get(id=made.id), as_of(Incident, made.id)
    for each in (
        "title",
        "state",
        "impact",
        "tags",
        "extra",
        "major",
        "ci",
        "closed_at",
        "version",
        "number",
    ):
        assert then[each] == getattr(read, each), each


def test_history_tells_everything_about_an_entry(book):
    actor = book.actor("agent", name="ada")
    made = book.perform(
        lambda work: work.create(
            Incident, organisation=book.organisation, values={"title": "x"}, why=WHY, cause="message-7", occurred_at=5,
            inputs=[("rec", 3)], versions={"mapping": "2"}, zone="+02:00", assumed_error=1_000,
        ),
        actor=actor, channel="webhook", trace="a" * 32,
    )  # fmt: skip
    (entry,) = history(made.id)
    assert (entry.actor, entry.channel, entry.cause, entry.trace) == ("ada", "webhook", "message-7", "a" * 32)
    assert (entry.occurred_at, entry.zone, entry.assumed_error) == (5, "+02:00", 1_000)
    assert (entry.inputs, entry.versions, entry.why) == ([("rec", 3)], {"mapping": "2"}, WHY)
    assert by_trace("a" * 32) == [entry]
    assert reading.entry(entry.id) == entry
    assert reading.entry("nothing") is None


def test_the_journal_pages_without_gap_or_double(book):
    made = [open_incident(book, f"n{n}").id for n in range(7)]
    filters = JournalFilter(kind="incident")
    seen, cursor = [], ""
    while True:
        page = journal(filters, cursor, 3)
        seen += [each.record for each in page.entries]
        cursor = page.cursor
        if not cursor:
            break
    assert seen == made[::-1]
    assert journal(JournalFilter(record=made[2])).entries[0].record == made[2]
    assert journal(JournalFilter(actor="nobody")).entries == []
    assert journal(JournalFilter(since=book.clock.now())).entries == []
    with pytest.raises(Rejected):
        journal(filters, "no cursor")


def test_nothing_is_read_outside_a_scope(book):
    import contextvars

    def outside():
        for read in (
            Incident.objects.all,
            lambda: history("x"),
            lambda: journal(JournalFilter()),
            lambda: by_trace("x"),
        ):
            with pytest.raises(scope.OutsideScope):
                list(read())

    contextvars.Context().run(outside)


def test_two_organisations_see_their_own_only(book):
    other = book.add_organisation("Customer")
    mine, theirs = open_incident(book), open_incident(book, organisation=other)
    with scope.within({other}):
        assert [each.id for each in Incident.objects.all()] == [theirs.id]
        assert not Incident.objects.filter(id=mine.id).exists()
        assert history(mine.id) == []
        assert len(history(theirs.id)) == 1
        assert {each.organisation for each in journal(JournalFilter()).entries} == {other}
        assert [each.id for each in Organisation.objects.all()] == [other]
        assert as_of(Incident, mine.id) is None


def test_a_share_shows_one_record_and_its_end_hides_it_again(book):
    other = book.add_organisation("Customer")
    mine, hidden = open_incident(book), open_incident(book)
    values = {"shared_kind": "incident", "shared_record": mine.id, "shared_with": other, "view": "read"}
    share = book.perform(
        lambda work: work.create(Share, organisation=book.organisation, values=values, why=WHY)
    )
    with scope.within({other}):
        assert [each.id for each in Incident.objects.all()] == [mine.id]
        assert len(history(mine.id)) == 1
        assert history(hidden.id) == []
    change(book, share, {"view": ""})
    with scope.within({other}):
        assert not Incident.objects.exists()


def test_the_tree_of_organisations(book):
    child = book.add_organisation("Child")
    grandchild = book.perform(lambda work: organisations.create(work, name="Grandchild", parent=child)).id
    book.add_organisation("Sibling")
    assert organisations.lineage(grandchild) == [grandchild, child, book.organisation]
    assert organisations.descendants({child}) == {child, grandchild}
    assert len(organisations.descendants({book.organisation})) == 4
    assert organisations.ensure_root("Again") == book.organisation


def test_a_scope_is_never_everything_by_accident(book):
    with pytest.raises(Bug), scope.within({"*"}):
        pass
    with scope.within(set()):
        assert not Organisation.objects.exists()
