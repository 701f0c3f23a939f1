"""The port of a ticket system that holds files, and the look-up that keeps a file from being added twice.

Files are only ever added: none is changed, and removals do not travel. Content passes through memory, bounded
by the caller; its SHA-256 is computed by us from the bytes that passed, never taken from the partner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from isthmus.kernel.errors import Rejected
from isthmus.kernel.observation import ExternalRef, ObservedAttachment


@dataclass(frozen=True, kw_only=True)
class File:
    """A file with its content. `sha256`: of `content`, 64 hexadecimal digits."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Download:
    """Bytes as they came, and their SHA-256 computed while they passed."""

    content: bytes = field(repr=False)
    sha256: str


@runtime_checkable
class AttachmentSystem(Protocol):
    """A ticket system whose objects hold files. Declared as `<kind>:attach`."""

    async def attachments(self, ref: ExternalRef) -> list[ObservedAttachment]:
        """Return the files of an object, oldest first, without their content."""
        ...

    async def fetch(self, ref: ExternalRef, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file; `Rejected` beyond `bytes_max`, `NotFound` if it is gone."""
        ...

    async def attach(self, ref: ExternalRef, file: File) -> ObservedAttachment:
        """Add a file and return it as the partner holds it. Not idempotent: the caller looks first."""
        ...


async def find_equal(
    client: AttachmentSystem, ref: ExternalRef, file: File, *, known: Collection[str]
) -> ObservedAttachment | None:
    """Return the partner's file that has this name and content, None if there is none.

    `known` are keys of files that are something else of ours. An earlier attempt whose answer was lost is
    found here, and so is a file that a person had added on both sides.
    """
    for each in await client.attachments(ref):
        alike = each.filename == file.filename and each.size in {len(file.content), -1}
        if not alike or each.key in known:
            continue
        try:
            found = await client.fetch(ref, each.key, bytes_max=len(file.content))
        except Rejected:
            continue
        if found.sha256 == file.sha256:
            return each
    return None
