"""Who is on duty when. Pure: layers, overrides and an instant go in, a person comes out.

A rota is a stack of layers: a later layer wins wherever somebody of it is on duty, and an override wins over
all of them. A layer hands over at wall-clock times: boundary `k` is the instant at which the clock of its zone
first shows `start + k x rotation` (a time that the clock skips counts from where the clock stood before). The
boundaries are instants in ascending order, so every instant belongs to exactly one turn, on every day of the year.

Worked example: Ada, Ben and Cai, a week each from Monday 09:00 in Berlin. In the week in which the clock goes
back Ada is on duty for 169 hours, and Ben still takes over on Monday at nine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from isthmus.kernel import calendar
from isthmus.kernel.calendar import WorkingTime
from isthmus.kernel.instant import DAY, Instant, from_datetime, to_datetime

WINDOW_DAYS_MAX = 100
"""The longest stretch for which turns are listed."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Participants in turn. `start` is the wall-clock time of the first handover; `hours` None: at all hours."""

    name: str
    participants: tuple[str, ...]
    rotation: dt.timedelta
    start: dt.datetime
    zone: str
    hours: WorkingTime | None = None


@dataclass(frozen=True, kw_only=True)
class Rota:
    """A named stack of layers, the lowest first."""

    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class Override:
    """`person` is on duty from `starts_at` until `ends_at`; with `replaces` only where that person would be."""

    id: str
    person: str
    starts_at: Instant
    ends_at: Instant
    replaces: str = ""


@dataclass(frozen=True, kw_only=True)
class Duty:
    """A stretch with one answer. `person` "" is a gap: nobody is on duty."""

    starts_at: Instant
    ends_at: Instant
    person: str
    layer: str = ""
    override: str = ""


def handover(layer: Layer, turn: int) -> Instant:
    """Return the instant at which turn `turn` begins."""
    wall = layer.start + turn * layer.rotation
    return from_datetime(wall.replace(tzinfo=ZoneInfo(layer.zone), fold=0))


def turn_at(layer: Layer, at: Instant) -> int:
    """Return the number of the turn that `at` belongs to; negative before the first handover."""
    wall = to_datetime(at).astimezone(ZoneInfo(layer.zone)).replace(tzinfo=None)
    turn = (wall - layer.start) // layer.rotation
    # The clock may show an hour twice or skip it: the boundaries decide, the division only comes near.
    while handover(layer, turn) > at:
        turn -= 1
    while handover(layer, turn + 1) <= at:
        turn += 1
    return turn


def on_layer(layer: Layer, at: Instant) -> str:
    """Return who of a layer is on duty, "" for nobody."""
    if not layer.participants or (layer.hours is not None and not calendar.open_at(layer.hours, at)):
        return ""
    turn = turn_at(layer, at)
    return "" if turn < 0 else layer.participants[turn % len(layer.participants)]


def on_duty(rota: Rota, overrides: Sequence[Override], at: Instant) -> Duty:
    """Return the duty at one instant, as a stretch without length. Of several overrides the newest counts."""
    person, name = "", ""
    for layer in reversed(rota.layers):
        if person := on_layer(layer, at):
            name = layer.name
            break
    found = Duty(starts_at=at, ends_at=at, person=person, layer=name)
    # Oldest first: a later override may replace whom an earlier one has put on duty.
    for each in sorted(overrides, key=lambda one: one.id):
        if each.starts_at <= at < each.ends_at and each.replaces in {"", found.person}:
            found = replace(found, person=each.person, override=each.id)
    return found


def duties(rota: Rota, overrides: Sequence[Override], since: Instant, until: Instant) -> list[Duty]:
    """Return who is on duty from `since` until `until`: stretches without holes between them, gaps included."""
    until = Instant(min(until, since + WINDOW_DAYS_MAX * DAY))
    edges = {since, *(each for each in _edges(rota, overrides, since, until) if since < each < until)}
    starts = sorted(edges)
    found: list[Duty] = []
    for start, end in zip(starts, [*starts[1:], until], strict=True):
        here = replace(on_duty(rota, overrides, start), ends_at=end)
        if found and (found[-1].person, found[-1].layer, found[-1].override) == (
            here.person,
            here.layer,
            here.override,
        ):
            found[-1] = replace(found[-1], ends_at=end)
        else:
            found.append(here)
    return [each for each in found if each.ends_at > each.starts_at]


def gaps(duty: Sequence[Duty]) -> list[Duty]:
    """Return the stretches in which nobody is on duty."""
    return [each for each in duty if not each.person]


def _edges(rota: Rota, overrides: Sequence[Override], since: Instant, until: Instant) -> Iterator[Instant]:
    for each in overrides:
        yield from (each.starts_at, each.ends_at)
    years = (to_datetime(since).year, to_datetime(until).year)
    for layer in rota.layers:
        turn = max(turn_at(layer, since), 0)
        while (at := handover(layer, turn)) < until:
            yield at
            turn += 1
        if layer.hours is not None:
            for start, end in calendar.timetable(layer.hours, *years).spans:
                yield from (start, end)
