"""Names and listing of segment files, and the day that a moment belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from isthmus.hub.intake.frames import HEADER_BYTES, SegmentHeader, unpack_header
from isthmus.kernel.instant import Instant, to_datetime


class SegmentFile(NamedTuple):
    """A segment on disk, sorted by its first position."""

    first: int
    path: Path


def path_of(directory: Path, first: int) -> Path:
    """Return the path of the segment that starts with position `first`."""
    return directory / f"{first:020d}.seg"


def listed(directory: Path) -> list[SegmentFile]:
    """Return the segments of a connection, oldest first."""
    return sorted(SegmentFile(int(each.stem), each) for each in directory.glob("*.seg"))


def header_of(path: Path) -> SegmentHeader | None:
    """Return a segment's header, or None if its writer was killed before it was whole."""
    with path.open("rb") as file:
        return unpack_header(file.read(HEADER_BYTES))


def day_of(moment: Instant) -> int:
    """Return the UTC day of an instant as yyyymmdd."""
    return int(to_datetime(moment).strftime("%Y%m%d"))
