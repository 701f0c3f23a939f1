"""Patterns in logs as alerts: a query, a window, a threshold. Shared by the connectors of log stores.

Windows follow each other without gaps and do not overlap: each is counted once it is complete (and the store had
`lag_seconds` to index it), however long nobody asked. The window under way is looked at as well, but only to fire
early: a count that is not complete cannot say that all is well. Worked example: a window of 60 s, `>= 10`. At 12:00:50
the window from 12:00 has 14 lines: it fires. At 12:01:30 the whole window has 17: the same event. The next has 3: over.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol, Self

import msgspec
from msgspec import Meta, Struct

from isthmus.connectors.kit import alerts
from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.episodes import Episodes, Open
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Page
from isthmus.connectors.kit.thresholds import Threshold, judge, said
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import Observation

WINDOWS_A_POLL_MAX = 24
"""After a long absence a poll counts so many windows of a query, the next poll goes on: nothing is skipped."""
SAMPLE_CHARACTERS_MAX = 500
NAME = r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$"


class LogQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pattern that is counted per window; connectors add how it is written."""

    name: Annotated[str, Meta(description="What the alert is called.", pattern=NAME)]
    query: Annotated[
        str, Meta(description="What is counted, in the store's own language.", min_length=1, max_length=8_000)
    ]
    threshold: Annotated[
        Threshold, Meta(description="Which count of a window is an alert, and when it is over.")
    ]
    window_seconds: Annotated[int, Meta(description="The length of a window.", ge=10, le=86_400)] = 60
    lag_seconds: Annotated[
        int, Meta(description="How long the store may take until a line can be found.", ge=0, le=3_600)
    ] = 30
    severity: Annotated[Severity, Meta(description="The severity of the alert.")] = "warning"
    summary: Annotated[str, Meta(description="What people read; empty: the name.", max_length=500)] = ""
    labels: Annotated[
        dict[str, str], Meta(description="Labels that the alert has beside the group's.", max_length=50)
    ] = {}
    groups_max: Annotated[int, Meta(description="More groups are a fault of the query.", ge=1, le=1_000)] = (
        100
    )


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many lines of one group were found; `sample` is one of them, if the query asks for it."""

    labels: Mapping[str, str]
    number: float
    sample: str = ""


@dataclass(frozen=True, kw_only=True)
class Window:
    """From `start` (included) to `end` (not included), in seconds since 1970. `whole`: it is complete."""

    start: int
    end: int
    whole: bool


class QueryFault(NeedsOperator):
    """A fault of one query, which leaves the others."""


class Counter(Protocol):
    """Asks the store: the counts of one window by group. A group without lines may be left out."""

    async def count(self, query: LogQuery, window: Window) -> list[Count]:
        """Return the counts; raise if the answer is not whole, `QueryFault` where the query is to blame."""
        ...


class Watermark(Struct, frozen=True):
    """Up to where each query was counted, and what is open."""

    until: dict[str, int] = {}
    open: dict[str, Open] = {}

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what the poll before left; nothing, where another version wrote it."""
        if not text:
            return cls()
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.ValidationError, msgspec.DecodeError):
            return cls()

    def text(self) -> str:
        """Return what the next poll reads."""
        return msgspec.json.encode(self).decode()


