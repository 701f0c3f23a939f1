"""The change schedule in memory: who works on what and when, found without a query per alert.

Held per organisation and read again when the counter of its calendar moves. What authorises comes from
entries: a row whose entries tell otherwise opens no maintenance window and suppresses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from isthmus.kernel.instant import DAY, HOUR, Instant
from isthmus.ledger import scope
from isthmus.ledger.held import Held
from isthmus.practices.change.models import CalendarRevision, Change
from isthmus.practices.change.proof import proven
from isthmus.practices.configuration import service as configuration

KEPT_DAYS = 400
"""How far back finished changes stay in memory."""
CHANGES_MAX = 20_000
_ACTIVE = ("scheduled", "implementation", "review")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One change of the schedule. `cis` are references as the change names them."""

    change: str
    number: str
    type: str
    state: str
    risk: str
    authorisation: str
    starts_at: int | None
    ends_at: int | None
    finished_at: int | None
    environment: str
    cis: tuple[str, ...]
    version: int


@dataclass(frozen=True, kw_only=True)
class Window:
    """An authorised change that covers an item now: the item is one of its own or depends on one."""

    change: str
    number: str
    starts_at: Instant
    ends_at: Instant
    authorisation: str


@dataclass(frozen=True, kw_only=True)
class OnPath:
    """A pending or recent change near an item: `hops` upstream along `path`; `reason` says it in words."""

    change: str
    number: str
    hops: int
    path: tuple[str, ...]
    state: str
    at: Instant
    reason: str


@dataclass(kw_only=True)
class Schedule:
    """Everything planned or lately done in one organisation."""

    organisation: str
    planned: tuple[Planned, ...]
    _windows: dict[str, list[Planned]] | None = None
    _map: Any = None
    _authorised: dict[str, bool] = field(default_factory=dict)

    def by_item(self) -> dict[str, list[Planned]]:
        """Return the changes by resolved item, for the map as it is."""
        held = configuration.snapshot_of(self.organisation)
        if self._windows is None or self._map is not held:
            found: dict[str, list[Planned]] = {}
            for each in self.planned:
                for reference in each.cis:
                    ci = held.index.resolve(reference)
                    if ci:
                        found.setdefault(ci, []).append(each)
            self._windows, self._map = found, held
        return self._windows

    def own(self, ci: str, now: Instant) -> list[Window]:
        """Return the authorised windows of changes that name `ci` itself and are open at `now`."""
        return [
            _window(each)
            for each in self.by_item().get(ci, ())
            if _covers(each, now) and self._is_authorised(each)
        ]

    def covering(self, ci: str, now: Instant) -> list[Window]:
        """Return the authorised windows that cover `ci` at `now`, dependants of a change's items included."""
        running = {
            item for item, items in self.by_item().items() if any(_covers(each, now) for each in items)
        }
        if not running or not ci:
            return []
        needed = {ci, *configuration.snapshot_of(self.organisation).graph.upstream([ci])}
        found = {window.change: window for item in sorted(needed & running) for window in self.own(item, now)}
        return [found[change] for change in sorted(found)]

    def on_path(self, cis: Iterable[str], now: Instant, *, since: Instant, hops: int) -> list[OnPath]:
        """Return changes on the items or upstream of them that are pending or ended after `since`."""
        items = self.by_item()
        if not items:
            return []
        held = configuration.snapshot_of(self.organisation)
        starts = sorted(set(cis))
        reach = {
            **{node: (each.hops, each.path) for node, each in held.graph.upstream(starts, hops).items()},
            **{ci: (0, (ci,)) for ci in starts},
        }
        found: dict[str, OnPath] = {}
        for ci, (distance, path) in sorted(reach.items(), key=lambda item: item[1][0]):
            for each in items.get(ci, ()):
                moment = _when(each, now, since)
                if moment is None or each.change in found:
                    continue
                name = held.cis[ci].name
                place = (
                    "on this item"
                    if not distance
                    else f"{distance} hop{'s' if distance > 1 else ''} upstream on {name}"
                )
                found[each.change] = OnPath(
                    change=each.change, number=each.number, hops=distance, path=path, state=each.state, at=moment,
                    reason=f"Change {each.number} {place}, {_age(moment, now)} ({each.state}).",
                )  # fmt: skip
        return sorted(found.values(), key=lambda each: (each.hops, -each.at))

    def _is_authorised(self, each: Planned) -> bool:
        if each.change not in self._authorised:
            told = proven(each.change)
            self._authorised[each.change] = told is not None and _as_planned(each, told.values)
        return self._authorised[each.change]


