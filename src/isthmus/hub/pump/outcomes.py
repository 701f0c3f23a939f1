"""What came of each message: one row per batch, in canonical bytes under a Merkle root that is journalled.

The root stands in the entry of the offset that the batch moved: an edited, added or dropped outcome no
longer fits the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from django.db.models import QuerySet

from isthmus.hub.models import OutcomeSegment
from isthmus.hub.observing import Outcome
from isthmus.kernel.chain import merkle_root
from isthmus.kernel.instant import SECOND, Instant

_CROCKFORD = {letter: value for value, letter in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_SLACK = 5 * SECOND
SEGMENTS_READ_MAX = 2_000


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome as stored. The members stand in alphabetical order, so that the bytes are canonical."""

    event_id: str
    message: str
    place: int
    position: int
    reason: str
    records: tuple[str, ...]
    trace: str
    what: str


class Segment(msgspec.Struct, frozen=True):
    """The outcomes of one batch: the stored bytes and the root over them."""

    body: bytes
    root: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Row]).decode
_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode


def encoded(outcomes: Sequence[Outcome], names: Mapping[int, tuple[str, str]]) -> Segment:
    """Return the segment of a batch; `names` gives message id and trace by position."""
    leaves = []
    for each in outcomes:
        message, trace = names[each.position]
        row = Row(
            event_id=each.event_id,
            message=message,
            place=each.place,
            position=each.position,
            reason=each.reason,
            records=each.records,
            trace=trace,
            what=each.what,
        )
        leaves.append(_encode(row))
    return Segment(b"[" + b",".join(leaves) + b"]", merkle_root(leaves).hex())


def root_of(body: bytes) -> str:
    """Return the root that a stored segment's bytes give."""
    return merkle_root([bytes(each) for each in _raw(body)]).hex()


def of_message(message_id: str) -> list[Row]:
    """Return the outcomes of one message; [] if it is not (yet) processed.

    Found by the time inside its id; after a clock was set back (ids never go back) by reading the newest
    segments, `SEGMENTS_READ_MAX` at most.
    """
    moment = _moment(message_id)
    if moment is None:
        return []
    near = OutcomeSegment.objects.filter(received_from__lte=moment + _SLACK, received_to__gte=moment - _SLACK)
    newest = OutcomeSegment.objects.order_by("-id")[:SEGMENTS_READ_MAX]
    for candidates in (near, newest):
        found = [row for row in _holding(candidates, message_id) if row.message == message_id]
        if found:
            return found
    return []


def of_trace(trace: str, since: Instant, until: Instant) -> list[Row]:
    """Return the outcomes of messages with this trace that were received in a span of time."""
    found = OutcomeSegment.objects.filter(received_from__lte=until, received_to__gte=since)
    return [row for row in _holding(found, trace) if row.trace == trace]


def _holding(segments: QuerySet[OutcomeSegment], text: str) -> Iterator[Row]:
    """Yield the rows of segments whose bytes contain `text`: most are passed over without decoding."""
    needle = text.encode()
    for segment in segments.iterator():
        body = bytes(segment.body)
        if needle in body:
            yield from _decode(body)


def _moment(message_id: str) -> Instant | None:
    if len(message_id) != 26 or any(letter not in _CROCKFORD for letter in message_id):
        return None
    milliseconds = 0
    for letter in message_id[:10]:
        milliseconds = milliseconds * 32 + _CROCKFORD[letter]
    return Instant(milliseconds * 1000)
