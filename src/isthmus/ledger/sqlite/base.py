"""Every transaction on the book passes the turnstile: Work's, a session's, a sign-in's.

Transactions here begin IMMEDIATE, so each one is a writer. Without this, parts that write through Django's
own ORM would wait by SQLite's sleeping busy handler and starve beside the pump.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base

from isthmus.ledger import turnstile


class DatabaseWrapper(base.DatabaseWrapper):
    """SQLite, one writer at a time in the order in which they came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._turn: int | None = None

    def _start_transaction_under_autocommit(self) -> None:
        if self._turn is None and not turnstile.held():
            self._turn = turnstile.acquire(Path(str(self.settings_dict["NAME"])))
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_back()
            raise

    def _give_back(self) -> None:
        if self._turn is not None:
            turnstile.release(self._turn)
            self._turn = None

    def _commit(self) -> None:
        # A commit that fails is followed by a rollback, which gives the turn back.
        super()._commit()  # type: ignore[misc]
        self._give_back()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give_back()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if not self.in_atomic_block:
                self._give_back()
