"""The change calendar: what is planned, what stands in the way, what collides, and the next free slot."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from isthmus.kernel.calendar import Span, next_free
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.practices.change import proof, schedule
from isthmus.practices.change.blueprint import ChangeSection, occurrences
from isthmus.practices.change.freezes import active
from isthmus.practices.change.rules.gate import Effect
from isthmus.practices.configuration import service as configuration

DAYS_MAX = 400
ITEMS_MAX = 2_000


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the calendar. `effect`: change, window, freeze, peak. `source`: blueprint or record."""

    effect: str
    name: str
    starts_at: int
    ends_at: int
    id: str = ""
    state: str = ""
    risk: str = ""
    authorisation: str = ""
    environments: list[str] = []
    cis: list[str] = []


class Collision(msgspec.Struct, frozen=True, kw_only=True):
    """Two changes at one time whose items touch, or a change inside a freeze. `shared` are item ids."""

    first: str
    second: str
    why: str
    shared: list[str] = []


class CalendarPage(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar between two instants."""

    items: list[Item]
    conflicts: list[Collision]


def calendar(start: Instant, end: Instant, *, organisation: str) -> CalendarPage:
    """Return everything planned in `[start, end)` with what collides."""
    if not start < end <= start + DAYS_MAX * DAY:
        raise Rejected(f"A calendar shows at most {DAYS_MAX} days.", remedy="Give from before to.")
    planned = [
        each
        for each in schedule.current(organisation, end).planned
        if each.state != "cancelled" and _inside(each, start, end)
    ]
    changes = [
        Item(
            effect="change", name=each.number, starts_at=each.starts_at or 0, ends_at=each.ends_at or 0, id=each.change, state=each.state,
            risk=each.risk, authorisation=each.authorisation, environments=[each.environment] if each.environment else [], cis=list(each.cis),
        )
        for each in planned
    ]  # fmt: skip
    standing = items(start, end, organisation=organisation, section=proof.section())
    found = sorted([*changes, *standing], key=lambda each: (each.starts_at, each.effect, each.name))[
        :ITEMS_MAX
    ]
    return CalendarPage(items=found, conflicts=_conflicts(changes, standing, organisation))


def items(start: Instant, end: Instant, *, organisation: str, section: ChangeSection) -> list[Item]:
    """Return windows, freezes and peaks that overlap `[start, end)`: the blueprint's and those that people set."""
    found = [
        Item(
            effect=each.effect,
            name=each.name,
            starts_at=begin,
            ends_at=stop,
            environments=each.environments,
            cis=each.cis,
        )
        for each in section.calendar
        for begin, stop in occurrences(each, start, end)
    ]
    return found + [each for each in freezes(organisation) if each.starts_at < end and each.ends_at > start]


def freezes(organisation: str) -> list[Item]:
    """Return the active freezes and peaks that people set."""
    return [
        Item(
            effect=told["effect"], name=told["name"], starts_at=told["starts_at"] or 0, ends_at=told["ends_at"] or 0, id=told["id"],
            state=told["state"], environments=list(told["environments"] or []), cis=list(told["cis"] or []),
        )
        for told in active(organisation)
    ]  # fmt: skip


def concerns(item: Item, *, environment: str, cis: set[str], organisation: str) -> bool:
    """Return whether a calendar item is about these items (ids) in this environment.

    An item that names configuration items is about them and everything that depends on them. A change that
    names no environment is in all of them.
    """
    if item.environments and environment and environment not in item.environments:
        return False
    if not item.cis:
        return True
    held = configuration.snapshot_of(organisation)
    named = [ci for each in item.cis if (ci := held.index.resolve(each))]
    return bool(held.graph.affected(named) & cis)


def next_slot(
    duration: int,
    *,
    cis: Iterable[str],
    environment: str,
    after: Instant,
    until: Instant,
    high_risk: bool,
    organisation: str,
) -> Span | None:
    """Return the first stretch of `duration` microseconds that no freeze, peak or other change stands against."""
    if not 0 < duration <= until - after <= DAYS_MAX * DAY:
        raise Rejected(
            f"Give a duration and a stretch of at most {DAYS_MAX} days to look in.", remedy="Shorten it."
        )
    starts = {ci for ci in configuration.resolve(cis, organisation=organisation).values() if ci}
    about = [
        each
        for each in items(after, until, organisation=organisation, section=proof.section())
        if concerns(each, environment=environment, cis=starts, organisation=organisation)
    ]
    effects: set[Effect] = {"freeze", "peak"} if high_risk else {"freeze"}
    blocked = [(Instant(each.starts_at), Instant(each.ends_at)) for each in about if each.effect in effects]
    blocked += _busy(starts, organisation, after)
    windows = [(Instant(each.starts_at), Instant(each.ends_at)) for each in about if each.effect == "window"]
    return next_free(
        after,
        duration,
        until=until,
        allowed=windows if _windowed(starts, environment, organisation) else None,
        blocked=blocked,
    )


def _windowed(cis: set[str], environment: str, organisation: str) -> bool:
    return any(
        concerns(
            Item(
                effect="window",
                name=each.name,
                starts_at=0,
                ends_at=0,
                environments=each.environments,
                cis=each.cis,
            ),
            environment=environment,
            cis=cis,
            organisation=organisation,
        )
        for each in proof.section().calendar
        if each.effect == "window"
    )


def windowed(cis: set[str], environment: str, organisation: str) -> bool:
    """Return whether recurring change windows govern these items in this environment."""
    return _windowed(cis, environment, organisation)


def _busy(cis: set[str], organisation: str, now: Instant) -> list[Span]:
    by_item = schedule.current(organisation, now).by_item()
    return [
        (Instant(each.starts_at), Instant(each.ends_at))
        for ci in cis
        for each in by_item.get(ci, ())
        if each.starts_at is not None
        and each.ends_at is not None
        and each.state not in {"closed", "cancelled", "review"}
    ]


def _inside(each: schedule.Planned, start: Instant, end: Instant) -> bool:
    return (
        each.starts_at is not None
        and each.ends_at is not None
        and each.starts_at < end
        and each.ends_at > start
    )


def _conflicts(changes: list[Item], standing: list[Item], organisation: str) -> list[Collision]:
    held = configuration.snapshot_of(organisation)
    open_ones = [each for each in changes if each.state not in {"closed", "review"}]
    own = {
        each.id: {ci for reference in each.cis if (ci := held.index.resolve(reference))} for each in open_ones
    }
    reach = {each.id: held.graph.affected(own[each.id]) for each in open_ones}
    found: list[Collision] = []
    for index, first in enumerate(open_ones):
        for second in open_ones[index + 1 :]:
            if not (first.starts_at < second.ends_at and second.starts_at < first.ends_at):
                continue
            shared = sorted((reach[first.id] & own[second.id]) | (own[first.id] & reach[second.id]))
            if shared:
                found.append(
                    Collision(
                        first=first.name,
                        second=second.name,
                        why="Both touch the same items at one time.",
                        shared=shared[:20],
                    )
                )
        for item in standing:
            clash = (
                item.effect != "window" and item.starts_at < first.ends_at and first.starts_at < item.ends_at
            )
            environment = first.environments[0] if first.environments else ""
            about = clash and (item.effect == "freeze" or first.risk == "high")
            if about and concerns(
                item, environment=environment, cis=own[first.id], organisation=organisation
            ):
                found.append(
                    Collision(first=first.name, second=item.name, why=f"The window lies in a {item.effect}.")
                )
    return found
