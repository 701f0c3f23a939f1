"""SQLite's write-ahead log, moved into the book by a thread of its own instead of by whoever commits.

By default the commit that crosses 1,000 pages copies them all, while it holds the turnstile: measured, that
was half of the time for which a batch of the pump held it. Here the copying happens beside the writers. Only
when a busy hub never lets the log end is the turnstile taken, for the few pages that are left, so that the
next writer starts the log from its beginning. (The connection's own limit, far higher, remains as the net.)
"""

from __future__ import annotations

from django.db import connection

from isthmus.ledger import turnstile

LONG_PAGES = 16_000
"""A log longer than this (64 MB) is ended under the turnstile."""


def copy_back() -> None:
    """Copy what the log holds into the book. Nothing to do on PostgreSQL."""
    if connection.vendor != "sqlite":
        return
    if _passive_checkpoint() > LONG_PAGES:
        with turnstile.entered():
            _passive_checkpoint()


def _passive_checkpoint() -> int:
    """Copy without waiting for anybody or stopping anybody; return the length of the log in pages."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        _, logged, _ = cursor.fetchone()
    return int(logged)
