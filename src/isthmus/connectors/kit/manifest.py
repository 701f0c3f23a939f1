"""The manifest of a connector: facts without logic, typed, in `manifest.toml`.

The hub reads capabilities, limits and timing from here before it imports any code; the conformance suite
compares every claim with what the folder implements.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from isthmus.connectors.kit.config import pointer
from isthmus.kernel.errors import NeedsOperator

Category = Literal["itsm", "monitoring", "cmdb", "delivery", "identity", "chat", "generic"]
Verb = Literal[
    "webhook", "import", "read", "stream", "write", "comment", "revise", "attach", "gate", "tell",
    "acknowledge", "silence", "annotate", "resolve", "notify",
]  # fmt: skip
Paging = Literal["none", "offset", "page", "cursor", "link", "keyset"]
Clock = Literal["none", "utc", "zoned", "unzoned_utc"]
ProofKind = Literal[
    "none", "response_returns_record", "exact_version", "last_modifier", "declared_normaliser"
]
Nature = Literal["state", "fact"]
"""`state`: equal content is the same event (alerts). `fact`: each needs an id or an Idempotency-Key."""

QUALITY_RULES: Mapping[str, str] = {
    "conformance": "The contract suite passes without a failure.",
    "fixtures_recorded": "Fixtures were recorded from a running product, not written from documentation.",
    "negative_fixtures": "Malformed inputs are kept as named fixtures, each refused with its path.",
    "simulator": "A stateful simulator offers the injectable faults of the kit.",
    "proof_of_own": "The partner proves which writes are ours, or its normaliser is declared.",
    "permission_probe": "A probe names the permission that is missing.",
    "documentation": "doc.md explains set-up, permissions and known limits with examples from fixtures.",
    "tried_live": "The client ran against a real installation of a tested version.",
}
"""Every manifest grades itself against all of these: a young connector is admitted, visibly young."""


class Capability(msgspec.Struct, frozen=True, order=True):
    """What a connector can do: a canonical record kind and a verb, written `incident:write`."""

    kind: str
    verb: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.verb}"


class Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A permission that the connection's account needs at the partner, and why."""

    name: str
    reason: str


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the client. `requests_per_minute` is the default of the lane's token bucket."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 600
    request_seconds_max: Annotated[float, msgspec.Meta(gt=0, le=80)] = 15.0
    response_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 4_000_000
    body_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 2_000_000
    page_size_max: Annotated[int, msgspec.Meta(ge=1)] = 100
    attachment_bytes_max: Annotated[int, msgspec.Meta(ge=1)] = 10_000_000


class Timing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the partner pages and dates. `search_lag_seconds`: how long `find` may miss what was created."""

    paging: Paging = "none"
    clock: Clock = "utc"
    search_lag_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class EventId(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What identifies an event of this source, in words, and whether the source speaks of states or facts."""

    declaration: str
    nature: Nature


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a write of ours is recognised when it comes back; `how` names the field or header."""

    kind: ProofKind = "none"
    how: str = ""


class Grade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of one quality rule; `exempt` needs a reason."""

    state: Literal["done", "todo", "exempt"]
    reason: str = ""

    def __post_init__(self) -> None:
        if self.state == "exempt" and not self.reason:
            raise ValueError("an exemption needs a reason")


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of one connector. `loss`: `kind.field` → why it does not survive a round trip.

    `conditional_writes`: a write with a stale version is refused by the partner (If-Match and the like).
    `idempotent_create`: the partner makes one object of two creates with the same idempotency key.
    `content_types`: what its senders send beside JSON, CSV and plain text.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
    name: str
    category: Category
    version: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+$")]
    documentation: str
    owner: str
    api_versions: tuple[str, ...]
    capabilities: tuple[str, ...]
    scopes: tuple[Scope, ...] = ()
    limits: Limits = Limits()
    timing: Timing = Timing()
    event_id: EventId | None = None
    content_types: tuple[str, ...] = ()
    proof_of_own: Proof = Proof()
    conditional_writes: bool = False
    idempotent_create: bool = False
    loss: dict[str, str] = {}
    quality: dict[str, Grade]

    def __post_init__(self) -> None:
        for each in self.capabilities:
            kind, _, verb = each.partition(":")
            if not kind or verb not in Verb.__args__:  # type: ignore[attr-defined]
                raise ValueError(f"{each!r} is no capability; write kind:verb with a verb of {Verb}")
        if (missing := QUALITY_RULES.keys() - self.quality) or (extra := self.quality.keys() - QUALITY_RULES):
            raise ValueError(f"quality must grade exactly the kit's rules; see {sorted(missing or extra)}")
        if self.pushes() and self.event_id is None:
            raise ValueError("a source that is pushed to us must declare its event_id")

    def can(self, verb: str, kind: str = "") -> bool:
        """Return whether the verb is declared (for `kind`, if given)."""
        return any(each.verb == verb and kind in {"", each.kind} for each in self.able())

    def able(self) -> tuple[Capability, ...]:
        """Return the capabilities as pairs, in declared order."""
        return tuple(Capability(*each.split(":", 1)) for each in self.capabilities)

    def pushes(self) -> bool:
        """Return whether something is pushed to us (webhook or file)."""
        return self.can("webhook") or self.can("import")


def load(path: Path) -> Manifest:
    """Return the manifest at `path`; `NeedsOperator` names file, place and fault."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, OSError) as cause:
        text, _, place = str(cause).partition(" - at `")
        raise NeedsOperator(
            f"{path.parent.name}/{path.name}{pointer(place.rstrip('`'))}: {text}.",
            remedy="Correct the manifest; its fields are described in connectors/kit/manifest.py.",
        ) from cause
