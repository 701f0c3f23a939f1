"""Client of PagerDuty's REST API v2: what is open, what changed since, and what the hub does to an incident."""

from __future__ import annotations

import email.utils
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.paging import by_offset
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.reactions import Answer
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.mapping import WHAT, Incident, LogEntry, from_listed, from_log, is_own
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable
from isthmus.kernel.instant import HOUR, SECOND, Instant, from_rfc3339, to_rfc3339
from isthmus.kernel.observation import ExternalRef, Observation

T = TypeVar("T")
_ACCEPT = "application/vnd.pagerduty+json;version=2"
_LAG = 60 * SECOND
WINDOW = 6 * HOUR
"""A poll after a long absence asks window by window: PagerDuty pages no further than 10,000 rows."""
WINDOWS_MAX = 120
NOTE_CHARACTERS_MAX = 24_000


class PagerDutyClient:
    """A `Poller` that acknowledges, resolves and notes.

    The first poll lists what is open; later ones read the log of all incidents since the watermark, which tells
    resolutions too. Every effect looks at the incident first: a repeat does nothing.
    """

    def __init__(self, context: Context) -> None:
        config = cast("PagerDutyConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so it cannot be called.", remedy="Set url, or only receive."
            )
        self._context, self._config = context, config
        token = context.secret("api_token")
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Authorization": f"Token token={token}", "Accept": _ACCEPT},
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Ask what the key may do."""
        answer = await self._http.get("/abilities")
        abilities = answer.wild()["abilities"].tame(wild.each(wild.text))
        notes = () if self._config.from_ else ("Without `from`, nothing can be acknowledged or resolved.",)
        return Probe(product="PagerDuty", version=f"REST v2, {len(abilities)} abilities", notes=notes)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield open incidents at first, then every incident whose log grew since `watermark`."""
        del kind
        if watermark:
            async for page in self._logged(from_rfc3339(watermark)):
                yield page
            return
        started = await self._their_time()
        async for rows in by_offset(self._open, size=self._size, identity=lambda row: row.id, overlap=2):
            yield Page(observations=self._taken(rows), watermark="")
        yield Page(observations=(), watermark=to_rfc3339(started))

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Acknowledge an incident that is open and not acknowledged yet."""
        del labels
        return await self._turn(alert, "acknowledged", by, comment, idempotency_key)

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Say that PagerDuty has no such thing, unless nothing is acknowledged any more."""
        del labels, by, comment, idempotency_key
        held = await self._read(alert)
        if held.status != "acknowledged":
            return self._written(held)
        raise Rejected(
            "PagerDuty does not take an acknowledgement back.",
            remedy="Reassign the incident there; it is triggered again and pages whoever is next.",
        )

    async def resolve(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Resolve an incident that is not resolved yet."""
        del labels
        return await self._turn(alert, "resolved", by, comment, idempotency_key)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Leave a note, once."""
        del labels
        held = await self._read(alert)
        await self._note(alert, f"{by}: {text}" if by else text, idempotency_key)
        return self._written(held)

    async def _turn(self, alert: str, status: str, by: str, comment: str, key: str) -> Written:
        held = await self._read(alert)
        if held.status not in {status, "resolved"}:
            body = {"incident": {"type": "incident_reference", "status": status}}
            answer = await self._http.call(
                "PUT", f"/incidents/{_safe(alert)}", json=body, headers=self._from()
            )
            held = _decoded(answer, "incident", Incident)
        if comment:
            await self._note(alert, f"{by}: {comment}" if by else comment, key)
        return self._written(held)

    async def _note(self, alert: str, text: str, key: str) -> None:
        own = marks.tag(key)
        path = f"/incidents/{_safe(alert)}/notes"
        notes = (await self._http.get(path)).wild()["notes"]
        if any(own in each["content"].tame(wild.text) for each in notes.items()):
            return
        content = f"{text[:NOTE_CHARACTERS_MAX]}\n{own}"
        await self._http.call("POST", path, json={"note": {"content": content}}, headers=self._from())

    async def _read(self, alert: str) -> Incident:
        return _decoded(await self._http.get(f"/incidents/{_safe(alert)}"), "incident", Incident)

    def _written(self, incident: Incident) -> Written:
        ref = ExternalRef(
            connection=self._context.connection, kind="alert", key=incident.id, url=incident.html_url
        )
        return Written(ref=ref, observation=from_listed(incident, self._context.connection, self._config))

    def _from(self) -> dict[str, str]:
        if not self._config.from_:
            raise NeedsOperator(
                "The connection names no PagerDuty user to write as.",
                remedy="Set `from` to the e-mail address of a user of the account.",
            )
        return {"From": self._config.from_}

    @property
    def _size(self) -> int:
        return self._context.limits.page_size_max

    async def _their_time(self) -> Instant:
        """Return the partner's clock less the lag: what happens while we list is read again later."""
        answer = await self._http.get("/incidents", params={"limit": 1, "statuses[]": "triggered"})
        _decoded(answer, "incidents", list[Incident])  # The date of a proxy's error page is not theirs.
        return _date(answer)

    async def _open(self, offset: int, limit: int) -> tuple[Sequence[Incident], int | None]:
        params: dict[str, str | int] = {
            "offset": offset, "limit": limit, "date_range": "all", "sort_by": "created_at:asc",
        }  # fmt: skip
        query = "&".join(["statuses[]=triggered", "statuses[]=acknowledged", *self._of_services()])
        answer = await self._http.get(f"/incidents?{query}", params=params)
        rows = _decoded(answer, "incidents", list[Incident])
        return rows, _total(answer, offset, len(rows))

    async def _logged(self, since: Instant) -> AsyncIterator[Page]:
        now = await self._their_time()
        for _ in range(WINDOWS_MAX):
            until = Instant(min(since + WINDOW, now + _LAG))
            seen: set[str] = set()

            async def fetch(
                offset: int, limit: int, since: Instant = since, until: Instant = until
            ) -> tuple[Sequence[LogEntry], int | None]:
                params: dict[str, str | int] = {
                    "offset": offset, "limit": limit, "since": to_rfc3339(Instant(since - _LAG)),
                    "until": to_rfc3339(until), "is_overview": "true", "include[]": "incidents",
                }  # fmt: skip
                answer = await self._http.get("/log_entries", params=params)
                rows = _decoded(answer, "log_entries", list[LogEntry])
                return rows, _total(answer, offset, len(rows))

            async for rows in by_offset(fetch, size=self._size, identity=lambda row: row.id, overlap=2):
                # Newest first: the first entry of an incident is its latest, and shows the incident as it is.
                fresh = [row for row in rows if row.type in WHAT and row.incident.id not in seen]
                latest = {row.incident.id: row for row in reversed(fresh)}
                seen |= latest.keys()
                yield Page(observations=self._logged_taken(latest.values()), watermark=to_rfc3339(since))
            since = Instant(min(until, now))
            yield Page(observations=(), watermark=to_rfc3339(since))
            if since >= now:
                return

    def _taken(self, rows: Iterable[Incident]) -> list[Observation]:
        return [
            from_listed(each, self._context.connection, self._config)
            for each in rows
            if not is_own(each, self._config)
        ]

    def _logged_taken(self, rows: Iterable[LogEntry]) -> list[Observation]:
        wanted = set(self._config.services)
        return [
            from_log(each, self._context.connection, self._config)
            for each in rows
            if not is_own(each.incident, self._config)
            and (not wanted or (each.incident.service is not None and each.incident.service.id in wanted))
        ]

    def _of_services(self) -> list[str]:
        return [f"service_ids[]={_safe(each)}" for each in self._config.services]


def _decoded(answer: Answer, name: str, shape: type[T]) -> T:
    try:
        return msgspec.convert(answer.wild()[name].raw(), shape)
    except (msgspec.ValidationError, Rejected) as cause:
        raise Retryable(
            f"{answer.where} answered in a shape that is not REST v2.",
            remedy="Check that the address is PagerDuty's REST API.",
        ) from cause


def _total(answer: Answer, offset: int, count: int) -> int | None:
    more: Any = answer.wild()["more"].raw()
    return None if more else offset + count


def _date(answer: Answer) -> Instant:
    stated = answer.headers.get("date", "")
    try:
        return Instant(round(email.utils.parsedate_to_datetime(stated).timestamp()) * SECOND)
    except (ValueError, TypeError) as cause:
        raise Retryable(
            f"{answer.where} answered without a date.", remedy="It is tried again by itself."
        ) from cause


def _safe(key: str) -> str:
    if not key.isalnum() or len(key) > 100:
        raise Rejected("This is not an id of PagerDuty.", remedy="Ids are letters and digits.")
    return key
