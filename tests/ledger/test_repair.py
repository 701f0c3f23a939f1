"""Rebuild, backup and restore."""

from __future__ import annotations

import shutil

import pytest
from django.conf import settings
from django.db import connection
from tests.ledger.conftest import WHY, change, seal

from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger import audit, backup, erasure, keys, rebuild, witness
from isthmus.ledger.models import SystemEvent
from isthmus.ledger.schema import models_by_kind
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring.models import Alert


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_a_projection_is_rebuilt_from_its_entries(told):
    book = told.book
    alert = book.perform(
        lambda work: work.create(
            Alert, organisation=book.organisation, values={"identity": "x", "labels": {"a": "b"}}, why=WHY
        )
    )
    book.perform(lambda work: work.bump(Alert, {"id": alert.id}, {"occurrences": 7}))
    sql(
        "UPDATE incident_incident SET state = 'closed', title = NULL, version = 8 WHERE id = %s",
        told.first.id,
    )
    sql("DELETE FROM incident_incident WHERE id = %s", told.second.id)
    sql("UPDATE monitoring_alert SET labels = '{}', id = id WHERE id = %s", alert.id)
    assert not audit.verify_store().ok
    for model in models_by_kind().values():
        rebuild.rebuild(model)
    report = audit.verify_store()
    assert report.ok, [str(each) for each in report.findings]
    assert Incident.objects.get(id=told.first.id).title == "Printer on fire again"
    assert Alert.objects.get(id=alert.id).occurrences == 7


def test_a_rebuild_removes_rows_that_no_entry_tells_of(told):
    sql("UPDATE incident_incident SET id = 'forged' WHERE id = %s", told.first.id)
    done = rebuild.rebuild(Incident)
    assert (done.records, done.removed) == (2, 1)
    assert audit.verify_store().ok


def can_copy():
    return connection.vendor == "sqlite" or shutil.which("pg_dump")


def test_a_backup_is_restored_and_its_gap_is_acknowledged(told, tmp_path, monkeypatch):
    if not can_copy():
        pytest.skip("the client programs of PostgreSQL are not installed")
    book = told.book
    (book.directory / "log").mkdir(exist_ok=True)
    (book.directory / "log" / "segment-1").write_bytes(b"messages")
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=book.clock.now())
    change(book, told.first, {"state": "resolved"})
    seal(book)
    (book.directory / "log" / "segment-1").write_bytes(b"messages and more")
    hooked = []
    monkeypatch.setattr(backup, "_hooks", [hooked.append])
    backup.restore(
        tmp_path / "book", keys_directory=None, actor=book.actor(), why="The disk died.", now=book.clock.now()
    )
    assert Incident.objects.get(id=told.first.id).state == "in_progress"
    assert (book.directory / "log" / "segment-1").read_bytes() == b"messages"
    assert len(hooked) == 1
    assert SystemEvent.objects.get(subject="book.restored").facts == {"checkpoints_lost": 1}
    assert witness.gap() == 0
    seal(book)
    report = audit.verify_store()
    assert report.ok, [str(each) for each in report.findings]
    assert any("restore was acknowledged" in note for note in report.notes)


def test_a_silent_restore_is_found_by_the_witness(told, tmp_path):
    book = told.book
    if connection.vendor != "sqlite":
        pytest.skip("swaps the file")
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=book.clock.now())
    change(book, told.first, {"state": "resolved"})
    seal(book)
    backup._put_book(tmp_path / "book")
    report = audit.verify_store()
    assert any("cut back" in str(each) for each in report.findings)


def test_a_restore_does_not_bring_back_what_was_erased(told, tmp_path):
    if not can_copy():
        pytest.skip("the client programs of PostgreSQL are not installed")
    book = told.book
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=book.clock.now())
    erasure.erase_record(told.first.id, actor=book.actor(), why="Requested.")
    backup.restore(
        tmp_path / "book",
        keys_directory=tmp_path / "keys",
        actor=book.actor(),
        why="Test.",
        now=book.clock.now(),
    )
    assert Incident.objects.get(id=told.first.id).title == keys.ERASED
    assert Incident.objects.get(id=told.second.id).title == "Mail is slow"


def test_a_lost_keyring_is_restored_from_its_own_backup(told, tmp_path):
    if not can_copy():
        pytest.skip("the client programs of PostgreSQL are not installed")
    book = told.book
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=book.clock.now())
    keys.ring().close()
    shutil.rmtree(keys.ring().path.parent)
    backup.restore(
        tmp_path / "book",
        keys_directory=tmp_path / "keys",
        actor=book.actor(),
        why="Test.",
        now=book.clock.now(),
    )
    assert Incident.objects.get(id=told.second.id).title == "Mail is slow"


@pytest.mark.parametrize("full", ["copyfile", "copytree"])
def test_a_disk_too_full_for_a_restore_leaves_the_present_as_it_is(told, tmp_path, monkeypatch, full):
    book, log = told.book, settings.ISTHMUS.log_dir
    if connection.vendor != "sqlite":
        pytest.skip("the embedded store's files")
    (log / "web").mkdir(parents=True, exist_ok=True)
    (log / "web" / "1.seg").write_bytes(b"old")
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=book.clock.now())
    (log / "web" / "1.seg").write_bytes(b"present")

    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup.shutil, full, no_space)
    with pytest.raises(OSError, match="No space"):
        backup.restore(
            tmp_path / "book", keys_directory=None, actor=book.actor(), why="Test.", now=book.clock.now()
        )
    assert (log / "web" / "1.seg").read_bytes() == b"present"
    assert Incident.objects.get(id=told.second.id).title == "Mail is slow"


def test_book_and_keys_are_never_put_together_nor_over_something(book, tmp_path):
    with pytest.raises(NeedsOperator):
        backup.backup(tmp_path / "a", keys_directory=tmp_path / "a", now=book.clock.now())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(NeedsOperator):
        backup.backup(tmp_path / "full", keys_directory=tmp_path / "k", now=book.clock.now())
    with pytest.raises(NeedsOperator):
        backup.restore(
            tmp_path / "none", keys_directory=None, actor=book.actor(), why="x", now=book.clock.now()
        )
