"""Keys are for the hub's own user: in the installation, in their backup, and after a restore from it."""

from __future__ import annotations

import sqlite3

import pytest
from tests.ledger.test_repair import can_copy

from isthmus.kernel.actor import system
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger import backup, keys


def readable_by_others(directory):
    """Names of files that somebody else could read; the public key is for everybody."""
    return {path.name for path in directory.iterdir() if path.stat().st_mode & 0o077} - {"checkpoint.pub"}


def test_keys_their_backup_and_what_a_restore_brings_back_are_private(told, tmp_path):
    if not can_copy():
        pytest.skip("the client programs of PostgreSQL are not installed")
    now = told.book.clock.now()
    here = keys.ring().path.parent
    backup.backup(tmp_path / "book", keys_directory=tmp_path / "keys", now=now)
    assert readable_by_others(here) == set()
    assert readable_by_others(tmp_path / "keys") == set()
    assert not (tmp_path / "keys").stat().st_mode & 0o077
    keys.ring().close()
    for path in here.iterdir():
        path.unlink()
    backup.restore(
        tmp_path / "book",
        keys_directory=tmp_path / "keys",
        actor=system("test"),
        why="a lost machine",
        now=now,
    )
    assert "master.key" in {path.name for path in here.iterdir()}
    assert readable_by_others(here) == set()


def test_a_key_file_that_was_full_once_takes_keys_again(book):
    ring = keys.ring()
    ring.ensure(["record:before"])
    store = ring._open_file()
    (pages,) = store.execute("PRAGMA page_count").fetchone()
    store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError):
        ring.ensure([f"record:{number}" for number in range(2_000)])
    store.execute("PRAGMA max_page_count = 1000000")
    ring.ensure(["record:after"])
    assert ring.open(ring.seal("record:after", b"text")) == b"text"


def test_reading_many_keys_keeps_only_so_many_in_memory(book, monkeypatch):
    monkeypatch.setattr(keys, "CACHED_MAX", 10)
    ring = keys.ring()
    names = [f"record:{number}" for number in range(40)]
    ring.ensure(names)
    envelopes = [ring.seal(name, name.encode()) for name in names]
    ring.close()
    assert [ring.open(each) for each in envelopes] == [name.encode() for name in names]
    assert len(ring._cache) <= 12


def test_destroying_a_key_again_is_no_second_erasure(book):
    ring = keys.ring()
    ring.ensure(["record:x"])
    assert ring.destroy("record:x")
    assert not ring.destroy("record:x")
    store = ring._open_file()
    assert store.execute("SELECT count(*) FROM erasure WHERE name = 'record:x'").fetchone() == (1,)


def test_a_lost_master_key_is_not_replaced_under_a_keyring_that_needs_it(book):
    ring = keys.ring()
    ring.ensure(["record:x"])
    ring.close()
    master = ring.path.parent / "master.key"
    kept = master.read_bytes()
    master.unlink()
    with pytest.raises(NeedsOperator, match="missing"):
        ring.ensure(["record:y"])
    assert not master.exists()
    master.write_bytes(kept)
    ring.ensure(["record:x", "record:y"])
