"""Polls PagerDuty: first what is open, then the log of all incidents since the watermark, which tells resolutions too.

PagerDuty pages no further than 10,000 rows, so the log is read window by window, and a window with more is halved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from isthmus.connectors.kit.paging import by_offset
from isthmus.connectors.kit.ports import Context, Page
from isthmus.connectors.pagerduty.mapping import WHAT, Incident, LogEntry, from_listed, from_log
from isthmus.connectors.pagerduty.rest import ROWS_MAX, Rest, decoded, total
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import HOUR, SECOND, Instant, from_rfc3339, to_rfc3339
from isthmus.kernel.observation import Observation

_LAG = 60 * SECOND
WINDOW = 6 * HOUR
WINDOW_MIN = SECOND
WINDOWS_MAX = 120
_OVERLAP = 2


class _TooMany(Exception):
    """A list goes on beyond the last row that PagerDuty pages to."""


class Polling:
    """The polls of one connection."""

    def __init__(self, context: Context, rest: Rest) -> None:
        self._connection, self._rest, self._config = context.connection, rest, rest.config
        self._size = context.limits.page_size_max

    async def changed_since(self, watermark: str) -> AsyncIterator[Page]:
        """Yield open incidents at first, then every incident whose log grew since `watermark`."""
        if watermark:
            async for page in self._logged(from_rfc3339(watermark)):
                yield page
            return
        started = await self._rest.their_time()
        try:
            async for rows in by_offset(
                self._open, size=self._size, identity=lambda row: row.id, overlap=_OVERLAP
            ):
                yield Page(observations=self._taken(rows), watermark="")
        except _TooMany:
            raise NeedsOperator(
                f"PagerDuty holds more than {ROWS_MAX} open incidents, and pages no further.",
                remedy="Name the services that this connection looks at.",
            ) from None
        yield Page(observations=(), watermark=to_rfc3339(started))

    async def _open(self, offset: int, limit: int) -> tuple[Sequence[Incident], int | None]:
        _within(offset, limit)
        params: dict[str, str | int] = {
            "offset": offset, "limit": limit, "date_range": "all", "sort_by": "created_at:asc",
        }  # fmt: skip
        query = "&".join(["statuses[]=triggered", "statuses[]=acknowledged", *self._rest.of_services()])
        answer = await self._rest.get(f"/incidents?{query}", params)
        rows = decoded(answer, "incidents", list[Incident])
        return rows, total(answer, offset, len(rows))

    async def _logged(self, since: Instant) -> AsyncIterator[Page]:
        now, span = await self._rest.their_time(), WINDOW
        for _ in range(WINDOWS_MAX):
            until = Instant(min(since + span, now + _LAG))
            try:
                async for rows in self._window(since, until):
                    yield Page(observations=self._logged_taken(rows), watermark=to_rfc3339(since))
            except _TooMany:
                if until - since <= WINDOW_MIN:
                    raise NeedsOperator(
                        f"PagerDuty logged more than {ROWS_MAX} entries within a second, and pages no further.",
                        remedy="Give the key a part of the account only.",
                    ) from None
                span = max((until - since) // 2, WINDOW_MIN)
                continue
            since, span = Instant(min(until, now)), min(span * 2, WINDOW)
            yield Page(observations=(), watermark=to_rfc3339(since))
            if since >= now:
                return

    async def _window(self, since: Instant, until: Instant) -> AsyncIterator[list[LogEntry]]:
        """Yield the latest entry of each incident between two instants, page by page."""
        seen: set[str] = set()

        async def fetch(offset: int, limit: int) -> tuple[Sequence[LogEntry], int | None]:
            _within(offset, limit)
            params: dict[str, str | int] = {
                "offset": offset, "limit": limit, "since": to_rfc3339(Instant(since - _LAG)),
                "until": to_rfc3339(until), "is_overview": "true", "include[]": "incidents",
            }  # fmt: skip
            answer = await self._rest.get("/log_entries", params)
            rows = decoded(answer, "log_entries", list[LogEntry])
            return rows, total(answer, offset, len(rows))

        async for rows in by_offset(fetch, size=self._size, identity=lambda row: row.id, overlap=_OVERLAP):
            # Newest first: the first entry of an incident is its latest, and shows the incident as it is.
            fresh = [row for row in rows if row.type in WHAT and row.incident.id not in seen]
            latest = {row.incident.id: row for row in reversed(fresh)}
            seen |= latest.keys()
            yield list(latest.values())

    def _taken(self, rows: Iterable[Incident]) -> list[Observation]:
        found = (from_listed(each, self._connection, self._config) for each in rows)
        return [each for each in found if each is not None]

    def _logged_taken(self, rows: Iterable[LogEntry]) -> list[Observation]:
        wanted = set(self._config.services)
        found = (
            from_log(each, self._connection, self._config)
            for each in rows
            if not wanted or (each.incident.service is not None and each.incident.service.id in wanted)
        )
        return [each for each in found if each is not None]


def _within(offset: int, limit: int) -> None:
    if offset + limit > ROWS_MAX:
        raise _TooMany
