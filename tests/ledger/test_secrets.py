"""Sealed values: unreadable in every file, readable through the hub, gone for good once their key is destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import FieldError
from django.db import connection
from tests.ledger.conftest import WHY, change, open_incident, seal

from isthmus.kernel.errors import Conflict
from isthmus.ledger import audit, backup, erasure, export, keys, search
from isthmus.ledger.models import Entry, SearchToken
from isthmus.ledger.reading import as_of, history
from isthmus.practices.incident.models import Comment, Incident

MARKER = "zq-marker-Kowalczyk-7731"


def write_marker(book):
    incident = open_incident(book, f"Title {MARKER}", description=f"Text {MARKER}", extra={"note": MARKER})
    change(book, incident, {"title": f"Other {MARKER}", "resolution_notes": MARKER})
    comment = book.perform(
        lambda work: work.create(
            Comment, organisation=book.organisation, why=WHY,
            values={"record_kind": "incident", "record": incident.id, "body": f"Said {MARKER}", "author_label": MARKER},
        )
    )  # fmt: skip
    seal(book)
    while search.index_once():
        pass
    return incident, comment


def holding(directory: Path, what: str) -> list[Path]:
    return [each for each in directory.rglob("*") if each.is_file() and what.encode() in each.read_bytes()]


def test_a_planted_secret_is_in_no_file_of_the_installation_no_backup_and_no_export(book, tmp_path):
    write_marker(book)
    backup.backup(
        tmp_path / "backup", keys_directory=tmp_path / "keys", now=book.clock.now()
    ) if connection.vendor == "sqlite" else None
    export.write(tmp_path / "export.zip")
    import zipfile

    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(tmp_path / "export")
    assert holding(tmp_path, MARKER) == []
    assert holding(tmp_path, "INC-000001") != [] or connection.vendor != "sqlite", (
        "the search itself must be able to find something"
    )


def test_a_planted_secret_is_in_no_row_of_the_store(book):
    from isthmus.ledger import dump

    write_marker(book)
    for table, _, rows in dump.tables():
        for row in rows:
            assert MARKER.encode() not in b"".join(
                each if isinstance(each, bytes) else str(each).encode() for each in row
            ), table


def test_sealed_values_are_readable_through_the_hub(book):
    incident, comment = write_marker(book)
    assert Incident.objects.get(id=incident.id).title == f"Other {MARKER}"
    assert Comment.objects.get(id=comment.id).body == f"Said {MARKER}"
    assert history(incident.id)[1].changes["title"] == (f"Title {MARKER}", f"Other {MARKER}")


def test_the_same_envelope_stands_in_the_projection_and_in_the_entry(book):
    import base64

    incident, _ = write_marker(book)
    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM incident_incident WHERE id = %s", [incident.id])
        stored = base64.b64encode(bytes(cursor.fetchone()[0]))
    bodies = [bytes(each.body) for each in Entry.objects.filter(record=incident.id).order_by("version")]
    assert stored in bodies[1]
    assert stored not in bodies[0]


def test_erasing_a_record_erases_all_its_copies_and_the_book_still_verifies(book):
    incident, comment = write_marker(book)
    other = open_incident(book, "Untouched")
    erasure.erase_record(incident.id, actor=book.actor(), why="Requested under a privacy law.")
    seal(book)
    read = Incident.objects.get(id=incident.id)
    assert (read.title, read.extra, read.state) == (keys.ERASED, keys.ERASED, "new")
    assert Comment.objects.get(id=comment.id).body == keys.ERASED
    assert history(incident.id)[0].changes["title"] == (None, keys.ERASED)
    assert Incident.objects.get(id=other.id).title == "Untouched"
    assert search.find(book.organisation, MARKER) == [comment.id]
    assert audit.verify_store().ok


def test_an_erased_record_takes_no_new_text(book):
    incident, _ = write_marker(book)
    erasure.erase_record(incident.id, actor=book.actor(), why="Requested.")
    with pytest.raises(Conflict):
        change(book, incident, {"title": "Anew"})
    assert change(book, incident, {"state": "closed"}).state == "closed"


def test_another_process_forgets_a_destroyed_key_within_a_second(book, monkeypatch):
    incident, _ = write_marker(book)
    other = keys.Keyring(keys.ring().path)
    envelope = keys.ring().seal(f"record:{incident.id}", b"x")
    assert other.open(envelope) == b"x"
    keys.ring().destroy(f"record:{incident.id}")
    other._erasures_read = 0.0
    assert other.open(envelope) is None
    other.close()


def test_keys_survive_and_a_wrong_master_key_opens_nothing(book):
    ring = keys.ring()
    ring.ensure(["record:x"])
    envelope = ring.seal("record:x", b"text")
    again = keys.Keyring(ring.path)
    assert again.open(envelope) == b"text"
    again.close()
    master = ring.path.with_name("master.key")
    held = master.read_bytes()
    master.write_bytes(bytes(32))
    try:
        broken = keys.Keyring(ring.path)
        with pytest.raises(Exception, match="master key"):
            broken.open(envelope)
        broken.close()
    finally:
        master.write_bytes(held)


def test_a_changed_envelope_is_no_text(book):
    ring = keys.ring()
    ring.ensure(["record:x", "record:y"])
    envelope = bytearray(ring.seal("record:x", b"text"))
    envelope[-1] ^= 1
    with pytest.raises(Exception, match="changed in the store"):
        ring.open(bytes(envelope))
    moved = bytes(ring.seal("record:x", b"text")).replace(b"record:x", b"record:y")
    with pytest.raises(Exception, match="changed in the store"):
        ring.open(moved)


def test_keys_and_their_files_are_for_the_owner_only(book):
    keys.ring().ensure(["record:x"])
    for name in ("keys.sqlite", "master.key"):
        assert keys.ring().path.with_name(name).stat().st_mode & 0o077 == 0


def test_sealed_columns_refuse_lookups(book):
    with pytest.raises(FieldError):
        Incident.objects.filter(title="x").exists()
    assert Incident.objects.filter(title__isnull=False).count() == 0


def test_sealed_text_is_found_by_its_words_and_by_its_value_within_one_organisation(book):
    other = book.add_organisation("Other")
    mine = open_incident(book, "Straße closed at Müller GmbH")
    open_incident(book, "Straße closed at Müller GmbH", organisation=other)
    open_incident(book, "Something else at Müller")
    seal(book)
    while search.index_once():
        pass
    assert search.find(book.organisation, "MÜLLER strasse") == [mine.id]
    assert search.find(book.organisation, "müller") != [mine.id]
    assert search.find_equal(book.organisation, "title", "straße CLOSED at müller gmbh") == [mine.id]
    assert search.find_equal(book.organisation, "title", "straße closed") == []
    assert search.find(book.organisation, mine.number) == [mine.id]
    change(book, mine, {"title": "Renamed"})
    seal(book)
    search.index_once()
    assert search.find(book.organisation, "strasse") == []
    tokens = set(SearchToken.objects.filter(organisation=book.organisation).values_list("token", flat=True))
    assert not tokens & set(SearchToken.objects.filter(organisation=other).values_list("token", flat=True))


def test_as_of_opens_sealed_values(book):
    incident, _ = write_marker(book)
    then = history(incident.id)[0].recorded_at
    assert as_of(Incident, incident.id, recorded=then)["title"] == f"Title {MARKER}"
