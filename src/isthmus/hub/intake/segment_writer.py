"""Appending to one connection's segments: lock, take over, write, sync, publish."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from isthmus.hub.intake import segment_files
from isthmus.hub.intake.frames import HEADER_BYTES, SegmentHeader, frames, pack_frame, pack_header
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.mark import Mark
from isthmus.hub.intake.message import Draft, encode
from isthmus.hub.intake.sealing import LogKeys, Seal
from isthmus.kernel.instant import Instant

RETRY_AFTER_SECONDS = 5.0


class SegmentWriter:
    """The appending side of one connection in this process. State is valid only while the lock is held
    and the file has the size that we left it with; otherwise somebody else wrote, and it is read again."""

    def __init__(
        self, connection: str, directory: Path, keys: LogKeys, mark: Mark, *, segment_bytes_max: int
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._keys = keys
        self._mark = mark
        self._segment_bytes_max = segment_bytes_max
        self._guard = threading.Lock()
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._file = -1
        self._path: Path | None = None
        self._end = 0  # offset behind the last whole frame of the open segment
        self._next = 1  # position of the next message
        self._day = 0
        self._seal: Seal | None = None

    def append(self, drafts: Sequence[Draft]) -> int:
        """Append and return the position of the first; durable on return. Raises `LogUnavailable`."""
        with self._held():
            try:
                self._take_over()
                day = segment_files.day_of(Instant(drafts[-1].received_at))
                if self._file < 0 or day > self._day or self._end >= self._segment_bytes_max:
                    self._roll(day)
                first = self._next
                self._write(self._sealed(drafts))
            except OSError as cause:
                self._give_back()
                raise LogUnavailable(
                    f"The intake log of connection {self._connection!r} cannot be written ({cause.strerror}).",
                    remedy="Free disk space under the data directory; nothing that was acknowledged is lost.",
                    after_seconds=RETRY_AFTER_SECONDS,
                ) from cause
            self._next += len(drafts)
            self._mark.set(self._next - 1)
            return first

    def recover(self) -> None:
        """Cut the tail back to whole frames, sync it and publish it."""
        with self._held():
            self._drop()
            self._take_over()
            if self._file >= 0:
                os.fdatasync(self._file)
            self._mark.set(self._next - 1)

    def forget(self, before: Instant, up_to: int) -> int:
        """Unlink segments of days before `before` that lie at or below `up_to`; destroy keys no longer used.

        The newest segment stays, so that positions are never used twice; if even it is old, it is closed by
        an empty successor first.
        """
        limit = segment_files.day_of(before)
        with self._held():
            self._take_over()
            if self._file >= 0 and self._day < limit and self._end > HEADER_BYTES:
                self._roll(limit)
            files = segment_files.listed(self._directory)
            gone: set[int] = set()
            kept: set[int] = set()
            unlinked = 0
            for this, following in zip(files, [*files[1:], None], strict=True):
                header = segment_files.header_of(this.path)
                day = header.day if header else 0
                if following is None or day >= limit or following.first - 1 > up_to:
                    kept.add(day)
                    continue
                this.path.unlink()
                gone.add(day)
                unlinked += 1
            self._sync_directory()
            for day in gone - kept:
                self._keys.destroy(self._connection, day)
            return unlinked

    def close(self) -> None:
        """Close the files."""
        with self._guard:
            self._drop()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    @contextmanager
    def _held(self) -> Iterator[None]:
        with self._guard:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _take_over(self) -> None:
        """Make our picture of the newest segment true, whoever wrote last."""
        if (
            self._file >= 0
            and self._mark.get() == self._next - 1
            and os.fstat(self._file).st_size == self._end
        ):
            return
        files = segment_files.listed(self._directory)
        if self._file >= 0 and files and files[-1].path == self._path:
            self._adopt_tail()
            return
        self._drop()
        while files:
            newest = files[-1]
            header = segment_files.header_of(newest.path)
            if header is not None:
                self._open(newest.path, header)
                return
            # Killed while making the file: it holds no whole header, so nothing in it was acknowledged.
            newest.path.unlink()
            self._next = newest.first
            files.pop()

    def _open(self, path: Path, header: SegmentHeader) -> None:
        seal = Seal(self._connection, self._keys.key(self._connection, header.day))
        self._file = os.open(path, os.O_RDWR)
        self._path, self._day, self._seal = path, header.day, seal
        self._end, self._next = HEADER_BYTES, header.first
        self._adopt_tail()

    def _adopt_tail(self) -> None:
        """Take the whole frames behind our end as written, cut what is torn, and sync: the writer that was
        killed may have died between its write and its sync."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, max(size - self._end, 0), self._end)
        start = self._end
        for frame in frames(data, 0, start, self._next):
            self._end, self._next = frame.end, frame.position + 1
        if size > self._end:
            os.ftruncate(self._file, self._end)
        os.fdatasync(self._file)
        os.lseek(self._file, self._end, os.SEEK_SET)

    def _roll(self, day: int) -> None:
        key = self._keys.key(self._connection, day)
        self._drop()
        path = segment_files.path_of(self._directory, self._next)
        if path.exists():  # an empty successor of an earlier day: nothing was ever in it
            path.unlink()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._path, self._day, self._seal = path, day, Seal(self._connection, key)
        self._end = 0
        self._write(pack_header(SegmentHeader(self._next, day)))
        self._sync_directory()

    def _sealed(self, drafts: Sequence[Draft]) -> bytes:
        seal = self._seal
        assert seal is not None  # noqa: S101 - a segment is open, so its seal is too
        parts = []
        for position, draft in enumerate(drafts, self._next):
            payload = seal.close_up(position, draft.received_at, encode(draft))
            parts.append(pack_frame(position, draft.received_at, payload))
        return b"".join(parts)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        self._end += len(data)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _give_back(self) -> None:
        """After a failed write: return the half-written bytes to the disk, and trust nothing that we knew."""
        if self._file >= 0:
            # If even this fails, the next take-over cuts the tail.
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
        self._drop()

    def _drop(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path, self._seal = -1, None, None
