"""Roundup as a ticket system: reads and writes issues of a classic tracker.

The link's correlation is the hidden Message-Id of the description message, which every issue of ours gets
with its creation; own comments carry one too. The version is `activity` (whole seconds, hence coarse); the
exact state is the ETag of the last `read`, on which the next write insists.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from isthmus.connectors.kit import sightings
from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.ports import Connector, Context, Page, Poller, Probe, SetDelta, Written
from isthmus.connectors.roundup import mapping as spelled
from isthmus.connectors.roundup.client import Item, RoundupClient
from isthmus.connectors.roundup.config import RoundupConfig
from isthmus.connectors.roundup.files import Files
from isthmus.connectors.roundup.mapping import (
    DESCRIPTION,
    ISSUE,
    LINK,
    MAPPINGS,
    MEMO,
    NO_DESCRIPTION,
    NOTE,
)
from isthmus.connectors.roundup.peer import RoundupPeer
from isthmus.connectors.roundup.thread import Thread
from isthmus.kernel.errors import Bug, Conflict, NeedsOperator, NotFound, Rejected, UnknownOutcome
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedAttachment, ObservedComment
from isthmus.kernel.record import Json

REMEMBERED_MAX = 2000
PAGES_MAX = 10_000


class Roundup:
    """One tracker, opened. Remembers ETags and messages that it has read; losing them costs a call."""

    def __init__(self, context: Context) -> None:
        if not isinstance(context.config, RoundupConfig):
            raise Bug("The Roundup connector was opened with another connector's configuration.")
        self._config = context.config
        self._connection = context.connection
        self._page_size = context.limits.page_size_max
        self._mappings = {kind: context.mappings.get(kind, default) for kind, default in MAPPINGS.items()}
        self._client = RoundupClient(context, context.config, self._mappings["incident"].canonical_name)
        self._etags: dict[str, tuple[str, str]] = {}
        self._thread = Thread(self._client, context.config.username)
        self._files = Files(self._client, self._thread)

    @property
    def mappings(self) -> Mapping[str, RecordMapping]:
        """The effective mapping per record kind."""
        return self._mappings

    async def close(self) -> None:
        """Release the session."""
        await self._client.close()

    async def probe(self) -> Probe:
        """Sign in and look at the issues, changing nothing."""
        versions = await self._client.supported_versions()
        if 1 not in versions:
            raise NeedsOperator(
                "The tracker does not speak REST version 1.", remedy="Use Roundup 2.0 or later."
            )
        await self._client.changed("", 1, 1)
        return Probe(product="Roundup", version=f"REST {max(versions)}")

    async def read(self, ref: ExternalRef) -> Observation:
        """Read one issue with its messages."""
        observation, item = await self._read(ref.key)
        self._remember(item)
        return observation

    async def find(self, correlation: str, kind: str) -> list[ExternalRef]:
        """Find issues by the Message-Id of their description; Roundup's search does not lag."""
        self._mapping(kind)
        message = await self._client.find_message(spelled.message_id(LINK, correlation))
        keys = await self._client.issues_with(message) if message else []
        return [self._ref(each) for each in keys]

    async def create(
        self, kind: str, values: Mapping[str, Json], correlation: str, idempotency_key: str
    ) -> Written:
        """Create the description message, then the issue that holds it, once."""
        mapping = self._mapping(kind)
        content = _described(mapping, values) or NO_DESCRIPTION
        message = await self._client.add_message(
            content, spelled.message_id(LINK, correlation), self._config.username
        )
        there = await self._client.issues_with(message)
        if not there:
            try:
                given = {**mapping.fixed, **await self._properties(mapping, values, {})}
                present = {name: value for name, value in given.items() if value != ""}
                there = [await self._client.create_issue({**present, "messages": [message]}, idempotency_key)]
            except Rejected as refused:
                if all(each.path != "/@poe" for each in refused.problems):
                    raise
                self._client.forget_token(idempotency_key)
                raise UnknownOutcome(
                    "Roundup says that this creation was tried before.", remedy="The hub looks for the issue."
                ) from refused
        return await self._read_back(there[0])

    async def write(
        self,
        ref: ExternalRef,
        patch: Mapping[str, Json],
        set_deltas: Mapping[str, SetDelta],
        expected_version: str,
    ) -> Written:
        """Write on exactly the state that was last read; a description is written to its message."""
        mapping = self._mapping("incident")
        item = await self._client.item(ISSUE, ref.key)
        self._insist(ref.key, item, expected_version)
        names = {name for name in set_deltas if set_deltas[name] != SetDelta()}
        sets = {name: _merged(_keywords(item), set_deltas[name]) for name in names}
        properties = await self._properties(mapping, patch, sets)
        if properties:
            await self._client.patch(ISSUE, ref.key, item.etag, properties)
        if (text := _described(mapping, patch)) is not None:
            await self._thread.describe(ref.key, text or NO_DESCRIPTION)
        return await self._read_back(ref.key)

    async def comment(self, ref: ExternalRef, body: str, *, public: bool, correlation: str) -> Written:
        """Add a message. A classic tracker shows every message, so an internal comment is
        refused unless the connection says that they may all read it."""
        if not public and self._config.internal_comments == "refuse":
            raise Rejected(
                "A classic Roundup tracker has no internal comments.",
                remedy="Make the comment public, or set internal_comments: write if all users may read them.",
            )
        messageid = spelled.message_id(NOTE if public else MEMO, correlation)
        message = await self._client.add_message(body, messageid, self._config.username)
        await self._thread.attach(ref.key, message)
        written = await self._read_back(ref.key)
        return replace(written, comment=spelled.comment(await self._client.message(message)))

    async def comments(self, ref: ExternalRef) -> list[ObservedComment]:
        """Return all messages but the description."""
        return list((await self.read(ref)).comments or ())

    async def attachments(self, ref: ExternalRef) -> list[ObservedAttachment]:
        """Return the files of an issue, oldest first."""
        return await self._files.listed(ref.key)

    async def fetch(self, ref: ExternalRef, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file."""
        del ref
        return await self._files.fetch(key, bytes_max=bytes_max)

    async def attach(self, ref: ExternalRef, file: File) -> ObservedAttachment:
        """Add a file to an issue."""
        return await self._files.attach(ref.key, file)

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield issues by activity, at or after the watermark; each page starts at the last time seen."""
        self._mapping(kind)
        read_before = sightings.of(self._connection, self._config.url, kind)
        since, page, size = watermark, 1, self._page_size
        seen: set[tuple[str, str]] = set()
        for _ in range(PAGES_MAX):
            rows = await self._client.changed(since, page, size)
            fresh = [row for row in rows if row not in seen]
            seen.update(fresh)
            if fresh:
                began, wanted = sightings.now(), read_before.wanted(fresh) if watermark else fresh
                found = [await self._still(key) for key, _ in wanted]
                yield Page(observations=[each for each in found if each], watermark=rows[-1][1])
                read_before.note(wanted, began)
            if len(rows) < size:
                return
            # Positions shift while people work, times do not: go on from the last time, not the next page,
            # unless one second holds more issues than a page.
            since, page = (rows[-1][1], 1) if rows[-1][1] > since else (since, page + 1)
        raise NeedsOperator(
            "The tracker's list of changes did not end.", remedy="Enlarge the page size of the connection."
        )

    def path(self, kind: str, from_state: str, to_state: str) -> list[str] | None:
        """Return the way between two statuses: a classic tracker allows every step."""
        self._mapping(kind)
        return [] if from_state == to_state else [to_state]

    def _mapping(self, kind: str) -> RecordMapping:
        if kind not in self._mappings:
            raise Rejected(f"The Roundup connector does not synchronise {kind} records.")
        return self._mappings[kind]

    def _ref(self, key: str) -> ExternalRef:
        url = f"{self._config.url}/issue{key}"
        return ExternalRef(connection=self._connection, kind=ISSUE, key=key, label=f"issue{key}", url=url)

    def _insist(self, key: str, item: Item, expected_version: str) -> None:
        """Raise `Conflict` unless the item is in the very state that the caller decided on.

        Within one second `activity` tells no two states apart. So a state that this client has not read itself
        (before a restart, or on a poll page) counts as changed: one read more, instead of a person's edit less.
        """
        if expected_version and self._etags.get(key) != (expected_version, item.etag):
            raise Conflict(f"issue{key} has changed since it was read.", remedy="The hub reads it again.")

    def _remember(self, item: Item) -> None:
        """Keep the ETag of a state that the hub is shown: the next write insists on it."""
        key = str(item.attributes["id"])
        self._etags.pop(key, None)
        if len(self._etags) >= REMEMBERED_MAX:
            del self._etags[next(iter(self._etags))]
        self._etags[key] = (str(item.attributes["activity"]), item.etag)

    async def _properties(
        self, mapping: RecordMapping, values: Mapping[str, Json], sets: Mapping[str, list[str]]
    ) -> dict[str, Json]:
        """Return Roundup's properties for canonical values; keywords are created where they are missing."""
        found: dict[str, Json] = {}
        whole: dict[str, Json] = {**values, **{name: list(each) for name, each in sets.items()}}
        for name, value in whole.items():
            external = mapping.fields[name].external
            if external == DESCRIPTION:
                continue
            # "" empties a property; Roundup drops a null without a word.
            found[external] = mapping.normalised(name, value) or ""
            if isinstance(value, list):
                for each in value:
                    await self._client.ensure_keyword(str(each))
        return found

    async def _read(self, key: str) -> tuple[Observation, Item]:
        item = await self._client.item(ISSUE, key)
        observation = spelled.observation(
            self._connection,
            self._config.url,
            item.attributes,
            await self._thread.messages(item),
            self._mapping("incident"),
        )
        return replace(observation, attachments=tuple(await self._files.of(item))), item

    async def _read_back(self, key: str) -> Written:
        """Read after a write: it is proof of own only if nobody but us has touched the issue since."""
        observation, item = await self._read(key)
        if observation.partner_actor != self._config.username:
            # Neither its version nor its ETag is told: what the hub was not shown, it must not write over.
            return Written(ref=observation.external)
        self._remember(item)
        return Written(ref=observation.external, observation=observation, version=observation.version)

    async def _still(self, key: str) -> Observation | None:
        try:
            return (await self._read(key))[0]
        except NotFound:
            return None


def _described(mapping: RecordMapping, values: Mapping[str, Json]) -> str | None:
    """Return the new description among canonical values, None if it is not among them."""
    for name, value in values.items():
        if mapping.fields[name].external == DESCRIPTION:
            return str(mapping.normalised(name, value) or "")
    return None


def _keywords(item: Item) -> list[str]:
    held = item.attributes.get("keyword")
    return [str(each["name"]) for each in held if isinstance(each, dict)] if isinstance(held, list) else []


def _merged(held: list[str], delta: SetDelta) -> list[str]:
    return sorted({*held, *delta.add} - set(delta.remove))


def _open(context: Context) -> Poller:
    return Roundup(context)


CONNECTOR = Connector(config=RoundupConfig, open=_open, mappings=MAPPINGS, simulator=RoundupPeer)