def windows(query: LogQuery, until: int | None, now: float) -> list[Window]:
    """Return the windows to count now: those that became complete since `until`, then the one under way.

    A query that was never counted begins with the last complete window. A changed length begins at its own grid,
    not after `until`: rather twice than not at all.
    """
    length = query.window_seconds
    complete = math.floor((now - query.lag_seconds) / length) * length
    start = complete - length if until is None else min(until // length * length, complete)
    found = [Window(start=at, end=at + length, whole=True) for at in range(start, complete, length)]
    if len(found) > WINDOWS_A_POLL_MAX:
        return found[:WINDOWS_A_POLL_MAX]
    return [*found, Window(start=complete, end=complete + length, whole=False)]


async def poll(
    queries: Iterable[LogQuery],
    counter: Counter,
    connection: str,
    watermark: str,
    *,
    page_size: int,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Page]:
    """Yield what the windows of every query say; a fault of one query leaves the others.

    The watermark moves with the last page only: a poll that breaks off is done again as a whole.
    """
    before = Watermark.read(watermark)
    open_, until = dict(before.open), dict(before.until)
    found: list[Observation] = []
    faults: list[IsthmusError] = []
    wanted = list(queries)
    for query in wanted:
        for window in windows(query, before.until.get(query.name), clock()):
            try:
                counts = await counter.count(query, window)
                found += _judged(query, window, counts, open_, connection)
            except (Rejected, QueryFault) as fault:
                faults.append(_of(query, fault))
                break
            if window.whole:
                until[query.name] = window.end
    found += _forgotten(wanted, open_, connection)
    known = {each.name for each in wanted}
    left = Watermark({name: at for name, at in until.items() if name in known}, open_)
    for page in in_pages(found, size=page_size, watermark=watermark, following=left.text()):
        yield page
    if faults:
        raise faults[0]


def _judged(
    query: LogQuery, window: Window, counts: list[Count], open_: dict[str, Open], connection: str
) -> list[Observation]:
    """Return what one window says, and keep in `open_` what is open after it."""
    if len(counts) > query.groups_max:
        raise QueryFault(
            f"It finds {len(counts)} groups, more than {query.groups_max}.",
            remedy="Group by fewer values, or raise groups_max.",
        )
    episodes = Episodes(open_)
    episodes.keeps_all(but=[key for key in open_ if key.startswith(_prefix(query))] if window.whole else ())
    found = []
    seen = {_key(query, each.labels): each for each in counts}
    # A group without lines is not in the answer: its count is nought.
    for key, held in open_.items():
        if key.startswith(_prefix(query)):
            seen.setdefault(key, Count(labels=held.labels, number=0.0))
    for key, count in seen.items():
        verdict = judge(count.number, query.threshold)
        if verdict == "stays":
            episodes.keeps(key)
        elif verdict == "fires":
            found.append(_fires(query, window, key, count, episodes, connection))
    if window.whole:
        found += [
            _over(key, held, Instant(window.end * SECOND), connection)
            for key, held in episodes.ended().items()
        ]
    open_.clear()
    open_.update(episodes.now)
    return found


def _fires(
    query: LogQuery, window: Window, key: str, count: Count, episodes: Episodes, connection: str
) -> Observation:
    labels = {**count.labels, **query.labels, "alertname": query.name}
    summary = query.summary or query.name
    since = episodes.fires(key, Instant(window.start * SECOND), labels, summary)
    return alerts.alert(
        connection=connection,
        key=key,
        label=query.name,
        state="firing",
        summary=summary,
        labels=labels,
        annotations={
            "count": said(count.number, query.threshold),
            "window_seconds": query.window_seconds,
            "query": query.query,
            "sample": count.sample[:SAMPLE_CHARACTERS_MAX],
        },
        more={"severity": query.severity},
        starts_at=since,
        occurred_at=Instant(window.start * SECOND),
        event_id=f"{key}:{window.end}:firing",
    )


def _over(key: str, held: Open, at: Instant, connection: str) -> Observation:
    return alerts.alert(
        connection=connection,
        key=key,
        state="resolved",
        summary=held.summary,
        labels=held.labels,
        starts_at=Instant(held.since),
        ends_at=at,
        event_id=f"{key}:{at // SECOND}:resolved",
    )


def _forgotten(queries: list[LogQuery], open_: dict[str, Open], connection: str) -> list[Observation]:
    """Return the end of alerts whose query was taken out of the configuration: nobody watches them any more."""
    prefixes = tuple(_prefix(each) for each in queries)
    gone = {key: held for key, held in open_.items() if not key.startswith(prefixes)}
    for key in gone:
        del open_[key]
    return [
        alerts.alert(
            connection=connection,
            key=key,
            state="resolved",
            summary=held.summary,
            labels=held.labels,
            starts_at=Instant(held.since),
            event_id=f"{key}:{held.since}:forgotten",
        )
        for key, held in gone.items()
    ]


def _prefix(query: LogQuery) -> str:
    return f"log/{query.name}/"


def _key(query: LogQuery, labels: Mapping[str, str]) -> str:
    told = ",".join(f"{name}={labels[name]}" for name in sorted(labels))
    return f"{_prefix(query)}{told}"[:500]


def _of(query: LogQuery, fault: IsthmusError) -> NeedsOperator:
    made = NeedsOperator(
        f"The query {query.name!r}: {fault.text}", remedy=fault.remedy or "Correct the query."
    )
    made.__cause__ = fault
    return made
