"""Jira as a ticket system: issues of one project and type.

Search lags behind, so it only ever yields ids; every value comes from the primary store. Status changes are
transitions of the workflow, taken one at a time. Jira offers no conditional write: a write looks at
`updated` first and leaves a gap of one call.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from isthmus.connectors.jira import mapping as spelling
from isthmus.connectors.jira import service_levels
from isthmus.connectors.jira.adf import to_adf
from isthmus.connectors.jira.client import JiraClient
from isthmus.connectors.jira.config import JiraConfig
from isthmus.connectors.jira.mapping import MAPPINGS
from isthmus.connectors.jira.simulator import JiraSimulator
from isthmus.connectors.jira.webhook import JiraSource
from isthmus.connectors.jira.workflow import Workflow
from isthmus.connectors.kit import sightings
from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.ports import Connector, Context, Page, Poller, Probe, SetDelta, Written
from isthmus.kernel.errors import Bug, Conflict, NeedsOperator, NotFound, Rejected
from isthmus.kernel.instant import SECOND, Instant, from_rfc3339
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedAttachment, ObservedComment
from isthmus.kernel.record import Json

PAGES_MAX = 1000
REMEMBERED_MAX = 2000
_PERMISSIONS = (
    "BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "TRANSITION_ISSUES", "ADD_COMMENTS", "CREATE_ATTACHMENTS",
)  # fmt: skip
_NAMED = frozenset({"priority", "resolution"})
_ALWAYS_READ = ("updated", "creator", "labels", "status", "resolution", "attachment")


class Jira:
    """One project, opened."""

    def __init__(self, context: Context) -> None:
        if not isinstance(context.config, JiraConfig):
            raise Bug("The Jira connector was opened with another connector's configuration.")
        self._config = context.config
        self._connection = context.connection
        self._page_size = context.limits.page_size_max
        self._mappings = {kind: context.mappings.get(kind, default) for kind, default in MAPPINGS.items()}
        self._client = JiraClient(context, context.config, self._mappings["incident"].canonical_name)
        self._workflow = Workflow(self._client, context.config, self._mappings["incident"].canonical_name)
        self._created: dict[str, str] = {}
        self._account = ""

    @property
    def mappings(self) -> Mapping[str, RecordMapping]:
        """The effective mapping per record kind."""
        return self._mappings

    async def close(self) -> None:
        """Release the session."""
        await self._client.close()

    async def probe(self) -> Probe:
        """Sign in and ask for our permissions in the project."""
        version = await self._client.server_version()
        have = await self._client.permissions(self._config.project, _PERMISSIONS)
        missing = tuple(name for name in _PERMISSIONS if not have[name])
        return Probe(product="Jira", version=version, missing_scopes=missing)

    async def read(self, ref: ExternalRef) -> Observation:
        """Read one issue and its comments."""
        return await self._read(ref.key)

    async def find(self, correlation: str, kind: str) -> list[ExternalRef]:
        """Find issues by their label. The index lags: nothing found soon after a creation proves nothing."""
        mapping = self._mapping(kind)
        label = spelling.label_of(correlation)
        found = await self._client.search(f'{self._scope()} AND labels = "{label}" ORDER BY created ASC', 50)
        refs = []
        for key, _ in found.rows:
            issue = await self._client.issue(key, self._fields(mapping))
            if spelling.correlation_of(issue) == correlation:
                refs.append(spelling.external(self._connection, self._config.url, issue))
        return refs

    async def create(
        self, kind: str, values: Mapping[str, Json], correlation: str, idempotency_key: str
    ) -> Written:
        """Create one issue, then walk it to the wanted status, since Jira creates in the first one only.

        Jira takes no idempotency key: one that was used before is looked up first.
        """
        mapping = self._mapping(kind)
        key = await self._known(idempotency_key, correlation, kind)
        if not key:
            _remember(self._created, idempotency_key, "")
            fields, labels = self._fields_of(mapping, values)
            fields |= {
                "project": {"key": self._config.project},
                "issuetype": {"name": self._config.issue_type},
                "labels": [*labels, spelling.label_of(correlation)],
                **mapping.fixed,
            }
            key = await self._client.create(fields, correlation)
            _remember(self._created, idempotency_key, key)
            await self._walk(key, mapping, values)
        return await self._read_back(key)

    async def write(
        self,
        ref: ExternalRef,
        patch: Mapping[str, Json],
        set_deltas: Mapping[str, SetDelta],
        expected_version: str,
    ) -> Written:
        """Write fields, then take the transition if the status is among them."""
        mapping = self._mapping("incident")
        held = await self._client.issue(ref.key, self._fields(mapping))
        if expected_version and spelling.version_of(held["fields"]["updated"]) != expected_version:
            raise Conflict(
                f"{ref.label or ref.key} has changed since it was read.", remedy="It is read again."
            )
        fields, _ = self._fields_of(mapping, patch)
        status = _status(mapping, patch)
        resolution = fields.pop("resolution", None) if status else None
        update = {
            mapping.fields[name].external: [
                *({"add": each} for each in delta.add),
                *({"remove": each} for each in delta.remove),
            ]
            for name, delta in set_deltas.items()
            if delta != SetDelta()
        }
        if fields or update:
            await self._client.edit(ref.key, fields, update)
        if status and spelling.spelled(held["fields"].get("status")) != status:
            await self._workflow.step(ref.key, status, resolution)
        return await self._read_back(ref.key)

    async def comment(self, ref: ExternalRef, body: str, *, public: bool, correlation: str) -> Written:
        """Add a comment: to the customer if public, else internal, with our hidden property."""
        entry = await self._client.add_comment(ref.key, body.strip(), public=public, correlation=correlation)
        observation = await self._read(ref.key)
        return Written(
            ref=observation.external,
            observation=observation,
            version=observation.version,
            comment=spelling.comment(entry),
        )

    async def comments(self, ref: ExternalRef) -> list[ObservedComment]:
        """Return all comments, oldest first."""
        return [spelling.comment(each) for each in await self._client.comments(ref.key)]

    async def revise_comment(self, ref: ExternalRef, key: str, body: str) -> None:
        """Give a comment another text."""
        await self._client.revise_comment(ref.key, key, body.strip())

    async def remove_comment(self, ref: ExternalRef, key: str) -> None:
        """Remove a comment."""
        await self._client.remove_comment(ref.key, key)

    async def attachments(self, ref: ExternalRef) -> list[ObservedAttachment]:
        """Return the files of an issue, oldest first."""
        issue = await self._client.issue(ref.key, ("attachment", "updated"))
        return sorted((spelling.file(each) for each in issue["fields"].get("attachment") or ()), key=_age)

    async def fetch(self, ref: ExternalRef, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file."""
        del ref
        return await self._client.file_content(key, bytes_max=bytes_max)

    async def attach(self, ref: ExternalRef, file: File) -> ObservedAttachment:
        """Add a file: agents see it; the customer does once a public comment refers to it."""
        return spelling.file(await self._client.add_file(ref.key, file))

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield issues updated since the watermark. The search names them, in order of creation so that edits do not
        shift the pages; each is read from the primary store until it has settled. Only the last page moves the
        watermark; a poll without one reads everything."""
        self._mapping(kind)
        read_before = sightings.of(self._connection, self._config.url, kind)
        jql, token, highest = f"{self._scope()}{self._since(watermark)} ORDER BY created ASC", "", watermark
        for _ in range(PAGES_MAX):
            found = await self._client.search(jql, self._page_size, token)
            began, wanted = sightings.now(), read_before.wanted(found.rows) if watermark else found.rows
            seen = [await self._still(key) for key, _ in wanted]
            highest = max(highest, *(spelling.version_of(updated) for _, updated in found.rows), "")
            if found.rows:
                yield Page(
                    observations=[each for each in seen if each],
                    watermark=watermark if found.following else highest,
                )
                read_before.note(wanted, began)
            if not found.following:
                return
            token = found.following
        raise NeedsOperator(
            "Jira's list of changes did not end.", remedy="Enlarge the page size of the connection."
        )

    def path(self, kind: str, from_state: str, to_state: str) -> list[str] | None:
        """Return the statuses to pass, by the connection's `workflow`."""
        self._mapping(kind)
        return self._workflow.path(from_state, to_state)

    def _mapping(self, kind: str) -> RecordMapping:
        if kind not in self._mappings:
            raise Rejected(f"The Jira connector does not synchronise {kind} records.")
        return self._mappings[kind]

    def _scope(self) -> str:
        return f'project = "{self._config.project}" AND issuetype = "{self._config.issue_type}"'

    def _since(self, watermark: str) -> str:
        """Return the clause of a poll, relative to now: absolute times would be read in the account's zone."""
        if not watermark:
            return ""
        age_seconds = time.time() - from_rfc3339(watermark) / SECOND
        minutes = max(int(age_seconds // 60), 0) + 1 + self._config.overlap_minutes
        return f' AND updated >= "-{minutes}m"'

    def _fields(self, mapping: RecordMapping) -> list[str]:
        mapped = (mapping.fields[name].external for name in mapping.fields)
        return list(dict.fromkeys((*_ALWAYS_READ, *mapped, *self._config.sla_fields)))

    def _fields_of(
        self, mapping: RecordMapping, values: Mapping[str, Json]
    ) -> tuple[dict[str, Any], list[str]]:
        """Return Jira's fields for canonical values, and the labels apart; the status is no field."""
        found: dict[str, Any] = {}
        labels: list[str] = []
        for name, value in values.items():
            external = mapping.fields[name].external
            sent = mapping.normalised(name, value)
            if external == "labels":
                labels = [str(each) for each in sent] if isinstance(sent, list) else []
            elif external == "description":
                found[external] = to_adf(str(sent)) if sent else None
            elif external in _NAMED:
                found[external] = {"name": sent} if sent else None
            elif external != "status":
                found[external] = sent
        return found, labels

    async def _known(self, idempotency_key: str, correlation: str, kind: str) -> str:
        """Return the issue of a key that was used before, or ""."""
        if idempotency_key not in self._created:
            return ""
        if self._created[idempotency_key]:
            return self._created[idempotency_key]
        refs = await self.find(correlation, kind)
        return refs[0].key if refs else ""

    async def _walk(self, key: str, mapping: RecordMapping, values: Mapping[str, Json]) -> None:
        """Bring a new issue to its status. Where the workflow refuses, it stays and the hub sees that."""
        wanted = _status(mapping, values)
        if not wanted:
            return
        held = await self._client.issue(key, self._fields(mapping))
        resolution = self._fields_of(mapping, values)[0].get("resolution")
        try:
            await self._workflow.walk(
                key, str(spelling.spelled(held["fields"].get("status"))), wanted, resolution
            )
        except Rejected:
            return

    async def _read(self, key: str) -> Observation:
        mapping = self._mapping("incident")
        issue = await self._client.issue(key, self._fields(mapping))
        comments = [spelling.comment(each) for each in await self._client.comments(key)]
        read_at = Instant(time.time_ns() // 1000)
        seen = spelling.observation(self._connection, self._config.url, issue, mapping, comments)
        return replace(
            seen, sla_clocks=service_levels.clocks(issue["fields"], self._config.sla_fields, read_at)
        )

    async def _read_back(self, key: str) -> Written:
        """Read after a write: proof of own only if the changelog's last entry is ours."""
        observation = await self._read(key)
        self._account = self._account or await self._client.myself()
        own = observation.partner_actor == self._account
        return Written(
            ref=observation.external, observation=observation if own else None, version=observation.version
        )

    async def _still(self, key: str) -> Observation | None:
        try:
            return await self._read(key)
        except NotFound:
            return None


def _age(file: ObservedAttachment) -> tuple[int, str]:
    return file.at or 0, file.key


def _status(mapping: RecordMapping, values: Mapping[str, Json]) -> str:
    wanted = (value for name, value in values.items() if mapping.fields[name].external == "status")
    return str(next(wanted, "") or "")


def _remember(held: dict[str, str], key: str, value: str) -> None:
    held.pop(key, None)
    if len(held) >= REMEMBERED_MAX:
        del held[next(iter(held))]
    held[key] = value


def _open(context: Context) -> Poller:
    return Jira(context)


CONNECTOR = Connector(
    config=JiraConfig, source=JiraSource(), open=_open, mappings=MAPPINGS, simulator=JiraSimulator
)
