"""The witness: checkpoints in an append-only file outside the store.

Somebody who can rewrite the whole store, its checkpoints included, is caught by the copies here. Put the
file where the store's owner cannot write freely (another machine's mount, a WORM share). One JSON object per
line: `{"body": base64, "key": hex, "signature": hex}`; `body` is a checkpoint, or the signed acknowledgement
of a restore (`{"restored_to": number, …}`), after which numbers go on from there.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from isthmus.kernel.chain import decode, encode, public_key, sign
from isthmus.kernel.instant import Instant
from isthmus.ledger.models import Checkpoint


def path() -> Path:
    """Return where the witness is."""
    found: Path = settings.ISTHMUS.witness_path
    return found


def last_number() -> int:
    """Return the number of the last checkpoint that counts in the witness, after restores."""
    if not path().exists():
        return 0
    with path().open("rb") as file:
        line, _ = _tail(file)
    if not line:
        return 0
    body = decode(base64.b64decode(json.loads(line)["body"]))
    found: int = body["restored_to"] if "restored_to" in body else body["number"]
    return found


def _tail(file: BinaryIO) -> tuple[bytes, int]:
    """Return the last whole line and where it ends; a torn line after it (a crash) does not count."""
    size = file.seek(0, os.SEEK_END)
    read = min(size, 65_536)
    while True:
        file.seek(size - read)
        found = file.read(read)
        end = found.rfind(b"\n")
        start = found.rfind(b"\n", 0, end) if end > 0 else -1
        if read == size or start >= 0:
            return (found[start + 1 : end], size - read + end + 1) if end >= 0 else (b"", 0)
        read = min(size, read * 4)


def catch_up() -> int:
    """Append the store's checkpoints that the witness lacks; return how many. Durable when it returns."""
    missing = list(Checkpoint.objects.filter(number__gt=last_number()).order_by("number"))
    if missing:
        _append([(bytes(each.body), bytes(each.key), bytes(each.signature)) for each in missing])
    return len(missing)


def gap() -> int:
    """Return how many checkpoints the witness has that the store lacks: not 0 after a restore."""
    last = Checkpoint.objects.order_by("-number").values_list("number", flat=True).first() or 0
    return max(0, last_number() - last)


def acknowledge(*, by: str, why: str, now: Instant, signing_key: bytes) -> None:
    """Record that a person knows why the store is behind its witness (a restore)."""
    last = Checkpoint.objects.order_by("-number").values_list("number", flat=True).first() or 0
    body = encode({"at": now, "by": by, "format": 1, "lost": gap(), "restored_to": last, "why": why})
    _append([(body, public_key(signing_key), sign(signing_key, body))])


def _append(rows: list[tuple[bytes, bytes, bytes]]) -> None:
    path().parent.mkdir(parents=True, exist_ok=True)
    with path().open("ab+") as file:
        # A torn line of a crash is cut: its checkpoint is in the store and is appended again, whole.
        file.truncate(_tail(file)[1])
        for body, key, signature in rows:
            line = {"body": base64.b64encode(body).decode(), "key": key.hex(), "signature": signature.hex()}
            file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
