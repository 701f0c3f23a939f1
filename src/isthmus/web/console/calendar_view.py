"""The change calendar: windows, freezes and peaks on the days of a month or a week, in the viewer's zone."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from isthmus.kernel.instant import Instant, from_datetime, to_datetime
from isthmus.web import records

PER_DAY_MAX: Final = 8
CHANGES_MAX: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line in a day. `tone`: now (a change), warn (peak, or two changes on one item), bad (freeze)."""

    label: str
    href: str
    tone: str
    title: str


@dataclass(kw_only=True)
class Day:
    date: dt.date
    inside: bool
    today: bool
    entries: list[Entry] = field(default_factory=list)
    more: int = 0


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Rows of seven days with what lies in them; `before` and `after` are the neighbouring sheets' dates."""

    title: str
    weeks: list[list[Day]]
    before: str
    after: str


def sheet(view: str, wanted: str, now: Instant, time_zone: str) -> Sheet:
    """Return the sheet of the month or week around the date `wanted` with windows, freezes and peaks."""
    found = blank(view, wanted, now, time_zone)
    _fill([day for week in found.weeks for day in week], _zone(time_zone))
    return found


def blank(view: str, wanted: str, now: Instant, time_zone: str) -> Sheet:
    """Return the empty sheet of the month or week around the date `wanted` (ISO; empty: today)."""
    zone = _zone(time_zone)
    today = to_datetime(now).astimezone(zone).date()
    try:
        middle = dt.date.fromisoformat(wanted) if wanted else today
    except ValueError:
        middle = today
    if view == "week":
        monday = middle - dt.timedelta(days=middle.weekday())
        dates = [[monday + dt.timedelta(days=i) for i in range(7)]]
        title = f"Week {monday.isocalendar().week}, {monday:%d %B %Y}"
        before, after = monday - dt.timedelta(days=7), monday + dt.timedelta(days=7)
    else:
        dates = calendar.Calendar().monthdatescalendar(middle.year, middle.month)
        title = f"{middle:%B %Y}"
        before = middle.replace(day=1) - dt.timedelta(days=1)
        after = (middle.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    weeks = [
        [
            Day(date=each, inside=view == "week" or each.month == middle.month, today=each == today)
            for each in week
        ]
        for week in dates
    ]
    return Sheet(title=title, weeks=weeks, before=before.isoformat(), after=after.isoformat())


def _fill(days: list[Day], zone: dt.tzinfo) -> None:
    start = _midnight(days[0].date, zone)
    end = _midnight(days[-1].date + dt.timedelta(days=1), zone)
    freezes = (
        records.of("freeze")
        .filter(state="active", starts_at__lt=end, ends_at__gt=start)
        .order_by("starts_at")
    )
    changes = list(
        records.of("change")
        .filter(window_start__lt=end, window_end__gt=start)
        .exclude(state="cancelled")
        .order_by("window_start", "id")[:CHANGES_MAX]
    )
    clashing = clashes(changes)
    spans: list[tuple[int, int, Entry]] = []
    for each in freezes:
        tone = "bad" if each.effect == "freeze" else "warn"
        spans.append(
            (
                each.starts_at,
                each.ends_at,
                Entry(label=f"{each.effect}: {each.name}", href="", tone=tone, title=each.name),
            )
        )
    for each in changes:
        clash = clashing.get(each.id, "")
        title = f"{each.number} {each.title}{f' ({clash})' if clash else ''}"
        label = f"{'◆ ' if clash else ''}{each.number} {each.title}"
        spans.append(
            (
                each.window_start,
                each.window_end,
                Entry(label=label, href=f"/changes/{each.id}", tone="warn" if clash else "now", title=title),
            )
        )
    for day in days:
        first, last = _midnight(day.date, zone), _midnight(day.date + dt.timedelta(days=1), zone)
        here = [entry for begins, ends, entry in spans if begins < last and ends > first]
        day.entries, day.more = here[:PER_DAY_MAX], max(0, len(here) - PER_DAY_MAX)


def clashes(changes: Iterable[Any]) -> dict[str, str]:
    """Return change id → words, for changes whose windows overlap on a shared configuration item."""
    found: dict[str, str] = {}
    running: list[Any] = []
    for each in changes:
        running = [other for other in running if other.window_end > each.window_start]
        for other in running:
            if set(each.cis or ()) & set(other.cis or ()):
                found[each.id] = f"same item as {other.number}"
                found[other.id] = f"same item as {each.number}"
        running.append(each)
    return found


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def _midnight(date: dt.date, zone: dt.tzinfo) -> Instant:
    return from_datetime(dt.datetime.combine(date, dt.time(), tzinfo=zone))
