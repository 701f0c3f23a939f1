"""What survives a crash: the state of one link, as plain frozen values.

`UNSET` is the empty base (∅): there is no hub value known to correspond to what the partner holds.
Ticks are values of a counter in the link's own row; no clock decides the order of observations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

from isthmus.kernel.instant import Instant
from isthmus.kernel.merge import HUB

_NEVER = Instant(0)

Flag = Literal["none", "divergent", "conflict"]
OperationKind = Literal["create", "patch", "comment"]
OperationState = Literal["planned", "sent", "acked", "unknown"]


class LinkPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of one field, group or set: a pair, always written whole.

    `agreed`: the hub value known to correspond to `seen`. `seen`: the last admitted partner value, as the
    partner spells it. `tried`, `tries`: how often this value was written without being seen. `why`, `since`:
    the cause and instant of a parked (divergent) pair. A parked pair re-opens when either half changes.
    """

    agreed: Any = UNSET
    seen: Any = UNSET
    tried: Any = UNSET
    tries: int = 0
    flag: Flag = "none"
    why: str = ""
    since: int = 0
    mapping_version: str = ""


class LinkComment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One comment's place at the partner: its key there and the pair (agreed, seen); `gone` once deleted."""

    key: str = ""
    agreed: Any = UNSET
    seen: Any = UNSET
    tries: int = 0
    flag: Flag = "none"
    gone: bool = False


class Sent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operation asks for one part.

    `value`: our canonical value when it was planned. `expected`: how the partner should spell it.
    `outward`: what is put on the wire. `before`: the partner's value that we had seen. `add`, `remove`:
    deltas of a set in the partner's spelling. `step`: an intermediate state on the way to `value`.
    """

    value: Any = None
    expected: Any = None
    outward: Any = None
    before: Any = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    step: bool = False


class Operation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The one open write of a link. `at`: tick of its last change of state; `since`: when its outcome
    became unknown (or its intent was committed); `known`: comment keys that existed before it. `comment_key`: the
    existing comment that is changed, or removed if `comment_gone`."""

    kind: OperationKind
    state: OperationState = "planned"
    at: int = 0
    since: int = 0
    sent: dict[str, Sent] = {}
    comment: str = ""
    comment_body: str = ""
    comment_public: bool = False
    comment_key: str = ""
    comment_gone: bool = False
    known: tuple[str, ...] = ()
    version_before: str = ""
    response_version: str = ""
    response_key: str = ""
    key: str = ""


class LinkState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that the algorithm knows about one link. `key` is empty until the object exists.

    `dirty`: the tick at which a fresh read became owed (0: none is). `singly`: parts to be sent one by one.
    `refused`: the values with which a creation was refused. `behind`: the instant since which reads show an older
    version than the known one (0: they do not).
    """

    key: str = ""
    version: str = ""
    tick: int = 0
    fence: int = 0
    dirty: int = 0
    gone: bool = False
    operation: Operation | None = None
    parts: dict[str, LinkPart] = {}
    comments: dict[str, LinkComment] = {}
    singly: tuple[str, ...] = ()
    refused: dict[str, Any] | None = None
    behind: int = 0


def to_json(state: Struct) -> Any:
    """Return plain builtins; ∅ and defaults are left out."""
    return msgspec.to_builtins(state)


def fingerprint(value: Any) -> str:
    """Return 16 hexadecimal digits that are equal for equal values: comparable without keeping the text."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]


def link_from_json(value: Any) -> LinkState:
    """Return the state written by `to_json`."""
    return msgspec.convert(value, LinkState)


@dataclass(frozen=True, kw_only=True)
class HubField:
    """Our side of one part: the value, when and by which system it was set, the length of the chain of
    adoptions that our own writes caused, and the values adopted recently (fingerprint, instant)."""

    value: Any = None
    at: Instant = _NEVER
    source: str = HUB
    hops: int = 0
    trail: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class HubComment:
    """Our side of one comment. `source`: the connection it was written at, or `hub`."""

    body: str
    public: bool = False
    deleted: bool = False
    source: str = HUB


@dataclass(frozen=True, kw_only=True)
class RecordView:
    """The record as the algorithm sees it. `conflicts`: parts that wait for a person, on every link."""

    fields: Mapping[str, HubField] = field(default_factory=dict)
    comments: Mapping[str, HubComment] = field(default_factory=dict)
    conflicts: frozenset[str] = frozenset()
