"""The on-call calendar: who is on duty on the days of a month or a week, gaps and overrides in sight."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from isthmus.identity import people
from isthmus.kernel.instant import Instant, from_datetime, to_datetime
from isthmus.practices.on_call import service
from isthmus.web.console import calendar_view
from isthmus.web.console.calendar_view import Entry, Sheet

ROTAS_MAX = 30


def sheet(
    view: str, wanted: str, now: Instant, time_zone: str, rotas: Iterable[str], *, mine: str = ""
) -> Sheet:
    """Return the sheet around a date; `mine` (a person) shows only that person's duties."""
    found = calendar_view.blank(view, wanted, now, time_zone)
    days = [day for week in found.weeks for day in week]
    zone = _zone(time_zone)
    since, until = _midnight(days[0].date, zone), _midnight(days[-1].date + dt.timedelta(days=1), zone)
    shown = service.duties(list(rotas)[:ROTAS_MAX], since, until)
    stretches = [(name, each) for name, some in shown.items() for each in some]
    names = people.labels(each.person for _, each in stretches)
    for day in days:
        first, last = _midnight(day.date, zone), _midnight(day.date + dt.timedelta(days=1), zone)
        here = [
            _entry(name, each, names.get(each.person, each.person), zone, first)
            for name, each in stretches
            if each.starts_at < last and each.ends_at > first and mine in {"", each.person}
        ]
        day.entries = here[: calendar_view.PER_DAY_MAX]
        day.more = max(0, len(here) - calendar_view.PER_DAY_MAX)
    return found


def _entry(rota: str, duty: service.Duty, name: str, zone: dt.tzinfo, first: Instant) -> Entry:
    start, end = (to_datetime(each).astimezone(zone) for each in (duty.starts_at, duty.ends_at))
    since = f" {start:%H:%M}" if duty.starts_at > first else ""
    if not duty.person:
        return Entry(
            label=f"▲ {rota}{since}: nobody", href="", tone="bad", title=f"{rota}: nobody from {start:%d %b %H:%M} to {end:%d %b %H:%M}"
        )  # fmt: skip
    mark = "◆ " if duty.override else ""
    said = f"{rota}: {name}, {start:%d %b %H:%M} to {end:%d %b %H:%M}, {'an override' if duty.override else f'layer {duty.layer}'}"
    return Entry(
        label=f"{mark}{rota}{since}: {name}", href="", tone="warn" if duty.override else "now", title=said
    )


def _zone(name: str) -> dt.tzinfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def _midnight(date: dt.date, zone: dt.tzinfo) -> Instant:
    return from_datetime(dt.datetime.combine(date, dt.time(), tzinfo=zone))
