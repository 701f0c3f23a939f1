"""SQLite at size: which index it takes, and that its log neither grows for ever nor is copied by writers."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.db import connection

from isthmus.kernel.record import Reason
from isthmus.ledger.sqlite import log_upkeep
from isthmus.practices.monitoring.models import Alert

WHY = [Reason(rule="test", text="for the test")]

pytestmark = pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE", "sqlite") != "sqlite", reason="SQLite only"
)


def _plan(book: Any, **where: Any) -> str:
    with connection.cursor() as cursor:
        sql, values = Alert.objects.filter(organisation=book.organisation, **where).query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        return " ".join(str(row[3]) for row in cursor.fetchall())


@pytest.mark.parametrize(
    ("where", "index"),
    [
        ({"open": True, "ci__in": ["a", "b"], "state": "firing"}, "monitoring_alert_ci"),
        ({"open": True, "group_key__in": ["a", "b"], "state": "firing"}, "monitoring_alert_group"),
        ({"incident__in": ["a", "b"], "open": True, "state": "firing"}, "monitoring_alert_incident"),
        ({"open": True, "identity__in": ["a", "b"]}, "monitoring_alert_open_once"),
    ],
)
def test_what_hardly_any_alert_shares_is_looked_up_before_what_most_share(
    book: Any, where: dict[str, Any], index: str
) -> None:
    assert index in _plan(book, **where)


def test_without_the_estimates_a_state_would_be_taken_for_selective(book: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM sqlite_stat1")
        cursor.execute("ANALYZE sqlite_schema")
    assert "monitoring_alert_stale" in _plan(book, open=True, ci__in=["a", "b"], state="firing")


def test_the_log_ends_also_while_somebody_keeps_writing(book: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        book.perform(lambda work: work.journal(book.organisation, "test", {"text": "x" * 20_000}, WHY))

    monkeypatch.setattr(log_upkeep, "LONG_PAGES", 20)
    lengths = []
    for _ in range(30):
        write()
        log_upkeep.copy_back()
        lengths.append((book.directory / "book.sqlite-wal").stat().st_size)
    assert lengths[-1] == lengths[-10]
