"""A connector's mapping as the algorithm's `Spelling`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.hub.sync.algorithm import Unmapped
from isthmus.hub.sync.algorithm.comments import FIELD as COMMENT
from isthmus.hub.sync.algorithm.planning import STATE
from isthmus.kernel.errors import Rejected
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.merge import Form, Shape, shapes_of
from isthmus.kernel.record import FieldType
from isthmus.kernel.spelling import Known

Paths = Callable[[str, str, str], Sequence[str] | None]
"""(record kind, from, to) → the partner's states to write, as `TicketSystem.path` returns them."""


def straight(_kind: str, _start: str, end: str) -> Sequence[str]:
    """Return the path of a partner whose states may follow each other at will."""
    return [end]


@dataclass(frozen=True)
class Dialect:
    """Spells canonical values of one kind at one connection. Comments are copied unless the mapping has a
    field `comment`."""

    mapping: RecordMapping
    paths: Paths = straight

    @property
    def version(self) -> str:
        return self.mapping.version

    def outward(self, field: str, value: Any) -> Any:
        if field == COMMENT and COMMENT not in self.mapping.fields:
            return value
        try:
            return self.mapping.outward(field, value)
        except Rejected as fault:
            raise Unmapped(fault.text, remedy=fault.remedy) from fault

    def normal(self, field: str, value: Any) -> Any:
        if field == COMMENT and COMMENT not in self.mapping.fields:
            return value
        try:
            return self.mapping.normal(field, value)
        except Rejected as fault:
            raise Unmapped(fault.text, remedy=fault.remedy) from fault

    def inward(self, field: str, theirs: Any) -> Any:
        if field == COMMENT and COMMENT not in self.mapping.fields:
            return theirs
        found = self.mapping.inward(field, theirs)
        if isinstance(found, Known):
            return found.value
        raise Unmapped(found.text, remedy=f"Add it to the inward table of {field}.")

    def path(self, field: str, start: Any, end: Any) -> Sequence[Any] | None:
        if field != STATE or start is None or end is None:
            return [end]
        return self.paths(self.mapping.kind, str(start), str(end))


def shapes_for(mapping: RecordMapping) -> dict[str, Shape]:
    """Return the units of merging of a mapping. Groups hold the members that travel both ways; a field that
    we only write, or that only the hub may decide (authority), stands alone."""
    kind = KINDS[mapping.kind]
    read = set(mapping.read())
    found = shapes_of(kind, read)
    for name in mapping.written():
        field = kind.by_name.get(name)
        if field is not None and (name not in read or field.authority):
            form = Form.SET if field.type is FieldType.SET else Form.VALUE
            found[name] = Shape(name=name, form=form, members=(name,))
    return found


def one_way(mapping: RecordMapping, shape: Shape) -> tuple[bool, bool]:
    """Return whether a shape may come in and may go out, as far as the mapping allows."""
    kind = KINDS[mapping.kind]
    read = {name for name in mapping.read() if name in kind.by_name and not kind.by_name[name].authority}
    written = set(mapping.written())
    return bool(read & set(shape.members)), set(shape.members) <= written
