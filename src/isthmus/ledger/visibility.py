"""Tells PostgreSQL which organisations the open scope shows, for its row-level security; nothing on SQLite."""

from __future__ import annotations

from django.db import connection

SETTING = "isthmus.organisations"
EVERYTHING = "*"


def apply(organisations: frozenset[str] | None) -> None:
    """Set the session's organisations (None: all) on this thread's connection, if they differ from the last.

    Called where records are read or written rather than where a scope opens: a scope travels between
    threads with its context, and each thread has a connection of its own.
    """
    if connection.vendor != "postgresql" or connection.needs_rollback:
        return
    wanted = EVERYTHING if organisations is None else ",".join(sorted(organisations))
    believed = getattr(connection, "isthmus_visible", None)
    if believed == (id(connection.connection), wanted):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, false)", [SETTING, wanted])
    # A rollback takes the setting back, so what was set inside a transaction is not relied on after it.
    connection.isthmus_visible = None if connection.in_atomic_block else (id(connection.connection), wanted)  # type: ignore[attr-defined]
