"""ServiceNow as a ticket system: incidents and change requests through the Table API.

The response of every write returns the record, which proves what is ours. `sys_mod_count` is the version; the
product offers no conditional update, so a write looks at the version first and leaves a gap of one call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.moves import way
from isthmus.connectors.kit.ports import Connector, Context, Page, Poller, Probe, SetDelta, Written
from isthmus.connectors.servicenow import mapping as spelled
from isthmus.connectors.servicenow.client import Row, ServiceNowClient
from isthmus.connectors.servicenow.columns import Columns
from isthmus.connectors.servicenow.config import ServiceNowConfig
from isthmus.connectors.servicenow.files import Files
from isthmus.connectors.servicenow.mapping import INCIDENT, MAPPINGS, raw
from isthmus.connectors.servicenow.service_levels import ServiceLevels
from isthmus.connectors.servicenow.simulator import ServiceNowSimulator
from isthmus.connectors.servicenow.webhook import ServiceNowSource
from isthmus.kernel.errors import Bug, Conflict, NeedsOperator, Problem, Rejected
from isthmus.kernel.instant import SECOND, Instant, to_datetime
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedAttachment, ObservedComment
from isthmus.kernel.record import Json

PAGES_MAX = 10_000
_TWINS_MAX = 10
_PARENTS_PER_QUERY = 50


class ServiceNow:
    """One instance, opened."""

    def __init__(self, context: Context) -> None:
        if not isinstance(context.config, ServiceNowConfig):
            raise Bug("The ServiceNow connector was opened with another connector's configuration.")
        self._config = context.config
        self._connection = context.connection
        self._page_size = context.limits.page_size_max
        self._mappings = {kind: context.mappings.get(kind, default) for kind, default in MAPPINGS.items()}
        self._client = ServiceNowClient(context, context.config, self._field_of)
        self._columns = Columns(self._client, context.config)
        self._files = Files(self._client)
        self._levels = ServiceLevels(self._client, context.limits.page_size_max)

    @property
    def mappings(self) -> Mapping[str, RecordMapping]:
        """The effective mapping per record kind."""
        return self._mappings

    async def close(self) -> None:
        """Release the session."""
        await self._client.close()

    async def probe(self) -> Probe:
        """Sign in and look at one record of each table and at the journal, changing nothing."""
        missing = []
        for table, role in (
            (INCIDENT, "itil"),
            (spelled.CHANGE, "itil"),
            ("sys_journal_field", "journal:read"),
        ):
            try:
                await self._client.page(table, "", ("sys_id",), limit=1)
            except NeedsOperator as refused:
                if refused.status == 401:
                    raise
                missing.append(f"{role} ({table})")
        if self._config.service_levels and (unseen := await self._levels.probe()):
            missing.append(unseen)
        return Probe(product="ServiceNow", version="Table API", missing_scopes=tuple(missing))

    async def read(self, ref: ExternalRef) -> Observation:
        """Read one record and its journal."""
        mapping = self._of(ref)
        row = await self._client.row(ref.kind, ref.key, spelled.fields_read(mapping))
        return self._observation(mapping, row, await self.comments(ref))

    async def find(self, correlation: str, kind: str) -> list[ExternalRef]:
        """Find records by `correlation_id`: kept in the primary store, found at once."""
        mapping = self._mapping(kind)
        rows = await self._carrying(mapping, correlation)
        return [self._observation(mapping, row, None).external for row in rows]

    async def create(
        self, kind: str, values: Mapping[str, Json], correlation: str, idempotency_key: str
    ) -> Written:
        """Create one record that carries the correlation; return the existing one if there is one already.

        ServiceNow takes no idempotency key; the correlation, looked up first, stands in for it.
        """
        del idempotency_key
        mapping = self._mapping(kind)
        there = await self._carrying(mapping, correlation)
        row = there[0] if there else None
        if row is None:
            columns = {name: str(value) for name, value in mapping.fixed.items()}
            columns |= await self._columns.of(mapping, values)
            columns["correlation_id"] = correlation
            fields = spelled.fields_read(mapping)
            row = await self._client.insert(mapping.external_kind, columns, fields)
        return self._written(self._observation(mapping, row, None))

    async def write(
        self,
        ref: ExternalRef,
        patch: Mapping[str, Json],
        set_deltas: Mapping[str, SetDelta],
        expected_version: str,
    ) -> Written:
        """Write columns; the response shows what ServiceNow made of them (ignored ones stay as they were)."""
        if refused := [name for name, delta in set_deltas.items() if delta != SetDelta()]:
            raise Rejected(
                "ServiceNow's task tables hold no sets.",
                problems=tuple(Problem(path=f"/{name}", message="cannot be stored") for name in refused),
            )
        mapping = self._of(ref)
        fields = spelled.fields_read(mapping)
        held = await self._client.row(ref.kind, ref.key, fields)
        version = raw(held, "sys_mod_count")
        if expected_version and version != expected_version:
            raise Conflict(
                f"{ref.label or ref.key} has changed since it was read.", remedy="It is read again."
            )
        columns = await self._columns.of(mapping, patch, held)
        if not columns:
            return self._written(self._observation(mapping, held, None))
        row = await self._client.update(ref.kind, ref.key, columns, fields)
        # Somebody else's edit between our look and our write may have brought comments: read them along.
        crowded = int(raw(row, "sys_mod_count") or 0) - int(version or 0) > 1
        return self._written(self._observation(mapping, row, await self.comments(ref) if crowded else None))

    async def comment(self, ref: ExternalRef, body: str, *, public: bool, correlation: str) -> Written:
        """Add a comment (public) or a work note, marked as ours in its last line."""
        mapping = self._of(ref)
        column = "comments" if public else "work_notes"
        text = {column: spelled.marked(body, correlation)}
        row = await self._client.update(ref.kind, ref.key, text, spelled.fields_read(mapping))
        comments = await self.comments(ref)
        observation = self._observation(mapping, row, comments)
        mine = next((each for each in comments if each.correlation == correlation), None)
        return Written(
            ref=observation.external, observation=observation, version=observation.version, comment=mine
        )

    async def comments(self, ref: ExternalRef) -> list[ObservedComment]:
        """Return comments and work notes, oldest first."""
        return [spelled.comment(each) for each in await self._client.journal([ref.key])]

    async def attachments(self, ref: ExternalRef) -> list[ObservedAttachment]:
        """Return the files of a record, oldest first."""
        return (await self._files.of([ref.key]))[ref.key]

    async def fetch(self, ref: ExternalRef, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file."""
        del ref
        return await self._files.fetch(key, bytes_max=bytes_max)

    async def attach(self, ref: ExternalRef, file: File) -> ObservedAttachment:
        """Add a file to a record; the record's version does not move."""
        return await self._files.attach(ref, file)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield records by (sys_updated_on, sys_id), reaching back by the overlap, each with its journal."""
        mapping = self._mapping(kind)
        table, fields, size = mapping.external_kind, spelled.fields_read(mapping), self._page_size
        updated, filed, place = (*watermark.split(";"), "", "")[:3]
        condition, offset = self._since(updated), 0
        parents: list[str] = []
        before = filed
        if updated:
            since = self._reaching_back(filed or updated)
            parents, newest = await self._files.parents_since(table, since)
            filed = newest or filed
        for _ in range(PAGES_MAX):
            query = f"{condition}^ORDERBYsys_updated_on^ORDERBYsys_id".removeprefix("^")
            page = await self._client.page(table, query, fields, limit=size, offset=offset)
            if page.rows:
                updated = _last(page.rows)[0]
                observations = await self._with_journal(mapping, page.rows)
                yield Page(observations=observations, watermark=_mark(updated, before, place))
                condition, offset = self._after(*_last(page.rows)), 0
            else:
                offset += size  # a page that access rules emptied is not the end
            if not page.more:
                async for found in self._with_new_files(mapping, parents):
                    yield Page(observations=found, watermark=_mark(updated, before, place))
                yield Page(observations=(), watermark=_mark(updated, filed, place))
                if kind == "incident" and self._config.service_levels:
                    # Last, so that a permission that is missing here holds up no incident.
                    async for each in self._with_clocks(mapping, place):
                        yield replace(each, watermark=_mark(updated, filed, each.watermark))
                return
        raise NeedsOperator(
            "ServiceNow's list of changes did not end.", remedy="Enlarge the page size of the connection."
        )

    def path(self, kind: str, from_state: str, to_state: str) -> list[str] | None:
        """Return the states of an incident to write in turn; a change request's state is never written."""
        return way(spelled.INCIDENT_MOVES, from_state, to_state) if kind == "incident" else None

    def _mapping(self, kind: str) -> RecordMapping:
        if kind not in self._mappings:
            raise Rejected(f"The ServiceNow connector does not synchronise {kind} records.")
        return self._mappings[kind]

    def _of(self, ref: ExternalRef) -> RecordMapping:
        return self._mapping("incident" if ref.kind == INCIDENT else "change")

    def _field_of(self, column: str) -> str:
        names = (mapping.canonical_name(column) for mapping in self._mappings.values())
        return next((name for name in names if name), "")

    def _observation(
        self, mapping: RecordMapping, row: Row, comments: list[ObservedComment] | None
    ) -> Observation:
        return spelled.observation(self._connection, self._config.url, row, mapping, comments)

    def _written(self, observation: Observation) -> Written:
        return Written(ref=observation.external, observation=observation, version=observation.version)

    async def _carrying(self, mapping: RecordMapping, correlation: str) -> list[Row]:
        """Return the records with this correlation. ServiceNow ignores query terms that it cannot apply and
        then returns everything, so the rows are checked."""
        page = await self._client.page(
            mapping.external_kind,
            f"correlation_id={correlation}^ORDERBYsys_created_on",
            spelled.fields_read(mapping),
            limit=_TWINS_MAX,
        )
        return [row for row in page.rows if raw(row, "correlation_id") == correlation]

    async def _with_journal(self, mapping: RecordMapping, rows: list[Row]) -> list[Observation]:
        entries = await self._client.journal([raw(row, "sys_id") for row in rows])
        comments: dict[str, list[ObservedComment]] = {}
        for entry in entries:
            comments.setdefault(raw(entry, "element_id"), []).append(spelled.comment(entry))
        files = await self._files.of([raw(row, "sys_id") for row in rows])
        seen = [self._observation(mapping, row, comments.get(raw(row, "sys_id"), [])) for row in rows]
        return [replace(each, attachments=tuple(files[each.external.key])) for each in seen]

    async def _with_new_files(
        self, mapping: RecordMapping, parents: list[str]
    ) -> AsyncIterator[list[Observation]]:
        """Yield records that got a file: their own version does not say so."""
        async for rows in self._rows_of(mapping, parents):
            yield await self._with_journal(mapping, rows)

    async def _with_clocks(self, mapping: RecordMapping, place: str) -> AsyncIterator[Page]:
        """Yield incidents whose service level clocks changed; the last page carries the place to go on from."""
        keys, following = await self._levels.changed(place, self._reaching_back)
        async for rows in self._rows_of(mapping, keys):
            held = await self._levels.of([raw(row, "sys_id") for row in rows])
            seen = [self._observation(mapping, row, None) for row in rows]
            told = [replace(each, sla_clocks=held[each.external.key]) for each in seen]
            yield Page(observations=told, watermark=place)
        yield Page(observations=(), watermark=following)

    async def _rows_of(self, mapping: RecordMapping, keys: list[str]) -> AsyncIterator[list[Row]]:
        """Yield the records with these sys_ids, as far as polls look at them."""
        fields, size = spelled.fields_read(mapping), min(self._page_size, _PARENTS_PER_QUERY)
        for start in range(0, len(keys), size):
            query = f"{self._config.query}^sys_idIN{','.join(keys[start : start + size])}".removeprefix("^")
            page = await self._client.page(mapping.external_kind, query, fields, limit=size)
            if page.rows:
                yield page.rows

    def _reaching_back(self, watermark: str) -> str:
        start = Instant(spelled.instant_of(watermark) - self._config.overlap_seconds * SECOND)
        return to_datetime(start).strftime("%Y-%m-%d %H:%M:%S")

    def _since(self, watermark: str) -> str:
        if not watermark:
            return self._config.query
        return f"{self._config.query}^sys_updated_on>={self._reaching_back(watermark)}".removeprefix("^")

    def _after(self, updated: str, key: str) -> str:
        base = self._config.query
        later = f"{base}^sys_updated_on>{updated}".removeprefix("^")
        same = f"{base}^sys_updated_on={updated}^sys_id>{key}".removeprefix("^")
        return f"{later}^NQ{same}"


def _mark(updated: str, filed: str, place: str) -> str:
    """Return a watermark: how far records, files and service level clocks were read."""
    return f"{updated};{filed};{place}".rstrip(";")


def _last(rows: list[Row]) -> tuple[str, str]:
    return raw(rows[-1], "sys_updated_on"), raw(rows[-1], "sys_id")


def _open(context: Context) -> Poller:
    return ServiceNow(context)


CONNECTOR = Connector(
    config=ServiceNowConfig,
    source=ServiceNowSource(),
    open=_open,
    mappings=MAPPINGS,
    simulator=ServiceNowSimulator,
)
