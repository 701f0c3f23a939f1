"""What builders rely on when they write: one entry per record and transaction, versions, numbers, side rows."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections
from tests.ledger.conftest import WHY, change, open_incident, seal

from isthmus.kernel.errors import Bug, Conflict
from isthmus.kernel.record import Reason
from isthmus.ledger import audit, scope
from isthmus.ledger import work as work_module
from isthmus.ledger.door import register_committed
from isthmus.ledger.models import Entry, Number, Progress, SearchToken, SystemEvent
from isthmus.ledger.reading import history
from isthmus.ledger.records import WrittenOutsideWork
from isthmus.ledger.schema import models_by_kind
from isthmus.ledger.work import StaleRecord
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring.models import Alert


def test_a_created_record_has_one_entry_and_reads_as_it_was_written(book):
    made = open_incident(book, "Ärger \N{FIRE}", extra={"a": [1, {"b": None}]}, major=True)
    read = Incident.objects.get(id=made.id)
    assert (read.title, read.extra, read.major, read.tags) == (
        "Ärger \N{FIRE}",
        {"a": [1, {"b": None}]},
        True,
        ["a", "b"],
    )
    assert (made.title, made.extra, made.version, made.number) == (read.title, read.extra, 1, read.number)
    assert Entry.objects.filter(record=made.id).count() == 1


def test_only_differing_fields_are_journalled(book):
    made = open_incident(book)
    changed = change(
        book, made, {"state": "new", "impact": "1", "tags": ["b", "a", "a"], "title": "Printer on fire"}
    )
    assert changed.version == 2
    assert history(made.id)[1].changes == {"impact": ("2", "1")}


def test_no_difference_is_no_entry(book):
    made = open_incident(book)
    assert change(book, made, {"state": "new", "description": None}).version == 1
    assert len(history(made.id)) == 1


def test_several_changes_in_one_work_are_one_entry(book):
    made = open_incident(book)

    def act(work):
        record = Incident.objects.get(id=made.id)
        work.change(record, {"state": "in_progress", "title": "One"}, why=WHY)
        work.change(record, {"state": "on_hold", "title": "Two"}, why=[Reason(rule="second", text="Again.")])
        work.note(
            record, why=[Reason(rule="third", text="Noted.")], inputs=[("other", 4)], versions={"rule": "7"}
        )
        return record

    record = book.perform(act)
    last = history(made.id)[-1]
    assert (record.version, last.version) == (2, 2)
    assert last.changes == {"state": ("new", "on_hold"), "title": ("Printer on fire", "Two")}
    assert [each.rule for each in last.why] == ["test", "second", "third"]
    assert (last.inputs, last.versions) == ([("other", 4)], {"rule": "7"})


def test_a_record_created_and_changed_in_one_work_has_one_entry_of_its_end_state(book):
    def act(work):
        record = work.create(
            Incident,
            organisation=book.organisation,
            values={"title": "A", "state": "new", "category": "x"},
            why=WHY,
        )
        work.change(record, {"state": "in_progress", "category": ""}, why=WHY)
        return record

    record = book.perform(act)
    assert history(record.id)[0].changes == {
        "title": (None, "A"),
        "state": (None, "in_progress"),
        "number": (None, record.number),
    }
    assert Incident.objects.get(id=record.id).state == "in_progress"
    seal(book)
    assert audit.verify_store().ok


def test_a_note_moves_the_version_and_no_field(book):
    made = open_incident(book)
    book.perform(lambda work: work.note(Incident.objects.get(id=made.id), why=WHY))
    assert [each.changes for each in history(made.id)][1] == {}
    assert Incident.objects.get(id=made.id).version == 2


def test_a_stale_version_runs_the_act_again(book):
    made = open_incident(book)
    runs = []

    def act(work):
        record = Incident.objects.get(id=made.id)
        if not runs:
            change(book, made, {"impact": "3"})
        runs.append(record.version)
        work.change(record, {"state": "in_progress"}, why=WHY)

    book.perform(act)
    assert runs == [1, 2]
    assert (Incident.objects.get(id=made.id).impact, Incident.objects.get(id=made.id).version) == ("3", 3)


def test_somebody_who_is_always_late_is_told_so_and_nothing_is_written(book):
    made = open_incident(book)

    def act(work):
        record = Incident.objects.get(id=made.id)
        change(book, made, {"category": f"c{record.version}"})
        work.change(record, {"state": "in_progress"}, why=WHY)

    with pytest.raises(Conflict):
        book.perform(act)
    assert Incident.objects.get(id=made.id).state == "new"


def test_numbers_have_no_gap_and_no_double_across_writers(book):
    def open_two(work):
        for _ in range(2):
            work.create(Incident, organisation=book.organisation, values={"title": "x"}, why=WHY)

    def outer(work):
        record = work.create(Incident, organisation=book.organisation, values={"title": "late"}, why=WHY)
        if not Number.objects.exists():
            book.perform(open_two)
        return record

    late = book.perform(outer)
    numbers = sorted(Incident.objects.values_list("number", flat=True))
    assert numbers == ["INC-000001", "INC-000002", "INC-000003"]
    assert late.number == "INC-000003" == Incident.objects.get(id=late.id).number
    assert history(late.id)[0].changes["number"] == (None, "INC-000003")


def test_numbers_are_per_organisation(book):
    other = book.add_organisation("Other")
    assert open_incident(book).number == "INC-000001"
    assert open_incident(book, organisation=other).number == "INC-000001"


def test_an_act_that_raises_writes_nothing(book):
    before = Entry.objects.count()

    def act(work):
        work.create(Incident, organisation=book.organisation, values={"title": "x"}, why=WHY)
        raise ValueError

    with pytest.raises(ValueError):
        book.perform(act)
    assert Entry.objects.count() == before


def test_side_rows_keep_the_order_in_which_they_were_asked_for(book):
    def act(work):
        work.insert(Progress, name="a", position=1)
        work.upsert(Progress, {"name": "a"}, {"position": 2})
        work.remove(Progress, {"name": "a"})
        work.upsert(Progress, {"name": "a"}, {"position": 3})
        work.bump(Progress, {"name": "a"}, {"position": 4})
        work.bump(Progress, {"name": "b"}, {"position": 5})
        work.advance(Progress, {"name": "b", "position": 5}, {"position": 6})

    book.perform(act)
    assert dict(Progress.objects.values_list("name", "position")) == {"a": 7, "b": 6}


def test_a_lost_fence_aborts_everything(book):
    def act(work):
        work.create(SystemEvent, organisation=book.organisation, values={"subject": "x"}, why=WHY)
        work.advance(Progress, {"name": "offset", "position": 1}, {"position": 2})

    before = Entry.objects.count()
    with pytest.raises(Conflict) as raised:
        book.perform(act)
    assert isinstance(raised.value.__cause__, StaleRecord)
    assert Entry.objects.count() == before


def test_counters_are_bumped_without_an_entry_and_do_not_disturb_verification(book):
    made = book.perform(
        lambda work: work.create(
            Alert, organisation=book.organisation, values={"identity": "x", "occurrences": 1}, why=WHY
        )
    )
    book.perform(lambda work: work.bump(Alert, {"id": made.id}, {"occurrences": 2}, {"last_seen_at": 5}))
    read = Alert.objects.get(id=made.id)
    assert (read.occurrences, read.last_seen_at, read.version) == (3, 5, 1)
    with pytest.raises(Bug):
        book.perform(lambda work: work.bump(Alert, {"id": made.id}, {"version": 1}))
    seal(book)
    assert audit.verify_store().ok


@pytest.mark.parametrize(
    "values",
    [
        {"colour": "red"},
        {"impact": "9"},
        {"title": 1.5},
        {"tags": "abc"},
        {"version": 7},
        {"organisation": "x"},
    ],
)
def test_what_the_kind_does_not_allow_is_refused(book, values):
    with pytest.raises(Bug):
        book.perform(
            lambda work: work.create(
                Incident, organisation=book.organisation, values={"title": "x", **values}, why=WHY
            )
        )


def test_records_cannot_be_written_past_the_book(book):
    made = open_incident(book)
    for model in models_by_kind().values():
        for call in (
            "create",
            "update",
            "delete",
            "bulk_create",
            "bulk_update",
            "get_or_create",
            "update_or_create",
        ):
            with pytest.raises(WrittenOutsideWork):
                getattr(model.objects.all(), call)()
            if call != "delete":
                with pytest.raises(WrittenOutsideWork):
                    getattr(model.objects, call)()
        for call in ("save", "delete"):
            with pytest.raises(WrittenOutsideWork):
                getattr(model(), call)()
    with pytest.raises(WrittenOutsideWork):
        made.save()


def test_records_are_not_side_rows(book):
    for act in (
        lambda work: work.remove(Incident, {"id": "x"}),
        lambda work: work.advance(Incident, {"id": "x"}, {"state": "closed"}),
        lambda work: work.upsert(Incident, {"id": "x"}, {"state": "closed"}),
    ):
        with pytest.raises(Bug):
            book.perform(act)


def test_preparers_see_what_was_touched_and_listeners_what_became_durable(book, monkeypatch):
    seen, told = [], []
    monkeypatch.setattr(
        work_module, "_preparers", [lambda work: seen.extend(each.id for each in work.created_or_changed())]
    )
    register_committed(lambda work: told.append(work.trace))
    made = open_incident(book)
    assert seen == [made.id]
    assert Entry.objects.get(record=made.id).trace in told


def test_a_listener_that_fails_does_not_undo_or_fail_what_is_durable(book):
    def act(work):
        work.after_commit(lambda: 1 / 0)
        return work.create(Incident, organisation=book.organisation, values={"title": "x"}, why=WHY)

    assert Incident.objects.filter(id=book.perform(act).id).exists()


def test_writers_in_many_threads_all_get_through(book):
    failures = []

    def write(n):
        try:
            with scope.everywhere("a thread"):
                for _ in range(10):
                    book.perform(
                        lambda work: work.bump(
                            SearchToken, {"organisation": "o", "token": 1, "field": "f", "record": "r"}, {}
                        )
                    )
                    book.perform(lambda work: work.bump(Progress, {"name": "count"}, {"position": 1}))
        except Exception as problem:
            failures.append(problem)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failures
    assert Progress.objects.get(name="count").position == 60


def test_every_connection_is_durable_and_forgets_what_is_deleted(book):
    if connection.vendor != "sqlite":
        pytest.skip("pragmas of SQLite")
    seen = []

    def look():
        with connection.cursor() as cursor:
            for pragma in ("synchronous", "secure_delete", "journal_mode"):
                cursor.execute(f"PRAGMA {pragma}")
                seen.append(cursor.fetchone()[0])
        connections.close_all()

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [2, 1, "wal"] * 2
