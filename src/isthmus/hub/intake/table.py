"""The intake log in a PostgreSQL table, for hubs that run on several machines.

An appender takes a lock on its partition for the length of its transaction: without it a later position
could become visible before an earlier one, and the pump would step over the earlier for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.message import Draft, Message, decode, encode
from isthmus.hub.intake.sealing import LogKeys, Seal
from isthmus.hub.intake.segment_files import day_of
from isthmus.kernel.instant import Instant

_HEAD = """
    INSERT INTO hub_intake_head (connection, position) VALUES (%s, %s)
    ON CONFLICT (connection) DO UPDATE SET position = hub_intake_head.position + excluded.position
    RETURNING position
"""  # one row per partition: holding it until commit is the partition's lock, and it never goes back
_INSERT = "INSERT INTO hub_intake_message (connection, position, received_at, day, payload) VALUES (%s, %s, %s, %s, %s)"
_READ = """
    SELECT position, received_at, day, payload FROM hub_intake_message
    WHERE connection = %s AND position > %s ORDER BY position LIMIT %s
"""
_FORGET = "DELETE FROM hub_intake_message WHERE connection = %s AND day < %s AND position <= %s RETURNING day"
_LEFT = "SELECT DISTINCT day FROM hub_intake_message WHERE connection = %s AND day = ANY(%s)"


class TableLog:
    """`IntakeLog` over PostgreSQL. Thread-safe: one connection for appending, one for reading."""

    def __init__(self, url: str, keys: LogKeys) -> None:
        self._url = url
        self._keys = keys
        self._guards = {"append": threading.Lock(), "read": threading.Lock()}
        self._open: dict[str, psycopg.Connection[TupleRow]] = {}
        self._seals: dict[tuple[str, int], Seal] = {}

    def append(self, connection: str, drafts: Sequence[Draft]) -> int:
        """Append and return the position of the first; durable on return. Raises `LogUnavailable`."""
        day = day_of(Instant(drafts[-1].received_at))
        seal = self._seal(connection, day)
        with self._session("append") as session, session.transaction(), session.cursor() as cursor:
            cursor.execute(_HEAD, (connection, len(drafts)))
            row = cursor.fetchone()
            assert row is not None  # noqa: S101 - RETURNING answers one row
            first = int(row[0]) - len(drafts) + 1
            cursor.executemany(
                _INSERT,
                [
                    (connection, at, each.received_at, day, seal.close_up(at, each.received_at, encode(each)))
                    for at, each in enumerate(drafts, first)
                ],
            )
        return first

    def read(
        self, connection: str, after: int, *, messages_max: int, bytes_max: int = 4_000_000
    ) -> list[Message]:
        """Return committed messages with positions above `after`, oldest first."""
        with self._session("read") as session:
            rows = session.execute(_READ, (connection, after, messages_max)).fetchall()
        found: list[Message] = []
        total = 0
        for position, received_at, day, payload in rows:
            content = self._seal(connection, day).open_up(position, received_at, bytes(payload))
            found.append(decode(connection, position, content))
            total += len(content)
            if total >= bytes_max:
                break
        return found

    def durable(self, connection: str) -> int:
        """Return the position of the last committed message, 0 if there is none."""
        with self._session("read") as session:
            row = session.execute(
                "SELECT position FROM hub_intake_head WHERE connection = %s", (connection,)
            ).fetchone()
        return int(row[0]) if row else 0

    def connections(self) -> list[str]:
        """Return the names of all connections that ever had a message."""
        with self._session("read") as session:
            return [
                row[0]
                for row in session.execute("SELECT connection FROM hub_intake_head ORDER BY connection")
            ]

    def recover(self) -> None:
        """Check that the table answers; PostgreSQL recovers by itself."""
        self.connections()

    def forget(self, connection: str, before: Instant, up_to: int) -> int:
        """Delete messages of days before `before` at or below `up_to`, then destroy the keys of emptied days."""
        with self._session("append") as session:
            rows = session.execute(_FORGET, (connection, day_of(before), up_to)).fetchall()
            days = {int(row[0]) for row in rows}
            left = {int(row[0]) for row in session.execute(_LEFT, (connection, list(days)))}
        for day in days - left:
            self._seals.pop((connection, day), None)
            self._keys.destroy(connection, day)
        return len(rows)

    def close(self) -> None:
        """Close the connections."""
        for session in self._open.values():
            session.close()
        self._open.clear()

    def _seal(self, connection: str, day: int) -> Seal:
        found = self._seals.get((connection, day))
        if found is None:
            found = self._seals[connection, day] = Seal(connection, self._keys.key(connection, day))
        return found

    @contextmanager
    def _session(self, purpose: str) -> Iterator[psycopg.Connection[TupleRow]]:
        with self._guards[purpose]:
            session = self._open.get(purpose)
            try:
                if session is None or session.closed:
                    session = self._open[purpose] = psycopg.connect(
                        self._url, autocommit=True, connect_timeout=5
                    )
                yield session
            except psycopg.OperationalError as cause:
                if session is not None:
                    session.close()
                self._open.pop(purpose, None)
                raise LogUnavailable(
                    "The intake log's database does not answer.",
                    remedy="Check DATABASE_URL and the database server; nothing that was acknowledged is lost.",
                    after_seconds=5.0,
                ) from cause