def _as_planned(each: Planned, told: Mapping[str, Any]) -> bool:
    """Return whether entries call the change approved, for this very window and these items."""
    window = (
        ("authorised_at", "authorised_until")
        if told["type"] == "emergency"
        else ("window_start", "window_end")
    )
    return (
        told["authorisation"] == "approved"
        and [told[name] for name in window] == [each.starts_at, each.ends_at]
        and tuple(told["cis"] or ()) == each.cis
    )


def _window(each: Planned) -> Window:
    return Window(
        change=each.change, number=each.number, starts_at=Instant(each.starts_at or 0), ends_at=Instant(each.ends_at or 0),
        authorisation=each.authorisation,
    )  # fmt: skip


def _covers(each: Planned, now: Instant) -> bool:
    inside = each.starts_at is not None and each.ends_at is not None and each.starts_at <= now < each.ends_at
    return inside and each.authorisation == "approved" and each.state in _ACTIVE


def _when(each: Planned, now: Instant, since: Instant) -> Instant | None:
    """Return the instant by which a change is judged near in time, None if it is neither pending nor recent."""
    if each.state == "cancelled":
        return None
    if each.state not in {"closed", "review"}:
        return Instant(min(each.starts_at or now, now)) if (each.ends_at or now) >= since else None
    ended = each.finished_at or each.ends_at
    return Instant(ended) if ended is not None and ended >= since else None


def _age(moment: Instant, now: Instant) -> str:
    hours = (now - moment) // HOUR
    if hours < 1:
        return "now"
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"


_held: Held[Schedule] = Held()


def current(organisation: str, now: Instant) -> Schedule:
    """Return the schedule of one organisation."""
    counted = CalendarRevision.objects.filter(organisation=organisation)
    revision = counted.values_list("revision", flat=True).first() or 0
    return _held.as_of(
        revision,
        organisation,
        lambda: Schedule(organisation=organisation, planned=_read(organisation, now)),
    )


def _read(organisation: str, now: Instant) -> tuple[Planned, ...]:
    columns = (
        "id", "number", "type", "state", "risk", "authorisation", "window_start", "window_end", "finished_at", "environment", "cis",
        "authorised_at", "authorised_until", "version",
    )  # fmt: skip
    late = Instant(now - KEPT_DAYS * DAY)
    with scope.within([organisation]):
        rows = Change.objects.filter(Q(updated_at__gte=late) | ~Q(state__in=("closed", "cancelled")))
        return tuple(_planned(row) for row in rows.order_by("-id").values_list(*columns)[:CHANGES_MAX])


def _planned(row: tuple[Any, ...]) -> Planned:
    (
        record,
        number,
        kind,
        state,
        risk,
        authorisation,
        starts,
        ends,
        finished,
        environment,
        cis,
        opened,
        until,
        version,
    ) = row
    if kind == "emergency":
        starts, ends = opened, until
    return Planned(
        change=record, number=number, type=kind, state=state, risk=risk, authorisation=authorisation, starts_at=starts, ends_at=ends,
        finished_at=finished, environment=environment, cis=tuple(cis or ()), version=version,
    )  # fmt: skip


def forget() -> None:
    """Drop what is held: between tests, and after a restore."""
    _held.forget()
