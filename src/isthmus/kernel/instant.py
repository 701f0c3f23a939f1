"""Instants: whole microseconds since the Unix epoch, in UTC.

One integer is exact in JSON, in both databases and in arithmetic; the zone that a source used is kept
beside it, never inside it. Nothing here reads a clock: `now` always arrives as an argument.
"""

from __future__ import annotations

import datetime as dt
from typing import NewType

from isthmus.kernel.errors import Rejected

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def from_datetime(moment: dt.datetime) -> Instant:
    """Return the instant of an aware datetime; a naive one is a bug of the caller."""
    if moment.tzinfo is None:
        raise Rejected("A time without a zone has no instant.", remedy="Give the zone or an offset.")
    return Instant((moment - _EPOCH) // dt.timedelta(microseconds=1))


def to_datetime(instant: Instant) -> dt.datetime:
    """Return the aware UTC datetime of an instant."""
    return _EPOCH + dt.timedelta(microseconds=instant)


def from_rfc3339(text: str) -> Instant:
    """Parse an RFC 3339 time with `Z` or an offset; digits beyond microseconds are cut."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except (ValueError, TypeError) as cause:
        raise Rejected(
            f"{text!r} is not a time.", remedy="Use RFC 3339, e.g. 2026-11-20T15:02:00Z."
        ) from cause
    return from_datetime(moment)


def to_rfc3339(instant: Instant) -> str:
    """Return e.g. `2026-11-20T15:02:00.250Z` (milliseconds, as the API promises)."""
    moment = to_datetime(instant)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
