"""The context that the rules need and the outcome that they return: data, to be recorded by the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec import UNSET, structs

from isthmus.hub.sync.algorithm.rules import Limits, Rules
from isthmus.hub.sync.algorithm.spelling import Spelling
from isthmus.hub.sync.algorithm.state import (
    HubComment,
    HubField,
    LinkComment,
    LinkPart,
    LinkState,
    RecordView,
)
from isthmus.kernel.instant import Instant
from isthmus.kernel.merge import FieldPolicy, Form, Shape, gather
from isthmus.kernel.observation import Observation


def _always_legal(_part: str, _before: Any, _after: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Context:
    """One link's surroundings, loaded before the rules run.

    `comment_id` names a new comment of ours for a partner's comment key; `legal` says whether a part may
    go from one canonical value to another (a state machine's table). `revises`: comments may be changed and removed
    at the partner.
    """

    connection: str
    shapes: Mapping[str, Shape]
    policies: Mapping[str, FieldPolicy]
    spelling: Spelling
    now: Instant
    comment_id: Callable[[str], str]
    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(default_factory=Limits)
    legal: Callable[[str, Any, Any], bool] = _always_legal
    revises: bool = False

    def policy(self, part: str) -> FieldPolicy:
        return self.policies.get(part, FieldPolicy())


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """An observation at the door of the algorithm.

    `start`: the link's tick at which a read of ours began; None for a webhook or a poll page, which is only
    a hint. `seen_at`: when it reached us. `own`: proof that we were the last to modify the object.
    """

    observation: Observation
    seen_at: Instant
    start: int | None = None
    own: bool = False


def observed(shape: Shape, seen: Sighting, part: LinkPart) -> Any:
    """Return the part's value in the partner's spelling; UNSET if the observation does not show it.

    A message that shows some members of a group is completed with those seen last.
    """
    values = seen.observation.values
    shown = {name: values[name] for name in shape.members if name in values}
    if shape.form is not Form.GROUP:
        return gather(shape, values) if shape.name in values else UNSET
    if not shown:
        return UNSET
    known = part.seen if isinstance(part.seen, dict) else {}
    if len(shown) < len(shape.members) and not known:
        return UNSET
    return gather(shape, {**known, **shown})


@dataclass(frozen=True, kw_only=True)
class Take:
    """A part of the record takes a partner's value."""

    part: str
    value: Any
    before: Any
    field: HubField
    rule: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ConflictFound:
    """Both sides had changed. `winner` is decided by rule or `undecided`; the loser is kept."""

    part: str
    base: Any
    ours: Any
    theirs: Any
    winner: Literal["ours", "theirs", "undecided"]
    rule: str
    text: str
    skewed: bool = False


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """A partner's value that a rule of the boundary register refused."""

    part: str
    theirs: Any
    rule: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something worth telling: a part was parked, a write was not seen, an element was dropped."""

    part: str
    why: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CommentChange:
    """A comment of the record changes because of the partner. `id` is our comment's id."""

    action: Literal["add", "edit", "delete"]
    id: str
    key: str
    body: str = ""
    public: bool = False
    author: str = ""
    at: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The link and the record after a step, and everything that must be recorded about it."""

    link: LinkState
    record: RecordView
    takes: tuple[Take, ...] = ()
    conflicts: tuple[ConflictFound, ...] = ()
    settled_conflicts: tuple[str, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    notes: tuple[Note, ...] = ()
    comments: tuple[CommentChange, ...] = ()


@dataclass(kw_only=True)
class Draft:
    """An outcome being built by the steps of one pass."""

    link: LinkState
    record: RecordView
    takes: list[Take] = field(default_factory=list)
    conflicts: list[ConflictFound] = field(default_factory=list)
    settled_conflicts: list[str] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    comments: list[CommentChange] = field(default_factory=list)

    def part(self, name: str) -> LinkPart:
        return self.link.parts.get(name, LinkPart())

    def set_part(self, name: str, part: LinkPart) -> None:
        self.link = structs.replace(self.link, parts={**self.link.parts, name: part})

    def set_comment(self, name: str, comment: LinkComment) -> None:
        self.link = structs.replace(self.link, comments={**self.link.comments, name: comment})

    def set_field(self, name: str, value: HubField) -> None:
        self.record = replace(self.record, fields={**self.record.fields, name: value})

    def set_hub_comment(self, name: str, value: HubComment) -> None:
        self.record = replace(self.record, comments={**self.record.comments, name: value})

    def conflict(self, found: ConflictFound) -> None:
        self.conflicts.append(found)
        if found.winner == "undecided":
            self.record = replace(self.record, conflicts=self.record.conflicts | {found.part})

    def finish(self) -> Outcome:
        return Outcome(
            link=self.link,
            record=self.record,
            takes=tuple(self.takes),
            conflicts=tuple(self.conflicts),
            settled_conflicts=tuple(self.settled_conflicts),
            blocked=tuple(self.blocked),
            notes=tuple(self.notes),
            comments=tuple(self.comments),
        )
