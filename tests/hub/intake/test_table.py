"""The log in a PostgreSQL table keeps the promises of the segment log; positions are commit order."""

from __future__ import annotations

import os
import threading
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from tests.hub.intake.support import DAY, NOON, FileKeys, draft

from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.table import TableLog

pytestmark = pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") != "postgres", reason="needs ISTHMUS_TEST_STORE=postgres"
)


@pytest.fixture
def url(book):
    held = connection.settings_dict
    assert settings.ISTHMUS
    return f"postgresql://{held['USER']}:{held['PASSWORD']}@/{held['NAME']}?host={quote(held['HOST'], safe='')}&port={held['PORT']}"


@pytest.fixture
def log(url, tmp_path):
    found = TableLog(url, FileKeys(tmp_path / "keys"))
    yield found
    found.close()


def bodies(log, after=0):
    return [each.body for each in log.read("web", after, messages_max=100)]


def test_messages_come_back_in_order(log):
    assert log.append("web", [draft(b"one"), draft(b"two")]) == 1
    assert log.append("web", [draft(b"three")]) == 3
    assert log.append("other", [draft(b"apart")]) == 1
    assert bodies(log) == [b"one", b"two", b"three"]
    assert bodies(log, after=2) == [b"three"]
    assert log.durable("web") == 3
    assert log.connections() == ["other", "web"]


def test_nothing_of_a_message_is_readable_in_the_table(log, url):
    log.append("web", [draft(b"MARKER")])
    with psycopg.connect(url) as session:
        assert b"MARKER" not in bytes(session.execute("SELECT payload FROM hub_intake_message").fetchone()[0])


def test_positions_of_many_appenders_have_no_holes_and_appear_in_order(url, tmp_path, log):
    logs = [TableLog(url, FileKeys(tmp_path / "keys")) for _ in range(4)]
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        last = 0
        while not done.is_set() or log.durable("web") > last:
            for each in log.read("web", last, messages_max=50):
                assert each.position == last + 1, "a position became visible before the one ahead of it"
                last = each.position
                seen.append(last)

    def write(each: TableLog) -> None:
        for _ in range(25):
            each.append("web", [draft(b"x"), draft(b"y")])

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=write, args=(each,)) for each in logs]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    done.set()
    reader.join(20)
    assert seen == list(range(1, 201))
    for each in logs:
        each.close()


def test_an_append_that_fails_takes_no_position(log, url):
    log.append("web", [draft(b"one")])
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("ALTER TABLE hub_intake_message RENAME TO away")
        with pytest.raises(psycopg.errors.UndefinedTable):
            log.append("web", [draft(b"two")])
        session.execute("ALTER TABLE away RENAME TO hub_intake_message")
    assert log.append("web", [draft(b"two")]) == 2


def test_retention_deletes_days_and_keys_and_never_reuses_positions(log, tmp_path):
    log.append("web", [draft(b"old")])
    log.append("web", [draft(b"young", at=NOON + 3 * DAY)])
    assert log.forget("web", NOON + DAY, up_to=0) == 0
    assert log.forget("web", NOON + DAY, up_to=2) == 1
    assert bodies(log) == [b"young"]
    assert list((tmp_path / "keys").glob("*.gone"))
    assert log.append("web", [draft(b"new", at=NOON + 3 * DAY)]) == 3


def test_a_database_that_is_away_is_said(tmp_path):
    with pytest.raises(LogUnavailable, match="does not answer"):
        TableLog("postgresql://x@127.0.0.1:1/x", FileKeys(tmp_path / "keys")).append("web", [draft(b"x")])
