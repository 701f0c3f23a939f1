"""Keys are for the hub's own user: in the installation, in their backup, and after a restore from it."""

from __future__ import annotations

import pytest
from tests.ledger.test_repair import can_copy

from isthmus.kernel.actor import system
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
