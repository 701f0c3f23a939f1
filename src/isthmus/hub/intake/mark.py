"""The durable mark: how far a connection's log is on disk, shared between processes through one mapped page.

The writer sets it after `fdatasync` and before it answers anybody; readers never look beyond it. The mark
itself is not synced: after a power cut it may be old, never ahead, and recovery sets it again.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

_PAIR = struct.Struct("<QQ")
_MASK = 0x5A5A_5A5A_5A5A_5A5A


class Mark:
    """A position shared by all processes that map the same file."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _PAIR.size:
                os.ftruncate(descriptor, _PAIR.size)
            self._page = mmap.mmap(descriptor, _PAIR.size)
        finally:
            os.close(descriptor)
        self._last = 0

    def get(self) -> int:
        """Return the last published position. A torn read (two words, no lock) is answered by the previous one."""
        position, check = _PAIR.unpack_from(self._page)
        if position ^ _MASK == check:
            self._last = position
        return self._last

    def set(self, position: int) -> None:
        """Publish a position that is on disk."""
        _PAIR.pack_into(self._page, 0, position, position ^ _MASK)
        self._last = position

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()
