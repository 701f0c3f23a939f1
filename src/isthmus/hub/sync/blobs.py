"""Contents of files in the book: parts of half a megabyte, each sealed with the key of the file's record.

Parts are written in Works of their own, so that a large file never holds up other writers; they count only
once a record names them. What no record names after an hour is removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.sync import synced
from isthmus.hub.sync.models import BlobPart
from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import HOUR, Instant
from isthmus.ledger import keys
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

PART_BYTES = 512 * 1024
UNCLAIMED = "blob.unclaimed"
UNCLAIMED_AFTER = HOUR


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A content in the book: `blob` becomes the id of the attachment that claims it."""

    blob: str
    size: int
    sha256: str


class Writer:
    """Takes one content in, hashing it as it passes. `record`: whose key seals it."""

    def __init__(self, organisation: str, record: str, *, actor: Actor, origin: Origin) -> None:
        self._organisation, self._key = organisation, f"record:{record}"
        self._actor, self._origin = actor, origin
        self._blob, self._digest = source.new_id(), hashlib.sha256()
        self._held, self._parts, self._size = bytearray(), 0, 0

    def add(self, content: bytes) -> None:
        """Take more of the content; whole parts are durable when this returns."""
        self._digest.update(content)
        self._size += len(content)
        self._held += content
        while len(self._held) >= PART_BYTES:
            self._write(bytes(self._held[:PART_BYTES]))
            del self._held[:PART_BYTES]

    def finish(self) -> Stored:
        """Write the rest; the parts now wait for a record that claims them."""
        if self._held:
            self._write(bytes(self._held))
            self._held.clear()
        return Stored(blob=self._blob, size=self._size, sha256=self._digest.hexdigest())

    def _write(self, part: bytes) -> None:
        keys.ring().ensure([self._key])
        envelope, number = keys.ring().seal(self._key, part), self._parts

        def act(work: Work) -> None:
            work.insert(
                BlobPart, organisation=self._organisation, blob=self._blob, number=number, sealed=envelope
            )
            if number == 0:
                at = Instant(work.now + UNCLAIMED_AFTER)
                due.schedule(work, UNCLAIMED, self._blob, at, organisation=self._organisation)

        perform(act, actor=self._actor, origin=self._origin)
        self._parts += 1


def parts_of(blob: str) -> Iterator[bytes]:
    """Yield the content part by part; `NotFound` if its key was destroyed."""
    for envelope in BlobPart.objects.filter(blob=blob).order_by("number").values_list("sealed", flat=True):
        part = keys.ring().open(bytes(envelope))
        if part is None:
            raise NotFound("The content of this file was erased.")
        yield part


def remove_unclaimed(work: Work, row: Due, now: Instant) -> None:
    """Remove the parts of a content that no record came to name."""
    del now
    if not synced.model_of("attachment").objects.filter(id=row.subject).exists():
        work.remove(BlobPart, {"organisation": row.organisation, "blob": row.subject})
