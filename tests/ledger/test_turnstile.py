"""Fairness between processes, and the second wall on PostgreSQL."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time

import pytest
from django.db import connection, transaction
from tests.ledger.conftest import open_incident

from isthmus.ledger import dump, scope, turnstile, upkeep
from isthmus.ledger.models import Progress
from isthmus.practices.incident.models import Incident

HOG = """
import django; django.setup()
import sys, time
from django.db import connection, transaction
from isthmus.ledger import turnstile
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    with turnstile.entered(), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO ledger_progress (name, position) VALUES ('hog', 1) ON CONFLICT (name) DO UPDATE SET position = ledger_progress.position + 1")
        time.sleep(0.02)
"""


def written() -> int:
    """Return how often the other process has written."""
    found = Progress.objects.filter(name="hog").first()
    return found.position if found else 0


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="PostgreSQL orders writers by itself"
)
def test_a_page_gets_its_turn_beside_a_process_that_never_stops_writing(book):
    environment = os.environ | {"ISTHMUS_DATA_DIR": str(book.directory)}
    hog = subprocess.Popen(
        [sys.executable, "-c", HOG, "4"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert hog.stdout.readline() == "ready\n"
        passed = []
        for _ in range(25):
            before = written()
            book.perform(lambda work: work.bump(Progress, {"name": "page"}, {"position": 1}))
            passed.append(written() - before)
            time.sleep(0.01)
        assert hog.poll() is None, "the other process must still have been writing"
        assert sorted(passed)[-2] <= 3, f"the other wrote so often while the page waited: {passed}"
    finally:
        hog.kill()
        hog.wait()
    assert Progress.objects.get(name="page").position == 25
    assert written() > 5


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="PostgreSQL orders writers by itself"
)
def test_transactions_of_django_itself_pass_the_turnstile_and_give_it_back(book):
    path = book.path.with_name("turnstile.write")

    def taken():
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    with transaction.atomic():
        Progress.objects.create(name="x", position=1)
        assert taken()
    assert not taken()
    with transaction.atomic():
        assert taken()
        transaction.set_rollback(True)
    assert not taken()
    with dump.snapshot():
        assert not taken()
        assert Progress.objects.count() == 1


def test_the_turnstile_may_be_entered_again_inside(book):
    with turnstile.entered(), transaction.atomic(), turnstile.entered():
        assert connection.in_atomic_block


def test_a_round_of_upkeep_seals_signs_and_indexes(book):
    open_incident(book, "Findable")
    kept = upkeep.tick(book.clock.now())
    assert (kept.sealed, kept.checkpoint, kept.unsealed_age) == (3, 1, 0)
    assert kept.indexed == 3
    assert not kept.alarming
    assert upkeep.tick(book.clock.now()).sealed == 0


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") != "postgres", reason="row-level security is PostgreSQL's"
)
def test_row_level_security_hides_other_organisations_from_raw_sql(book):
    other = book.add_organisation("Customer")
    mine, theirs = open_incident(book), open_incident(book, organisation=other)

    def visible():
        with connection.cursor() as cursor:
            cursor.execute("SELECT record FROM ledger_entry WHERE kind = 'incident' ORDER BY record")
            entries = [row[0] for row in cursor.fetchall()]
            cursor.execute("SELECT id FROM incident_incident ORDER BY id")
            records = [row[0] for row in cursor.fetchall()]
        assert records == entries
        return records

    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS ordinary")
        cursor.execute("CREATE ROLE ordinary")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO ordinary")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ordinary")
        cursor.execute("SET ROLE ordinary")
    connection.isthmus_may_copy = None
    try:
        with scope.within({other}):
            assert Incident.objects.count() == 1
            assert visible() == [theirs.id]
        with scope.within({book.organisation}):
            assert Incident.objects.count() == 1
            assert visible() == [mine.id]
        assert Incident.objects.count() == 2
        assert visible() == [mine.id, theirs.id]
        written = open_incident(book, "By an ordinary role")
        assert visible() == [mine.id, theirs.id, written.id]
        with connection.cursor() as cursor:
            cursor.execute("RESET isthmus.organisations")
        assert visible() == [], "a connection that never opened a scope sees nothing"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP OWNED BY ordinary")
            cursor.execute("DROP ROLE ordinary")
