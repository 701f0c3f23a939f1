"""Empty books on PostgreSQL, one per test, without making a database for each.

A database that its test left with the schema it got is emptied and filled again with the rows of a fresh one,
which takes milliseconds where a copy takes a tenth of a second, and its backends keep their plans. A test that
changed the schema, or left very many rows, has its database thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

ROWS_MAX = 20_000
"""More than this is thrown away: deleting it row by row would cost more than a copy."""
USES_MAX = 60
"""Dead rows gather in a database that is emptied again and again."""
SCHEMA = """
SELECT md5(string_agg(line, ';' ORDER BY line)) FROM (
  SELECT format('%s %s %s %s', c.oid, c.relname, c.relrowsecurity, c.relacl) AS line FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s %s', attrelid, attname, attnotnull) FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND attnum > 0
  UNION ALL SELECT format('%s %s %s', tgrelid, tgname, tgenabled) FROM pg_trigger
  UNION ALL SELECT format('%s %s', polrelid, polname) FROM pg_policy
  UNION ALL SELECT format('%s %s', nspname, nspacl) FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_t%'
) AS lines
"""


@dataclass
class Books:
    """Hands out the names of empty databases. `server` gives addresses; `template` is the migrated database."""

    server: Any
    template: str
    session: Any
    held: str = ""
    uses: int = 0
    schema: str = ""
    rows: dict[str, bytes] = field(default_factory=dict)
    sequences: list[tuple[str, int, bool]] = field(default_factory=list)

    def take(self) -> str:
        """Return an empty book's database."""
        if not self.held:
            self.held, self.uses = f"book_{uuid4().hex[:12]}", 0
            # Copying files is the quickest here, and a connection that stays spares a psql per test.
            self.session.execute(f"CREATE DATABASE {self.held} TEMPLATE {self.template} STRATEGY FILE_COPY")
            with self._connected() as session:
                self._remember(session)
        self.uses += 1
        return self.held

    def give_back(self) -> None:
        """Empty the database for the next test, or drop it."""
        self.session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self.held]
        )
        if self.uses >= USES_MAX or not self._emptied():
            self.session.execute(f"DROP DATABASE IF EXISTS {self.held} WITH (FORCE)")
            self.held = ""
            return
        # Processes remember things by the name of their database: the next test's is another one.
        before, self.held = self.held, f"book_{uuid4().hex[:12]}"
        self.session.execute(f"ALTER DATABASE {before} RENAME TO {self.held}")

    def _connected(self) -> Any:
        return psycopg.connect(self.server.get_uri(database=self.held), autocommit=True)

    def _emptied(self) -> bool:
        try:
            with self._connected() as session, session.transaction():
                if session.execute(SCHEMA).fetchone()[0] != self.schema:
                    return False
                # Triggers that forbid deleting, and foreign keys, are for the product; this is not it.
                session.execute("SET LOCAL session_replication_role = replica")
                deleted = 0
                for table in self._tables(session):
                    deleted += session.execute(
                        sql.SQL("DELETE FROM {}").format(sql.Identifier(table))
                    ).rowcount
                    if deleted > ROWS_MAX:
                        return False
                for table, held in self.rows.items():
                    with session.cursor().copy(
                        sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
                    ) as copy:
                        copy.write(held)
                for name, value, called in self.sequences:
                    session.execute("SELECT setval(%s, %s, %s)", [name, value, called])
        except psycopg.Error:
            return False
        return True

    def _remember(self, session: Any) -> None:
        self.schema = session.execute(SCHEMA).fetchone()[0]
        self.rows = {}
        for table in self._tables(session):
            with session.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
                held = b"".join(copy)
            if held:
                self.rows[table] = held
        self.sequences = [
            (name, *session.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name))).fetchone())
            for (name,) in session.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
            ).fetchall()
        ]  # fmt: skip

    def _tables(self, session: Any) -> list[str]:
        found = session.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return [name for (name,) in found.fetchall()]
