"""ServiceNow's own service level clocks: the rows of `task_sla`, beside the incidents that they measure.

The engine writes what has elapsed when a clock changes its stage and whenever a job recalculates it (every minute to
every day, the nearer to its breach the oftener): a number holds at its row's `sys_updated_on`, not when we read it. Such
a row changes without its incident, so a poll asks for changed rows beside changed incidents, `PAGES_MAX`
pages at once; the next poll goes on where this one stopped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from isthmus.connectors.servicenow.client import Row, ServiceNowClient, TablePage
from isthmus.connectors.servicenow.mapping import INCIDENT, instant_of, raw, shown
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ObservedSlaClock

TABLE = "task_sla"
FIELDS = (
    "sys_id", "task", "sla", "sla.target", "sla.duration", "stage", "active", "has_breached", "schedule", "start_time",
    "end_time", "planned_end_time", "pause_duration", "duration", "business_duration", "percentage", "sys_updated_on",
)  # fmt: skip
STAGES: Mapping[str, str] = {
    "in_progress": "running", "paused": "paused", "completed": "stopped", "cancelled": "cancelled",
    "breached": "running", "achieved": "stopped",
}  # fmt: skip
"""Stage → our word; the last two are those of the engine of 2010 and of its compatibility mode."""
TARGETS = frozenset({"response", "resolution"})
PAGES_MAX = 10
PARENTS_PER_QUERY = 50
_BASE = f"task.sys_class_name={INCIDENT}"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NEEDED = ("task", "sla", "stage", "start_time")
_REMEDY = (
    "Give the integration user read access (ACLs of operation read, rows and columns) to task_sla and contract_sla, or "
    "set service_levels to false."
)


class ServiceLevels:
    """The service level clocks of one instance."""

    def __init__(self, client: ServiceNowClient, page_size: int) -> None:
        self._client, self._size = client, page_size

    async def changed(self, place: str, reaching_back: Callable[[str], str]) -> tuple[list[str], str]:
        """Return the sys_ids of the tasks whose clocks changed, and the place where the next poll goes on.

        `place` is "" at first: then every clock that still counts is new. Later it is the time (UTC text) of the last
        row, or `<time>,<sys_id>` where the last poll stopped half-way, with a star before it if that was the first.
        `reaching_back` returns a time less the overlap.
        """
        first = not place or place.startswith("*")
        time, _, key = place.lstrip("*").partition(",")
        since = reaching_back(time) if time and not key else ""
        parents: dict[str, None] = {}
        hidden = 0
        for _ in range(PAGES_MAX):
            condition = f"{_BASE}{_after(time, key, since)}{'^active=true' if first else ''}"
            page = await self._page(f"{condition}^ORDERBYsys_updated_on^ORDERBYsys_id", offset=hidden)
            for row in page.rows:
                parents[raw(row, "task")] = None
                time, key, since = raw(row, "sys_updated_on"), raw(row, "sys_id"), ""
            if not page.more:
                if not place and not parents and page.total:
                    raise _blind(page.total)
                return list(parents), time
            hidden = (
                0 if page.rows else hidden + self._size
            )  # a page that access rules emptied is not the end
        if not parents:
            raise _blind(PAGES_MAX * self._size)
        return list(parents), f"{'*' if first else ''}{time},{key}"

    async def of(self, keys: Sequence[str]) -> dict[str, tuple[ObservedSlaClock, ...]]:
        """Return the clocks of some incidents by their sys_id: of each promise the one that counts now.

        The newest come first: what lies behind the last page that is read has long ended.
        """
        found: dict[str, list[Row]] = {key: [] for key in keys}
        for start in range(0, len(keys), PARENTS_PER_QUERY):
            ids = ",".join(keys[start : start + PARENTS_PER_QUERY])
            query, offset = f"taskIN{ids}^ORDERBYDESCstart_time^ORDERBYDESCsys_id", 0
            while offset < PAGES_MAX * self._size:
                page = await self._page(query, offset=offset)
                for row in page.rows:
                    found.setdefault(raw(row, "task"), []).append(row)
                offset += self._size
                if not page.more:
                    break
        return {key: clocks(rows) for key, rows in found.items()}

    async def probe(self) -> str:
        """Return the permission that is missing, or ""."""
        try:
            page = await self._page(f"{_BASE}^active=true", offset=0)
            if page.total and not page.rows:
                return f"task_sla:read ({TABLE}: rows)"
        except NeedsOperator as refused:
            if refused.status == 401:
                raise
            return f"task_sla:read ({TABLE})"
        return ""

    async def _page(self, query: str, *, offset: int) -> TablePage:
        try:
            page = await self._client.page(TABLE, query, FIELDS, limit=self._size, offset=offset)
        except NeedsOperator as refused:
            if refused.status != 403:
                raise
            raise NeedsOperator(
                "ServiceNow refuses the integration user its service level clocks (task_sla).", remedy=_REMEDY
            ) from refused
        for row in page.rows:
            if blank := [name for name in _NEEDED if not raw(row, name)]:
                raise NeedsOperator(
                    f"ServiceNow shows rows of task_sla without {', '.join(blank)}: an access rule hides columns.",
                    remedy=_REMEDY,
                )
        return page


def clocks(rows: Iterable[Row]) -> tuple[ObservedSlaClock, ...]:
    """Return the clocks of one task. A promise that was begun again has several rows: the one that counts, else the
    latest, speaks for it."""
    latest: dict[str, Row] = {}
    for row in rows:
        name = shown(row, "sla") or raw(row, "sla")
        if name not in latest or _rank(row) > _rank(latest[name]):
            latest[name] = row
    return tuple(_clock(name, latest[name]) for name in sorted(latest))


def _rank(row: Row) -> tuple[bool, str, str]:
    return raw(row, "active") == "true", raw(row, "start_time"), raw(row, "sys_id")


def _clock(name: str, row: Row) -> ObservedSlaClock:
    state = STAGES.get(raw(row, "stage"), "unknown")
    started, stopped = _instant(row, "start_time"), _instant(row, "end_time")
    ended = state in {"stopped", "cancelled"}
    target = raw(row, "sla.target")
    # Without a schedule the business columns stay empty, unless a property of the instance fills them.
    wanted = ("business_duration", "duration") if raw(row, "schedule") else ("duration", "business_duration")
    elapsed = next((span for each in wanted if (span := _span(row, each)) is not None), None)
    never_paused = state in {"running", "stopped"} and not _span(row, "pause_duration")
    whole = started is not None and never_paused and (stopped is not None or not ended)
    return ObservedSlaClock(
        name=name,
        target=target if target in TARGETS else "",
        state=state,
        amount=_span(row, "sla.duration"),
        elapsed=elapsed,
        breached=raw(row, "has_breached") == "true" or raw(row, "stage") == "breached" or _percent(row) > 100,
        started_at=started,
        stopped_at=stopped if ended else None,
        due_at=_instant(row, "planned_end_time"),
        runs=((started, stopped if ended else None),) if whole and started is not None else (),
        at=stopped if ended and stopped is not None else _instant(row, "sys_updated_on"),
    )


def _after(time: str, key: str, since: str) -> str:
    """Return the condition of what follows a place in the order of (sys_updated_on, sys_id)."""
    if key:
        return f"^sys_updated_on>={time}^sys_updated_on>{time}^ORsys_id>{key}"
    return f"^sys_updated_on>={since or time}" if time else ""


def _blind(count: int) -> NeedsOperator:
    """Return the fault of rows that are there and may not be seen: ServiceNow leaves them out without a word."""
    return NeedsOperator(
        f"ServiceNow holds {count} service level clocks (task_sla) and shows the integration user none of them.",
        remedy=_REMEDY,
    )


def _instant(row: Row, column: str) -> Instant | None:
    text = raw(row, column)
    return instant_of(text) if text else None


def _span(row: Row, column: str) -> int | None:
    """Return a duration in microseconds: ServiceNow stores it as the time that lies so long after 1970."""
    text = raw(row, column)
    if not text:
        return None
    try:
        at = dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return round((at - _EPOCH).total_seconds()) * SECOND


def _percent(row: Row) -> float:
    try:
        return float(raw(row, "percentage").replace(",", "") or 0)
    except ValueError:
        return 0.0
