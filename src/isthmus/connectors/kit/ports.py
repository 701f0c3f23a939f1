"""The ports of a connector: what the hub may ask of an external system, and the values that pass.

A connector implements only the ports that its manifest declares. `Source` is pure (no I/O, no clock): it
judges and reads what others send us. Every `Client` is asynchronous: it is opened once per connection, closed at
the end, and does no I/O before its first awaited call. `Poller`, `Streamer`, `TicketSystem` and the ports of
`kit.alerting` say what else it can.

Spelling. Synced records (`incident`, `change`) travel in the *partner's spelling under canonical field
names*, in both directions: observations carry it, `create` and `write` take it. The connector turns
canonical names into the partner's names with `Context.mappings`; value tables are applied by whoever merges
(`RecordMapping.outward` / `.inward`), so that a merge can compare without asking the partner.

Errors are those of `kernel.errors`, named for the reaction:
`Retryable` (nothing happened, try later) · `UnknownOutcome` (look before doing it again) · `NeedsOperator`
(credential, permission, configuration) · `Conflict` (412/409: somebody was faster) · `Rejected` (stays
wrong; `problems[].path` is `/<canonical field>` whenever the partner names the field) · `NotFound`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

from isthmus.connectors.kit.manifest import Limits
from isthmus.kernel.instant import Instant
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import (
    ExternalRef,
    Observation,
    ObservedAttachment,
    ObservedComment,
    ObservedSlaClock,
)
from isthmus.kernel.record import Json

if TYPE_CHECKING:
    from isthmus.connectors.kit.config import ConnectorConfig
    from isthmus.connectors.kit.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class Context:
    """One connection as its connector sees it.

    `connection` is the connection's name and goes into every `ExternalRef`. `config` is the parsed
    configuration (an instance of the connector's own type). `secrets` maps the names of the configuration's
    secret fields to their values: resolved at the edge, never logged, never compared by `repr`.
    `mappings` are the effective mappings per record kind (the connector's defaults overlaid by the
    blueprint). `limits` bound the client (the manifest's, narrowed by the blueprint). `allow_private_addresses` relaxes the address guard of the HTTP client.
    `keys` are public keys that the door fetched for sources of `kit.fetching`, by URL.
    """

    connection: str
    config: ConnectorConfig
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    mappings: Mapping[str, RecordMapping] = field(default_factory=dict, repr=False)
    limits: Limits = field(default_factory=Limits)
    allow_private_addresses: bool = False
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def secret(self, name: str) -> str:
        """Return the value of a secret field, or "" if the connection does not set it."""
        return self.secrets.get(name, "")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A request that may not enter: `status` 401 (who are you), 403 (not you, not now), 400 or 415.

    `reason` is a bounded word for counters (`signature`, `missing`, `late`, `token`); `text` is one sentence
    for the operator. Neither holds anything of the body or of a secret.
    """

    status: int
    reason: str
    text: str


@runtime_checkable
class Source(Protocol):
    """What is pushed to us: a webhook, a dropped file. Pure functions of their arguments."""

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        """Judge the sender; None lets it in. Header names are lower case; comparison is constant time."""
        ...

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape only, fast, at the door. Raise `Rejected` (→ 422) naming each JSON Pointer."""
        ...

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Read everything that the body says, in its order; raise `Rejected` exactly where `check` would.

        An empty list means: understood, nothing in it concerns us.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A message as it lies at the partner (a mail in its mailbox): kept raw, and read by the connector's `Source`.

    What must be judged, parked and completed like a message that is pushed to us is passed on as one. `headers`
    are what the source needs to know beside the body; names are lower case.
    """

    body: bytes
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a poll. `watermark` is where the next poll starts (opaque text, stored by the hub).

    `messages` are kept beside `observations`, in their order. `refused` are the reasons of what was read and may
    not enter: they are counted, nothing else of it is kept. `news` is for streams that only say that something
    happened: the hub then polls the kind at once.
    """

    observations: Sequence[Observation] = ()
    watermark: str = ""
    messages: Sequence[Fetched] = ()
    refused: Sequence[str] = ()
    news: bool = False


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a harmless call found out: the product's version and the declared scopes that are missing."""

    product: str
    version: str
    missing_scopes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@runtime_checkable
class Client(Protocol):
    """An external system as every connection has it, also one that is only told things."""

    async def probe(self) -> Probe:
        """Make the cheapest authenticated call; raise the error whose reaction fits otherwise."""
        ...

    async def close(self) -> None:
        """Release the session. Idempotent."""
        ...


@runtime_checkable
class Poller(Client, Protocol):
    """A system that can be asked what changed."""

    def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield bounded pages of what changed since `watermark` ("" = everything the partner offers).

        Repeats are harmless, gaps are not: implementations overlap by their declared search lag. Every
        yielded watermark is safe to store once its page is durable. The iterator is resumed only when its last page
        is: what has to wait for that (marking what was read) stands after the `yield`.
        """
        ...


@runtime_checkable
class Streamer(Protocol):
    """A system that tells what happens over a connection that we keep open (verb `stream`)."""

    def stream(self, kind: str) -> AsyncIterator[Page]:
        """Yield what happens, as it happens, until the connection breaks (then raise the error that fits).

        What happened while nobody listened is lost at the partner. So the stream is opened first, then everything
        is read as it stands, and only then events follow: nothing falls between. The first page is yielded, empty
        or not, as soon as both worked. Watermarks are "": a stream has no place to go on from. Order and repeats
        do not matter to the hub, gaps do. A partner that only rings (IMAP IDLE) yields pages with `news`, the first
        of them when the stream is open: the poll of the same kind does the reading.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SetDelta:
    """What to add to and remove from a set: never the full set, or a partner's own addition is lost."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Written:
    """The partner's answer to a write.

    `observation` is the record as returned *by that response* (proof of own), else None: a bare 2xx proves
    nothing. `version` is the version after the write, if the response says so. `comment` is the comment
    created, if the call created one.
    """

    ref: ExternalRef
    observation: Observation | None = None
    version: str = ""
    comment: ObservedComment | None = None


@runtime_checkable
class TicketSystem(Poller, Protocol):
    """A system of records that we read and write. All values: partner's spelling, canonical names."""

    @property
    def mappings(self) -> Mapping[str, RecordMapping]:
        """The effective mapping per record kind (`context.mappings`)."""
        ...

    async def read(self, ref: ExternalRef) -> Observation:
        """Read from the primary store, never from a search replica. `NotFound` if it is gone."""
        ...

    async def find(self, correlation: str, kind: str) -> list[ExternalRef]:
        """Find the objects that carry our link correlation id; may lag by `timing.search_lag_seconds`."""
        ...

    async def create(
        self, kind: str, values: Mapping[str, Json], correlation: str, idempotency_key: str
    ) -> Written:
        """Create one object that carries `correlation` from its first instant."""
        ...

    async def write(
        self,
        ref: ExternalRef,
        patch: Mapping[str, Json],
        set_deltas: Mapping[str, SetDelta],
        expected_version: str,
    ) -> Written:
        """Write only the named fields. `expected_version` "" means unconditional; stale → `Conflict`."""
        ...

    async def comment(self, ref: ExternalRef, body: str, *, public: bool, correlation: str) -> Written:
        """Add a comment that carries `correlation` (hidden property or marker in the text)."""
        ...

    async def comments(self, ref: ExternalRef) -> list[ObservedComment]:
        """Return all comments, oldest first, ours with their `correlation`."""
        ...

    def path(self, kind: str, from_state: str, to_state: str) -> list[str] | None:
        """Return the states to write one after the other (ending in `to_state`), [] if there, None if no way.

        States are in the partner's spelling.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class GateQuestion:
    """What a pipeline asks: may `change` (number or id) go to `environment`, with this artefact, on these items."""

    change: str
    environment: str = ""
    artefact_hash: str = ""
    cis: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """The answer. Only `allow` opens; `reached` False means that no answer was had, which never opens.

    `reasons` are sentences for people; `id` is the decision's record; `retry_after_seconds` is the earliest
    useful next question.
    """

    decision: Literal["allow", "deny", "wait"]
    reasons: tuple[str, ...] = ()
    id: str = ""
    reached: bool = True
    retry_after_seconds: float | None = None

    @property
    def exit_code(self) -> int:
        """0 allowed, 1 denied or still waiting, 3 not reached."""
        if not self.reached:
            return 3
        return 0 if self.decision == "allow" else 1


@runtime_checkable
class Gate(Protocol):
    """A deployment gate. It fails closed: a fault is a verdict that does not open, never an exception."""

    async def check(self, question: GateQuestion) -> GateVerdict:
        """Ask once."""
        ...

    async def wait(self, question: GateQuestion, *, seconds: float) -> GateVerdict:
        """Ask until the answer is allow or deny, for at most `seconds`."""
        ...

    async def close(self) -> None:
        """Release the session. Idempotent."""
        ...


@dataclass(frozen=True, kw_only=True)
class Connector:
    """What a connector folder exports as `CONNECTOR` in `connector.py`: its parts, built without I/O.

    `open` builds the client of one connection, with the ports of the declared verbs; `gate` its gate. `mappings` are
    the defaults per record kind. `simulator` builds the stateful fake vendor.
    """

    config: type[ConnectorConfig]
    source: Source | None = None
    open: Callable[[Context], Client] | None = None
    gate: Callable[[Context], Gate] | None = None
    mappings: Mapping[str, RecordMapping] = field(default_factory=dict)
    simulator: Callable[[], Simulator] | None = None


def encode_observations(observations: Sequence[Observation]) -> bytes:
    """Return the observations of a poll page as the body of a log message (every door is a message)."""
    return msgspec.json.encode(observations)


def decode_observations(body: bytes) -> list[Observation]:
    """Return what `encode_observations` wrote."""
    return [_observation(each) for each in msgspec.json.decode(body)]


def _observation(data: dict[str, Any]) -> Observation:
    comments, files = data.pop("comments"), data.pop("attachments", None)
    clocks = data.pop("sla_clocks", None)
    return Observation(
        external=ExternalRef(**data.pop("external")),
        comments=None if comments is None else tuple(ObservedComment(**each) for each in comments),
        attachments=None if files is None else tuple(ObservedAttachment(**each) for each in files),
        sla_clocks=None if clocks is None else tuple(_clock(each) for each in clocks),
        **data,
    )


def _clock(data: dict[str, Any]) -> ObservedSlaClock:
    runs = tuple((Instant(start), None if end is None else Instant(end)) for start, end in data.pop("runs"))
    return ObservedSlaClock(runs=runs, **data)
