"""Mapping between canonical fields and a partner's spelling: data with a version, never code per vendor.

A `RecordMapping` states, per canonical field, the partner's field name, the value tables of both directions,
the normaliser that the partner applies to what we write, and what is lost. `outward` is total over what it
declares and refuses the rest; `inward` keeps an unknown value as unknown. Nothing is ever defaulted.

`N`, the normal form of the synchronisation rules, is `normal`: normalise ∘ convert ∘ value table. Merge
compares `normal(field, ours)` with what the partner shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.record import Json
from isthmus.kernel.spelling import Conversion, Known, Unknown, convert_in, convert_out, normalise, table_key

Direction = Literal["both", "in", "out"]
Scalar = None | bool | int | str
"""What a table may hold on its partner's or canonical side."""


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one canonical field is spelled by the partner.

    `external`: the partner's field name. `outward`: canonical value → partner value; empty means the value
    is copied. `inward`: partner value → canonical value; empty means the inverse of `outward`. Keys of both
    tables are texts (3 is "3", true is "true"). `normalise`: what the partner does to a text that we write,
    in its order (`trim`, `cut 160`, `lower`, …). `convert`: the partner's type of the value. `loss`: one
    sentence on what does not survive a round trip.
    """

    external: str
    direction: Direction = "both"
    outward: Mapping[str, Scalar] = {}
    inward: Mapping[str, Scalar] = {}
    normalise: tuple[str, ...] = ()
    convert: Conversion = ""
    loss: str = ""

    def shown(self, sent: Scalar) -> Scalar:
        """Return what the partner shows for one value that we sent in its spelling."""
        return normalise(sent, self.normalise) if isinstance(sent, str) else sent


_VERSIONS_MAX = 1_000
_versions: dict[int, tuple[RecordMapping, str]] = {}
"""Versions of mappings in use, by identity: asked for with every write of a link."""


class RecordMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mapping of one record kind to one partner object kind.

    `fixed`: partner field → value written on create only (a mandatory category and the like).
    """

    kind: str
    external_kind: str
    fields: Mapping[str, FieldMapping]
    fixed: Mapping[str, Scalar] = {}

    @property
    def version(self) -> str:
        """A hash of the whole mapping: 16 hexadecimal digits, equal for equal content."""
        held = _versions.get(id(self))
        if held is None or held[0] is not self:
            hashed = hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]
            if len(_versions) >= _VERSIONS_MAX:
                _versions.clear()
            held = _versions[id(self)] = (self, hashed)
        return held[1]

    def written(self) -> tuple[str, ...]:
        """Return the canonical names of the fields that we write, in declared order."""
        return tuple(name for name, each in self.fields.items() if each.direction != "in")

    def read(self) -> tuple[str, ...]:
        """Return the canonical names of the fields that we listen to, in declared order."""
        return tuple(name for name, each in self.fields.items() if each.direction != "out")

    def canonical_name(self, external: str) -> str:
        """Return the canonical name of a partner's field, or "" (to name fields in refusals)."""
        return next((name for name, each in self.fields.items() if each.external == external), "")

    def outward(self, field: str, value: Json) -> Json:
        """Return what we send for a canonical value; `Rejected` if the table has no entry for it."""
        mapping = self._field(field)
        if value is None or value == "":
            return value
        if isinstance(value, list):
            return [self._send(field, mapping, each) for each in value]
        return self._send(field, mapping, value)

    def normal(self, field: str, value: Json) -> Json:
        """Return N(value): what the partner will show after we wrote the canonical `value`."""
        return self.normalised(field, self.outward(field, value))

    def normalised(self, field: str, sent: Json) -> Json:
        """Return what the partner shows for a value already in its spelling."""
        steps = self._field(field).normalise
        if isinstance(sent, list):
            shown = {normalise(each, steps) if isinstance(each, str) else str(each) for each in sent}
            return list[Json](sorted(shown))
        return normalise(sent, steps) if isinstance(sent, str) else sent

    def inward(self, field: str, theirs: Json) -> Known | Unknown:
        """Return the canonical value of a partner's value, or `Unknown` keeping it."""
        mapping = self._field(field)
        if theirs is None or theirs == "":
            return Known(value=theirs)
        if isinstance(theirs, list):
            known = [self._take(field, mapping, each) for each in theirs]
            unknown = [each for each in known if isinstance(each, Unknown)]
            if unknown:
                return Unknown(raw=theirs, text=" ".join(each.text for each in unknown))
            return Known(value=[each.value for each in known if isinstance(each, Known)])
        return self._take(field, mapping, theirs)

    def overlaid(
        self, changes: Mapping[str, FieldMapping], fixed: Mapping[str, Scalar] | None = None
    ) -> RecordMapping:
        """Return this mapping with whole fields replaced or added (a blueprint's crosswalk)."""
        return msgspec.structs.replace(
            self, fields={**self.fields, **changes}, fixed={**self.fixed, **(fixed or {})}
        )

    def _field(self, field: str) -> FieldMapping:
        try:
            return self.fields[field]
        except KeyError:
            raise Rejected(
                f"The mapping of {self.kind} has no field {field}.",
                remedy="Add it to the connection's mapping.",
                problems=(Problem(path=f"/{field}", message="not mapped"),),
            ) from None

    def _send(self, field: str, mapping: FieldMapping, value: Json) -> Json:
        if not mapping.outward:
            return convert_out(field, mapping.convert, value)
        key = table_key(value)
        if key in mapping.outward:
            return mapping.outward[key]
        raise Rejected(
            f"{field} has no partner value for {key!r}.",
            remedy=f"Add {key!r} to the outward table of {field}.",
            problems=(Problem(path=f"/{field}", message=f"{key!r} is not in the outward table"),),
        )

    def _take(self, field: str, mapping: FieldMapping, theirs: Json) -> Known | Unknown:
        if not mapping.outward and not mapping.inward:
            return convert_in(field, mapping.convert, theirs)
        table = mapping.inward or inverse(mapping)[0]
        key = table_key(theirs)
        if key in table:
            return Known(value=table[key])
        return Unknown(raw=theirs, text=f"{field} has no canonical value for {key!r}.")


def inverse(mapping: FieldMapping) -> tuple[dict[str, Scalar], dict[str, list[str]]]:
    """Return the inverse of the outward table and, apart, the partner values with several origins."""
    origins: dict[str, list[str]] = {}
    for canonical, partner in mapping.outward.items():
        origins.setdefault(table_key(mapping.shown(partner)), []).append(canonical)
    single: dict[str, Scalar] = {partner: names[0] for partner, names in origins.items() if len(names) == 1}
    return single, {partner: names for partner, names in origins.items() if len(names) > 1}
