"""Record kinds: the vocabulary in which every part of the hub speaks about records.

A kind names its fields; each field carries its type, its data class (what must be sealed or masked) and
its default merge policy (who wins when two systems disagree). The tables of the practices mirror these
declarations, the journal stores changes under these names, connectors map to and from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
"""Values that may stand in an entry: no floats, so that equal values have equal bytes."""


class FieldType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    INSTANT = "instant"  # microseconds since the epoch, UTC
    CHOICE = "choice"
    REFERENCE = "reference"  # the id of another record
    SET = "set"  # a sorted list of distinct texts
    JSON = "json"


class DataClass(StrEnum):
    OPERATIONAL = "operational"  # machine facts: labels, states, times
    INTERNAL = "internal"  # ordinary business facts
    PERSONAL = "personal"  # structured facts about a person: sealed with the person's key
    FREE_TEXT = "free_text"  # may contain anything: sealed with the record's key
    SECRET = "secret"  # noqa: S105 - the name of a class of data; never stored, only referred to


class MergePolicy(StrEnum):
    OWNER = "owner"  # the system of record wins; other sides are put back
    LATEST = "latest"  # the later edit wins, inside the clock-skew bound it is a conflict
    MAY_RAISE = "may_raise"  # non-owners may raise the value, never lower it
    RANKED = "ranked"  # both changed: the stronger source of a declared ranking wins
    UNION = "union"  # sets: additions and removals of both sides
    MANUAL = "manual"  # a person decides
    HUB = "hub"  # only the hub writes it; partners are never listened to


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a kind.

    `group`: fields that only make sense together (state + resolution) are merged as one value.
    `authority`: never taken by merge (approval, authorised state, window, risk).
    `order`: for MAY_RAISE and CHOICE, values from lowest to highest.
    """

    name: str
    type: FieldType = FieldType.TEXT
    data_class: DataClass = DataClass.INTERNAL
    policy: MergePolicy = MergePolicy.LATEST
    choices: tuple[str, ...] = ()
    group: str = ""
    authority: bool = False
    required: bool = False

    @property
    def sealed(self) -> bool:
        """True if values of this field are encrypted wherever they are stored."""
        return self.data_class in {DataClass.PERSONAL, DataClass.FREE_TEXT}


@dataclass(frozen=True, kw_only=True)
class RecordKind:
    """A kind of record. `table` holds its projection; `prefix` starts its numbers (`INC-…`), if it has any.

    `counters` are columns of the projection that are not facts (occurrences, last seen): they are
    derived from outcomes and neither journalled nor compared by `verify`.
    """

    name: str
    table: str
    fields: tuple[Field, ...]
    prefix: str = ""
    counters: tuple[str, ...] = ()
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {each.name: each for each in self.fields})


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was decided: the rule's name, one sentence for people, and the facts used."""

    rule: str
    text: str
    facts: Mapping[str, Json] = {}
