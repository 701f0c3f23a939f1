"""Backup and restore. Order matters: the book first, then the log, so a log is never older than its offset.

The keys have their own backup in a directory of their own: whoever holds only the book's backup can read no
sealed value, and a key destroyed later is not brought back by an old copy of the book. A restore replays
the erasures that the present keyring knows, then everything that depends on "we know what the partner has"
is told to look again (registered hooks: links become dirty, sent operations unknown, lanes start paused).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection, connections

from isthmus import __version__
from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import checkpoint, keys, organisations, scope, witness
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

MANIFEST = "backup.json"

_hooks: list[Callable[[Work], None]] = []


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup holds."""

    version: str
    store: str
    made_at: Instant
    checkpoint: int


def after_restore(hook: Callable[[Work], None]) -> None:
    """Have `hook` called with a Work after a restore: links dirty, sent operations unknown, lanes paused."""
    if hook not in _hooks:
        _hooks.append(hook)


def backup(directory: Path, *, keys_directory: Path, now: Instant) -> Manifest:
    """Write a backup of the book and the log to `directory` and of the keys to `keys_directory`.

    Both must be new or empty. The hub may be running: the book is copied from one snapshot.
    """
    if keys_directory.resolve() == directory.resolve():
        raise NeedsOperator(
            "Book and keys would lie together.", remedy="Choose another directory for the keys."
        )
    for each in (directory, keys_directory):
        if each.exists() and any(each.iterdir()):
            raise NeedsOperator(f"{each} is not empty.", remedy="Give a new directory.")
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    checkpoint.make(now)
    last = witness.last_number()
    _copy_book(directory)
    log = settings.ISTHMUS.log_dir
    if log.exists():
        shutil.copytree(log, directory / "log")
    # Keys come last: every key that the copied book needs exists by now.
    keys.ring().copy_to(keys_directory)
    for name in ("checkpoint.key", "checkpoint.pub", "signing.key"):
        source = settings.ISTHMUS.keys_path.with_name(name)
        if source.exists():
            (keys_directory / name).touch(mode=0o600)
            (keys_directory / name).write_bytes(source.read_bytes())
    manifest = Manifest(version=__version__, store=connection.vendor, made_at=now, checkpoint=last)
    (directory / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2))
    return manifest


def _copy_book(directory: Path) -> None:
    if connection.vendor == "sqlite":
        source = sqlite3.connect(
            f"{Path(str(connection.settings_dict['NAME'])).absolute().as_uri()}?mode=ro", uri=True
        )
        target = sqlite3.connect(directory / "book.sqlite")
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
        return
    _run_postgres("pg_dump", "--format=custom", f"--file={directory / 'book.pgdump'}")


def _run_postgres(program: str, *arguments: str) -> None:
    """Run a client program of PostgreSQL against the store; the password goes by environment, never by argument."""
    chosen = connection.settings_dict
    found = shutil.which(program)
    if found is None:
        raise NeedsOperator(
            f"{program} is not installed.", remedy="Install the client programs of PostgreSQL."
        )
    where = [f"--host={chosen['HOST']}", f"--username={chosen['USER']}", f"--dbname={chosen['NAME']}"]
    if chosen["PORT"]:
        where.append(f"--port={chosen['PORT']}")
    environment = {"PGPASSWORD": str(chosen["PASSWORD"]), "PATH": str(Path(found).parent)}
    done = subprocess.run(
        [found, *where, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NeedsOperator(
            f"{program} failed: {done.stderr.strip()[-300:]}", remedy="Mend what it names and repeat."
        )


def restore(
    directory: Path, *, keys_directory: Path | None, actor: Actor, why: str, now: Instant
) -> Manifest:
    """Put a backup in place of the present book and log; the hub must be stopped.

    `keys_directory`: also restore the keys (a lost machine); None keeps the present keyring, and with it
    every erasure since the backup. `actor` and `why` acknowledge the gap to the witness.
    """
    path = directory / MANIFEST
    if not path.exists():
        raise NeedsOperator(
            f"{directory} holds no backup.", remedy="Name the directory that `isthmus backup` wrote."
        )
    manifest = Manifest(**json.loads(path.read_text()))
    if manifest.store != connection.vendor:
        raise NeedsOperator(
            f"This backup is of a {manifest.store} store.", remedy="Restore it into such a store."
        )
    erased = keys.ring().erased()
    log: Path = settings.ISTHMUS.log_dir
    # All copying comes before anything is replaced: a disk that is too full for it costs nothing.
    fresh_log = log.with_name(log.name + ".restored")
    shutil.rmtree(fresh_log, ignore_errors=True)
    if (directory / "log").exists():
        shutil.copytree(directory / "log", fresh_log)
    _put_book(directory)
    shutil.rmtree(log, ignore_errors=True)
    if fresh_log.exists():
        fresh_log.replace(log)
    if keys_directory is not None:
        keys.ring().close()
        for each in keys_directory.iterdir():
            kept = settings.ISTHMUS.keys_path.with_name(each.name)
            kept.touch(mode=0o600)
            shutil.copyfile(each, kept)
    for name in erased:
        keys.ring().destroy(name)
    _announce(actor, why, now)
    return manifest


def _put_book(directory: Path) -> None:
    connections.close_all()
    if connection.vendor != "sqlite":
        _run_postgres(
            "pg_restore", "--clean", "--if-exists", "--single-transaction", str(directory / "book.pgdump")
        )
        return
    book = Path(str(connection.settings_dict["NAME"]))
    fresh = book.with_name(book.name + ".restored")
    shutil.copyfile(directory / "book.sqlite", fresh)
    with fresh.open("rb") as copied:
        os.fsync(copied.fileno())
    for suffix in ("-wal", "-shm"):
        book.with_name(book.name + suffix).unlink(missing_ok=True)
    fresh.replace(book)


def _announce(actor: Actor, why: str, now: Instant) -> None:
    """Journal the restore, acknowledge the witness gap, let everybody who trusted the present look again."""
    with scope.everywhere("a restore concerns everybody"):
        lost = witness.gap()
        witness.acknowledge(by=actor.id, why=why, now=now, signing_key=checkpoint.signing_key())

        def act(work: Work) -> None:
            reason = Reason(rule="backup.restored", text=why)
            work.journal(organisations.root(), "book.restored", {"checkpoints_lost": lost}, [reason])
            for hook in _hooks:
                hook(work)

        perform(act, actor=actor, origin=Origin(channel="cli"), now=now)
