"""Keys in memory and drafts by the dozen: what the log tests share."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from isthmus.hub.intake.message import WEBHOOK, Draft
from isthmus.kernel.errors import Conflict

NOON = 1_795_000_000_000_000
DAY = 86_400_000_000


class FileKeys:
    """`LogKeys` in plain files: good enough to be shared by processes of a test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def key(self, connection: str, day: int) -> bytes:
        path = self._directory / f"{connection}-{day}"
        if path.with_suffix(".gone").exists():
            raise Conflict("The key was destroyed.")
        key = f"{connection}-{day}".encode().ljust(32, b".")[:32]
        if not path.exists():
            # Whole or not at all: several appenders ask at the same time.
            whole = path.with_suffix(f".{uuid4().hex}")
            whole.write_bytes(key)
            whole.replace(path)
        return path.read_bytes()

    def destroy(self, connection: str, day: int) -> None:
        (self._directory / f"{connection}-{day}").with_suffix(".gone").touch()


def draft(body: bytes, *, at: int = NOON, number: int = 0) -> Draft:
    return Draft(
        id=f"{number:026d}",
        trace="0" * 32,
        received_at=at,
        door=WEBHOOK,
        connector="tiny@1",
        headers=[("content-type", "application/json")],
        body=body,
    )
