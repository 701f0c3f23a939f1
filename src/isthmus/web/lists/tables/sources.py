"""Sources of alerts, the silent ones first: whether each is heard from, and whether what it is told sticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count, Max, Q

from isthmus.hub import connections
from isthmus.kernel.errors import Rejected
from isthmus.ledger import scope
from isthmus.ledger.ids import source
from isthmus.practices.monitoring import expecting, telling
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    aside,
    instant,
    lines,
    link,
    number,
    quiet,
    state,
    together,
    words,
)
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import organisation, organisations
from isthmus.web.templatetags.isthmus import duration

ACTS: Final = frozenset({"acknowledge", "annotate", "resolve", "silence"})


@dataclass(frozen=True, kw_only=True)
class Source:
    """One connection that sends alerts. `expected`: what should be heard from it (None: nothing is declared)."""

    name: str
    title: str
    organisation: str
    able: tuple[str, ...]
    expected: Any = None
    last: int | None = None
    firing: int = 0
    astray: int = 0

    @property
    def silent(self) -> str:
        return str(self.expected.silent) if self.expected is not None else ""


def sources() -> list[Source]:
    """Return the sources that the open scope shows; one query, however many there are."""
    seen = scope.current()
    expected = {each.connection: each for each in expecting.visible(source.now())}
    counted = {each["connection"]: each for each in _counted()}
    found = []
    for name, each in connections.in_force().items():
        if (seen is not None and each.organisation not in seen) or not any(
            able.kind == "alert" for able in each.manifest.able()
        ):
            continue
        counts = counted.get(name, {})
        found.append(
            Source(
                name=name, title=each.manifest.name, organisation=each.organisation,
                able=tuple(sorted(telling.able(name) & ACTS)), expected=expected.get(name), last=counts.get("last"),
                firing=counts.get("firing", 0), astray=counts.get("astray", 0),
            )
        )  # fmt: skip
    return sorted(found, key=lambda each: (not each.silent, each.name))


def _counted() -> Any:
    return (
        records.of("alert")
        .filter(open=True)
        .values("connection")
        .annotate(
            firing=Count("id", filter=Q(state="firing")),
            last=Max("last_seen_at"),
            astray=Count("id", filter=Q(astray=True)),
        )
        .order_by("connection")
    )


def _sources(asked: Asked, cursor: str, limit: int) -> Slice:
    if cursor and not cursor.isdigit():
        raise Rejected("The cursor is not one of ours.", remedy="Start from the first page.")
    held = sources()
    if wanted := asked.get("heard"):
        held = [each for each in held if bool(each.silent) is (wanted == "silent")]
    skipped = int(cursor or 0)
    more = str(skipped + limit) if len(held) > skipped + limit else ""
    return Slice(items=held[skipped : skipped + limit], next=more)


def _path(row: Source, **more: str) -> str:
    return "/alerts?" + urlencode({"state": "any", **more, "connection": row.name})


def _heard(row: Source, beside: Beside) -> Cell:
    if row.expected is None:
        return quiet("nothing is expected")
    if row.silent:
        return together(state("silent", "Silent", "bad"), aside(row.silent))
    return together(state("heard", "In time", "good"), instant(row.expected.heard_at, beside))


def _expected(row: Source, _: Beside) -> Cell:
    if row.expected is None:
        return EMPTY
    return words(f"every {duration(row.expected.every)}{', by heartbeat' if row.expected.heartbeat else ''}")


SOURCES: Final = Table(
    key="sources",
    title="Sources",
    path="/sources",
    permission="alert:read",
    fixed="source",
    fetch=_sources,
    order="name",
    id_of=lambda row: str(row.name),
    filters=(Filter(name="heard", choices=("silent", "in_time"), linked=True),),
    loaders={"organisations": organisations},
    columns=(
        Column(key="source", heading="Source",
               cell=lambda row, _: lines((link(row.name, _path(row)), aside(row.title)))),
        Column(key="heard", heading="Heard from", look="wrap", cell=_heard),
        Column(key="last", heading="Last alert event",
               cell=lambda row, beside: instant(row.last, beside) if row.last else quiet("none open")),
        Column(key="expected", heading="Expected", cell=_expected),
        Column(key="firing", heading="Firing", number=True, cell=lambda row, _: number(row.firing)),
        Column(key="astray", heading="Did not stick", number=True,
               cell=lambda row, _: link(str(row.astray), _path(row, mark="astray")) if row.astray else number(0)),
        Column(key="able", heading="Can be told", look="wrap", cell=lambda row, _: words(", ".join(row.able) or "nothing")),
        organisation,
    ),
)  # fmt: skip
