"""How a partner spells canonical values: the port onto a connector's mapping, lifted to groups and sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import UNSET

from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.merge import Form, Shape, clean


class Unmapped(IsthmusError):
    """A value has no counterpart on the other side: parked and reported, never defaulted."""


class Spelling(Protocol):
    """A mapping in both directions. `outward` and `inward` raise `Unmapped`; all values are single fields
    (one element of a set at a time). `normal` is N: outward, then the partner's declared normaliser."""

    @property
    def version(self) -> str: ...
    def outward(self, field: str, value: Any) -> Any: ...
    def normal(self, field: str, value: Any) -> Any: ...
    def inward(self, field: str, theirs: Any) -> Any: ...

    def path(self, field: str, start: Any, end: Any) -> Sequence[Any] | None:
        """Return the partner's states from after `start` up to `end`; None where no path exists. Fields
        without transitions return `[end]`."""
        ...


def normal(shape: Shape, spelling: Spelling, value: Any) -> Any:
    """Return N(value) for a whole part; UNSET if some piece of it cannot be spelled."""
    try:
        match shape.form:
            case Form.SET:
                return sorted({str(spelling.normal(shape.name, each)) for each in value or ()})
            case Form.GROUP:
                return {name: clean(spelling.normal(name, value.get(name))) for name in shape.members}
            case Form.VALUE:
                return clean(spelling.normal(shape.name, value))
    except Unmapped:
        return UNSET


def outward(shape: Shape, spelling: Spelling, value: Any) -> Any:
    """Return what goes on the wire for a whole part; raises `Unmapped`."""
    match shape.form:
        case Form.SET:
            return sorted({str(spelling.outward(shape.name, each)) for each in value or ()})
        case Form.GROUP:
            return {name: clean(spelling.outward(name, value.get(name))) for name in shape.members}
        case Form.VALUE:
            return clean(spelling.outward(shape.name, value))


def inward(shape: Shape, spelling: Spelling, theirs: Any) -> Any:
    """Return the canonical value of a whole part; raises `Unmapped`."""
    match shape.form:
        case Form.SET:
            return sorted({str(spelling.inward(shape.name, each)) for each in theirs or ()})
        case Form.GROUP:
            return {name: clean(spelling.inward(name, theirs.get(name))) for name in shape.members}
        case Form.VALUE:
            return clean(spelling.inward(shape.name, theirs))
