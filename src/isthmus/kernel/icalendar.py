"""Reading iCalendar (RFC 5545) text into occurrences: change windows, freezes and peaks kept elsewhere."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_datetime, to_datetime

BYTES_MAX = 2_000_000
OCCURRENCES_MAX = 10_000


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One occurrence of an event. `uid` names the event, `starts_at`/`ends_at` are half-open."""

    uid: str
    name: str
    starts_at: Instant
    ends_at: Instant
    categories: tuple[str, ...] = ()


def occurrences(text: str, start: Instant, end: Instant, *, zone: str = "UTC") -> list[Occurrence]:
    """Return the occurrences that overlap `[start, end)`, recurrences and exceptions expanded, in order.

    Times without a zone and all-day events are read in `zone`. Cancelled events are left out.
    """
    if len(text) > BYTES_MAX:
        raise Rejected(f"The calendar is larger than {BYTES_MAX} bytes.", remedy="Export fewer years.")
    try:
        parsed = Calendar.from_ical(text)
        events = recurring_ical_events.of(parsed).between(to_datetime(start), to_datetime(end))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as cause:
        raise Rejected(
            "This is not an iCalendar text.", remedy="Give the whole file, from BEGIN:VCALENDAR on."
        ) from cause
    if len(events) > OCCURRENCES_MAX:
        raise Rejected(f"More than {OCCURRENCES_MAX} occurrences.", remedy="Ask for a shorter stretch.")
    found = [
        _occurrence(event, ZoneInfo(zone)) for event in events if str(event.get("STATUS", "")) != "CANCELLED"
    ]
    return sorted(
        (each for each in found if each.starts_at < end and each.ends_at > start),
        key=lambda each: (each.starts_at, each.uid),
    )


def _occurrence(event: Any, zone: ZoneInfo) -> Occurrence:
    categories = event.get("CATEGORIES")
    names = (
        [str(each) for each in categories.cats]
        if categories is not None and hasattr(categories, "cats")
        else []
    )
    return Occurrence(
        uid=str(event.get("UID", "")),
        name=str(event.get("SUMMARY", "")),
        starts_at=_instant(event.start, zone),
        ends_at=_instant(event.end, zone),
        categories=tuple(names),
    )


def _instant(moment: dt.date | dt.datetime, zone: ZoneInfo) -> Instant:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return from_datetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))
