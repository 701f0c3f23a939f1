"""The bytes of a segment file: one header, then frames. Pure: no files, no keys.

    segment := magic(8) first_position(u64) day(u32, yyyymmdd) crc(u32)
    frame   := length(u32) crc(u32) position(u64) received_at(i64) payload(length bytes)

All numbers are little-endian; a crc covers everything after itself (of a segment header: before itself).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

MAGIC = b"ISTHLOG1"
_HEADER = struct.Struct("<8sQI")
_HEADER_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _HEADER_CRC.size
_FRAME = struct.Struct("<IIQq")
_CHECKED = struct.Struct("<Qq")
FRAME_BYTES = _FRAME.size
PAYLOAD_BYTES_MAX = 64_000_000


class SegmentHeader(NamedTuple):
    """The position that a segment starts with, and the day whose key seals it (yyyymmdd)."""

    first: int
    day: int


class Frame(NamedTuple):
    """One sealed message. `end` is the offset right behind it."""

    position: int
    received_at: int
    payload: bytes
    end: int


def pack_header(header: SegmentHeader) -> bytes:
    """Return the bytes that start a segment file."""
    body = _HEADER.pack(MAGIC, header.first, header.day)
    return body + _HEADER_CRC.pack(crc32(body))


def unpack_header(data: bytes) -> SegmentHeader | None:
    """Return the header at the start of `data`, or None if it is torn or not ours."""
    if len(data) < HEADER_BYTES:
        return None
    magic, first, day = _HEADER.unpack_from(data)
    (crc,) = _HEADER_CRC.unpack_from(data, _HEADER.size)
    return SegmentHeader(first, day) if magic == MAGIC and crc == crc32(data[: _HEADER.size]) else None


def pack_frame(position: int, received_at: int, payload: bytes) -> bytes:
    """Return one frame."""
    checked = _CHECKED.pack(position, received_at)
    return _FRAME.pack(len(payload), crc32(payload, crc32(checked)), position, received_at) + payload


def frames(data: bytes, start: int, base: int, expected: int) -> Iterator[Frame]:
    """Yield the whole, intact frames of `data` from offset `start`; stop at the first that is not.

    `base` is the file offset of `data[0]`; `expected` the position that the first frame must carry. A frame
    that is short, altered or out of sequence ends the iteration: whatever follows was never acknowledged.
    """
    offset, size = start, len(data)
    while offset + FRAME_BYTES <= size:
        length, crc, position, received_at = _FRAME.unpack_from(data, offset)
        end = offset + FRAME_BYTES + length
        if position != expected or length > PAYLOAD_BYTES_MAX or end > size:
            return
        payload = data[offset + FRAME_BYTES : end]
        if crc32(payload, crc32(_CHECKED.pack(position, received_at))) != crc:
            return
        yield Frame(position, received_at, payload, base + end)
        offset, expected = end, expected + 1
