"""Reading one connection's segments in order, never beyond the durable mark."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from pathlib import Path

from isthmus.hub.intake import segment_files
from isthmus.hub.intake.frames import FRAME_BYTES, HEADER_BYTES, frames
from isthmus.hub.intake.mark import Mark
from isthmus.hub.intake.message import Message, decode
from isthmus.hub.intake.sealing import LogKeys, Seal
from isthmus.hub.intake.segment_files import SegmentFile

CHUNK_BYTES = 1_000_000


class SegmentReader:
    """Remembers where it stopped, so that reading on costs no search."""

    def __init__(self, connection: str, directory: Path, keys: LogKeys, mark: Mark) -> None:
        self._connection = connection
        self._directory = directory
        self._keys = keys
        self._mark = mark
        self._guard = threading.Lock()
        self._file = -1
        self._segment: SegmentFile | None = None
        self._offset = 0
        self._next = 0
        self._seal: Seal | None = None

    def read(self, after: int, *, messages_max: int, bytes_max: int) -> list[Message]:
        """Return durable messages with positions above `after`, oldest first; at least one if there is any."""
        found: list[Message] = []
        with self._guard:
            last = self._mark.get()
            total = 0
            while after < last and len(found) < messages_max and total < bytes_max:
                if not self._at(after + 1):
                    break
                taken = self._chunk(last, messages_max - len(found), bytes_max - total)
                if not taken:
                    self._leave()
                    break
                # Positions below the first that is left were forgotten by retention: go on behind them.
                found.extend(message for message in taken if message.position > after)
                total += sum(len(message.body) for message in taken)
                after = max(after, taken[-1].position)
        return found

    def close(self) -> None:
        """Close the open segment."""
        with self._guard:
            self._leave()

    def _at(self, position: int) -> bool:
        """Stand at the frame of `position` or before it; False if no segment holds it."""
        if self._file >= 0 and self._next == position and not self._exhausted(position):
            return True
        files = segment_files.listed(self._directory)
        if not files:
            return False
        place = max(bisect_right([each.first for each in files], position) - 1, 0)
        target = files[place]
        header = segment_files.header_of(target.path)
        if header is None:
            return False
        self._leave()
        self._file = os.open(target.path, os.O_RDONLY)
        self._segment, self._offset, self._next = target, HEADER_BYTES, target.first
        self._seal = Seal(self._connection, self._keys.key(self._connection, header.day))
        self._skip_to(position)
        return True

    def _exhausted(self, position: int) -> bool:
        """Return whether the open segment ends before `position` (a successor starts with it)."""
        segment = self._segment
        if segment is None or segment.first == position:
            return False
        return segment_files.path_of(self._directory, position).exists()

    def _skip_to(self, position: int) -> None:
        while self._next < position:
            data = os.pread(self._file, CHUNK_BYTES, self._offset)
            before = self._next
            for frame in frames(data, 0, self._offset, self._next):
                if frame.position >= position:
                    break
                self._offset, self._next = frame.end, frame.position + 1
            if self._next == before:
                needed = self._needed(data)
                if needed <= len(data):
                    return
                wide = os.pread(self._file, needed, self._offset)
                frame_found = next(frames(wide, 0, self._offset, self._next), None)
                if frame_found is None or frame_found.position >= position:
                    return
                self._offset, self._next = frame_found.end, frame_found.position + 1

    def _chunk(self, last: int, messages_max: int, bytes_max: int) -> list[Message]:
        seal = self._seal
        assert seal is not None  # noqa: S101 - a segment is open, so its seal is too
        data = os.pread(self._file, min(CHUNK_BYTES, max(bytes_max, FRAME_BYTES)), self._offset)
        needed = self._needed(data)
        if needed > len(data):
            data = os.pread(self._file, needed, self._offset)
        found: list[Message] = []
        for frame in frames(data, 0, self._offset, self._next):
            if frame.position > last or len(found) >= messages_max:
                break
            content = seal.open_up(frame.position, frame.received_at, frame.payload)
            found.append(decode(self._connection, frame.position, content))
            self._offset, self._next = frame.end, frame.position + 1
        return found

    @staticmethod
    def _needed(data: bytes) -> int:
        """Return how many bytes the first frame of `data` takes."""
        return FRAME_BYTES + int.from_bytes(data[:4], "little") if len(data) >= FRAME_BYTES else 0

    def _leave(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._segment, self._seal = -1, None, None
