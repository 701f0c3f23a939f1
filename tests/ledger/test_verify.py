"""Done-when 4: every way to touch the book is found and named, in the store and in an export."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys

import pytest
from django.db import connection
from tests.ledger.conftest import change, open_incident, seal

from isthmus.ledger import audit, dump, export, witness
from isthmus.ledger.models import Checkpoint, Entry, Seal
from isthmus.ledger.verify.checkpoints import witnessed
from isthmus.ledger.verify.run import verify_open, verify_path, verify_rows
from isthmus.ledger.verify.sources import opened


def sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def first_seq(told):
    return Entry.objects.get(record=told.first.id, version=1).seq


def edit_a_body(told):
    body = bytes(Entry.objects.get(record=told.first.id, version=2).body)
    sql(
        "UPDATE ledger_entry SET body = %s WHERE record = %s AND version = 2",
        body.replace(b"in_progress", b"on_hold_now"),
        told.first.id,
    )
    return f"{told.first.id}.2", "edited or swapped"


def edit_one_byte(told):
    body = bytearray(Entry.objects.get(record=told.first.id, version=1).body)
    body[10] ^= 1
    sql("UPDATE ledger_entry SET body = %s WHERE record = %s AND version = 1", bytes(body), told.first.id)
    return f"{told.first.id}.1", "edited or swapped"


def edit_an_envelope_column(told):
    sql("UPDATE ledger_entry SET actor = 'nobody' WHERE record = %s AND version = 1", told.first.id)
    return f"{told.first.id}.1", "column actor says 'nobody'"


def edit_a_projection(told):
    sql("UPDATE incident_incident SET state = 'closed' WHERE id = %s", told.first.id)
    return told.first.id, "column state says 'closed', its entries say 'in_progress'"


def edit_a_sealed_projection(told):
    sql(
        "UPDATE incident_incident SET title = (SELECT title FROM incident_incident WHERE id = %s) WHERE id = %s",
        told.second.id,
        told.first.id,
    )
    return told.first.id, "column title does not hold the ciphertext"


def edit_a_projection_version(told):
    sql("UPDATE incident_incident SET version = 9 WHERE id = %s", told.first.id)
    return told.first.id, "column version says 9"


def move_a_projection_to_another_organisation(told):
    sql("UPDATE incident_incident SET organisation = 'elsewhere' WHERE id = %s", told.first.id)
    return told.first.id, "column organisation says 'elsewhere'"


def delete_a_projection(told):
    sql("DELETE FROM incident_incident WHERE id = %s", told.first.id)
    return told.first.id, "its row is missing"


def insert_a_projection(told):
    own = {"id", "number"}
    columns = ", ".join(
        f'"{each.column}"' for each in type(told.first)._meta.concrete_fields if each.column not in own
    )
    forged = "INSERT INTO incident_incident (id, number, {0}) SELECT 'forged', 'INC-9', {0} FROM incident_incident WHERE id = %s"
    sql(forged.format(columns), told.first.id)
    return "forged", "this row has no entries"


def edit_a_link(told):
    seal_row = Seal.objects.filter(organisation=told.book.organisation).order_by("first").first()
    links = bytearray(seal_row.links)
    links[0] ^= 1
    sql("UPDATE ledger_seal SET links = %s WHERE id = %s", bytes(links), seal_row.id)
    return "position 1", "stored link"


def edit_a_seal(told):
    sql("UPDATE ledger_seal SET sealed_at = sealed_at + 1 WHERE first = 1")
    return "checkpoint 1", "a seal was edited"


def edit_a_head(told):
    sql("UPDATE ledger_head SET position = position + 1")
    return told.book.organisation, "its head says"


def edit_a_checkpoint(told):
    body = bytes(Checkpoint.objects.get(number=2).body).replace(b'"seals":1', b'"seals":2')
    sql("UPDATE ledger_checkpoint SET body = %s WHERE number = 2", body)
    return "checkpoint 2", "its signature does not belong"


def delete_a_checkpoint(told):
    sql("DELETE FROM ledger_checkpoint WHERE number = 2")
    return "checkpoint 3", "one was deleted or renumbered"


def delete_an_entry(told):
    seq = first_seq(told)
    sql("DELETE FROM ledger_entry WHERE seq = %s", seq)
    return f"seq {seq}", "is missing"


def delete_an_entry_and_its_record(told):
    seq = first_seq(told)
    sql("DELETE FROM ledger_entry WHERE record = %s", told.first.id)
    sql("DELETE FROM incident_incident WHERE id = %s", told.first.id)
    return f"seq {seq}", "is missing"


def swap_two_entries(told):
    one = Entry.objects.get(record=told.first.id, version=1)
    other = Entry.objects.get(record=told.second.id, version=1)
    sql("UPDATE ledger_entry SET body = %s WHERE seq = %s", bytes(other.body), one.seq)
    sql("UPDATE ledger_entry SET body = %s WHERE seq = %s", bytes(one.body), other.seq)
    return f"{told.first.id}.1", "edited or swapped"


def swap_two_places(told):
    seal_row = (
        Seal.objects.filter(organisation=told.book.organisation, count__gte=2).order_by("first").first()
    )
    seqs = bytes(seal_row.seqs)
    sql("UPDATE ledger_seal SET seqs = %s WHERE id = %s", seqs[8:16] + seqs[:8] + seqs[16:], seal_row.id)
    return "position 1", "edited or swapped"


def insert_an_entry(told):
    one = Entry.objects.get(record=told.first.id, version=2)
    body = bytes(one.body).replace(b'"version":2', b'"version":3')
    columns = "organisation, kind, record, occurred_at, recorded_at, actor, channel, connection, synthetic, cause, trace, generation"
    sql(
        f"INSERT INTO ledger_entry (seq, {columns}, version, body) SELECT 999999, {columns}, 3, %s FROM ledger_entry WHERE seq = %s",
        body, one.seq,
    )  # fmt: skip
    return f"{told.first.id}.3", "it was inserted"


def truncate_the_tail(told):
    cut_back(told, keep_checkpoints=True)
    return "checkpoint 3", "seals were deleted"


def truncate_with_the_checkpoints(told):
    cut_back(told, keep_checkpoints=False)
    return "checkpoint 3", "the book was cut back"


def cut_back(told, *, keep_checkpoints):
    """Remove the last change so cleanly that the store alone looks consistent."""
    last = Seal.objects.filter(organisation=told.book.organisation).order_by("-first").first()
    before = (
        Seal.objects.filter(organisation=told.book.organisation, first__lt=last.first)
        .order_by("-first")
        .first()
    )
    earlier = told.second.version - 1
    created = Entry.objects.get(record=told.second.id, version=1)
    sql("DELETE FROM ledger_entry WHERE record = %s AND version = %s", told.second.id, told.second.version)
    sql("DELETE FROM ledger_seal WHERE id = %s", last.id)
    sql(
        "UPDATE ledger_head SET position = %s, link = %s WHERE organisation = %s",
        before.first + before.count - 1, bytes(before.links)[-32:], told.book.organisation,
    )  # fmt: skip
    sql(
        "UPDATE incident_incident SET state = 'new', resolution_notes = NULL, version = %s, updated_at = %s WHERE id = %s",
        earlier, created.recorded_at, told.second.id,
    )  # fmt: skip
    if not keep_checkpoints:
        sql("DELETE FROM ledger_checkpoint WHERE number = 3")


TAMPERINGS = [
    edit_a_body, edit_one_byte, edit_an_envelope_column, edit_a_projection, edit_a_sealed_projection, edit_a_projection_version,
    move_a_projection_to_another_organisation, delete_a_projection, insert_a_projection, edit_a_link, edit_a_seal, edit_a_head,
    edit_a_checkpoint, delete_a_checkpoint, delete_an_entry, delete_an_entry_and_its_record, swap_two_entries, swap_two_places,
    insert_an_entry, truncate_the_tail, truncate_with_the_checkpoints,
]  # fmt: skip


def assert_found(report, where, what):
    assert not report.ok
    assert any(where in str(each) and what in str(each) for each in report.findings), [
        str(each) for each in report.findings
    ]


def test_an_untouched_book_verifies(told):
    report = audit.verify_store()
    assert report.ok, [str(each) for each in report.findings]
    assert report.counts["entries"] == report.counts["sealed"] == Entry.objects.count()
    assert report.counts["checkpoints"] == report.counts["witnessed"] == 3


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_tampering_is_found_in_the_store_and_in_an_export(told, tamper, tmp_path):
    where, what = tamper(told)
    assert_found(audit.verify_store(), where, what)
    exported = export.write(tmp_path / "book.zip")
    assert_found(verify_path(exported, witness=witness.path()), where, what)


def test_a_cut_store_looks_whole_without_its_witness(told):
    """The negative twin of truncation: only the file outside the store shows it."""
    cut_back(told, keep_checkpoints=False)
    report = verify_rows(dump.tables())
    assert report.ok, [str(each) for each in report.findings]
    assert any("No witness" in note for note in report.notes)


def test_a_hub_that_works_on_while_it_is_verified_does_not_look_cut_back(told, tmp_path):
    before = witnessed(witness.path())
    snapshot = export.write(tmp_path / "then.zip")
    change(told.book, told.second, {"title": "Later"})
    seal(told.book)
    with opened(snapshot) as book:
        assert verify_open(book, known=before).ok
    assert_found(verify_path(snapshot, witness=witness.path()), "checkpoint 4", "cut back")


def test_an_entry_that_is_not_sealed_yet_is_no_finding(told):
    open_incident(told.book, "Later")
    report = audit.verify_store()
    assert report.ok
    assert report.counts["unsealed"] == 1


def test_an_entry_that_was_never_sealed_is_found_once_it_is_old(told):
    late = open_incident(told.book, "Later")
    told.book.clock.forward(minutes=10)
    open_incident(told.book, "Much later")
    assert_found(audit.verify_store(), late.id, "never sealed")


def test_a_deleted_unsealed_entry_is_found(told):
    late = open_incident(told.book, "Later")
    sql("DELETE FROM ledger_entry WHERE record = %s", late.id)
    assert_found(audit.verify_store(), "entry with seq", "it was deleted")


def test_an_edited_witness_is_found(told):
    lines = witness.path().read_text().splitlines()
    parts = json.loads(lines[1])
    parts["signature"] = "00" * 64
    witness.path().write_text("\n".join([lines[0], json.dumps(parts), lines[2]]) + "\n")
    assert_found(audit.verify_store(), "line 2", "the witness was edited")


def test_checkpoints_signed_by_another_key_are_refused(told):
    report = verify_rows(dump.tables(), known=witnessed(witness.path()), public=bytes(32))
    assert_found(report, "checkpoint 1", "its signature does not belong")


def test_the_export_verifies_itself_without_the_product(told, tmp_path):
    exported = export.write(tmp_path / "book.zip")
    run = [sys.executable, "-I", str(exported), "--witness", str(witness.path()), "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"]
    edit_a_projection(told)
    export.write(exported)
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "its entries say" in done.stdout


def test_the_command_line_names_what_is_no_book(tmp_path):
    path = tmp_path / "x"
    path.write_text("hello")
    done = subprocess.run(
        [sys.executable, "-m", "isthmus.ledger.verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "neither" in done.stderr


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="reads the SQLite file directly"
)
def test_a_book_whose_tables_are_gone_is_found(told):
    with sqlite3.connect(told.book.path) as raw:
        raw.execute("DROP TABLE ledger_seal")
    assert_found(verify_path(told.book.path), "ledger_seal", "missing")


def test_many_changes_stay_verifiable(told):
    record = told.first
    for n in range(30):
        change(
            told.book,
            record,
            {"tags": [f"t{n}"], "major": bool(n % 2), "description": f"Text {n} äöü\n\t\"'\\ \u2028"},
        )
    seal(told.book)
    report = audit.verify_store()
    assert report.ok, [str(each) for each in report.findings]


def test_an_entry_with_any_byte_changed_is_a_finding_and_never_the_end_of_the_verifier(told):
    """A verifier that stops at a broken entry would hide every other one."""
    from isthmus.ledger.verify import replay
    from isthmus.ledger.verify.findings import Report

    entry = Entry.objects.get(record=told.first.id, version=1)
    columns = tuple(getattr(entry, name) for name in replay._COPIES)
    raw = bytes(entry.body)
    for place in range(len(raw)):
        for other in (raw[place] ^ 1, 0, ord("7"), ord("]")):
            body = raw[:place] + bytes([other]) + raw[place + 1 :]
            report, state = Report(), {}
            held = replay._compare_columns(report, columns, body)
            if held is not None:
                replay._apply(report, state, held)
