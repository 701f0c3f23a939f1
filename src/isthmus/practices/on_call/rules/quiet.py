"""When a person is left alone, and when too many messages become one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.kernel import calendar
from isthmus.kernel.calendar import Shift, WorkingTime
from isthmus.kernel.instant import Instant, to_datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minutes(text: str) -> int:
    """Return minutes after midnight of `HH:MM`."""
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def weekly(hours: Sequence[Mapping[str, Any]], zone: str) -> WorkingTime:
    """Return the kernel's form of `[{"days": ["mon"], "start": "22:00", "end": "07:00"}]`."""
    shifts = tuple(
        Shift(
            days=tuple(DAYS.index(day) for day in each.get("days") or DAYS),
            start=minutes(str(each.get("start", "00:00"))),
            end=minutes(str(each.get("end", "24:00"))),
        )
        for each in hours
    )
    return WorkingTime(zone=zone or "UTC", shifts=shifts)


def quiet_until(hours: Sequence[Mapping[str, Any]], zone: str, at: Instant) -> Instant | None:
    """Return when the quiet hours end that `at` lies in; None outside of them."""
    if not hours:
        return None
    rule = weekly(hours, zone)
    year = to_datetime(at).year
    for start, end in calendar.timetable(rule, year, year + 1).spans:
        if start <= at < end:
            return end
    return None


def flooded(sent: Sequence[int], *, limit: int, window: int, now: Instant) -> Instant | None:
    """Return when a recipient has had enough for now: the instant from which one digest may be sent, else None.

    `sent` are the instants of earlier messages to the recipient. At most `limit` go out within `window`.
    """
    recent = sorted(each for each in sent if each > now - window)
    if len(recent) < limit:
        return None
    return Instant(recent[len(recent) - limit] + window)
