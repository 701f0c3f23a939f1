"""Coverage of a mapping: what it loses, cannot decide or does not cover.

`map check` prints it; the conformance suite compares it with the loss that the manifest declares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from isthmus.kernel.mapping import FieldMapping, RecordMapping, inverse
from isthmus.kernel.record import Field, FieldType, RecordKind
from isthmus.kernel.spelling import NORMALISERS, is_normaliser, table_key

FindingKind = Literal["lossy", "ambiguous", "uncovered", "invalid"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that `check` has to say: a `kind`, the field, the value if one is meant, a sentence."""

    kind: FindingKind
    field: str
    value: str
    text: str


def check(mapping: RecordMapping, kind: RecordKind) -> list[Finding]:
    """Return the findings in field order; an empty list is a lossless, total mapping."""
    found: list[Finding] = []
    for name, each in mapping.fields.items():
        declared = kind.by_name.get(name)
        if declared is None:
            found.append(_finding("invalid", name, f"{kind.name} has no field {name}."))
        else:
            found += [
                *_of_text(declared, each),
                *_of_table_values(declared, each),
                *_of_way_back(declared, each),
            ]
    found += [
        _finding("uncovered", each.name, f"The required field {each.name} is not mapped.")
        for each in kind.fields
        if each.required and each.name not in mapping.fields
    ]
    return found


def _finding(kind: FindingKind, field: str, text: str, value: str = "") -> Finding:
    return Finding(kind=kind, field=field, value=value, text=text)


def _of_text(declared: Field, mapping: FieldMapping) -> Iterator[Finding]:
    name = declared.name
    if mapping.loss:
        yield _finding("lossy", name, f"{name}: {mapping.loss}")
    for step in mapping.normalise:
        if not is_normaliser(step):
            yield _finding(
                "invalid", name, f"{name}: {step!r} is no normaliser; known are {', '.join(NORMALISERS)}."
            )
        elif not mapping.loss and step != "newlines" and declared.type is not FieldType.CHOICE:
            yield _finding("lossy", name, f"{name}: the partner's {step!r} does not survive a round trip.")


def _of_table_values(declared: Field, mapping: FieldMapping) -> Iterator[Finding]:
    name, choices = declared.name, declared.choices
    if not choices or not (mapping.outward or mapping.inward):
        return
    if mapping.direction != "in":
        for choice in choices:
            if choice not in mapping.outward:
                yield _finding("uncovered", name, f"{name}: {choice!r} has no partner value.", choice)
    for canonical in [*mapping.outward, *(table_key(each) for each in mapping.inward.values())]:
        if canonical not in choices:
            yield _finding("invalid", name, f"{name}: {canonical!r} is no canonical value.", canonical)


def _of_way_back(declared: Field, mapping: FieldMapping) -> Iterator[Finding]:
    if mapping.direction == "out" or not all(is_normaliser(step) for step in mapping.normalise):
        return
    name = declared.name
    single, several = inverse(mapping)
    back = mapping.inward or single
    for partner, origins in several.items():
        if partner not in back:
            text = f"{name}: {partner!r} may mean {', '.join(origins)}; add an inward entry."
            yield _finding("ambiguous", name, text, partner)
    for canonical, partner_value in mapping.outward.items():
        key = table_key(mapping.shown(partner_value))
        if key in back and table_key(back[key]) != canonical:
            text = f"{name}: {canonical!r} goes out as {key!r} and comes back as {back[key]!r}."
            yield _finding("lossy", name, text, canonical)
        elif key not in back and key not in several:
            yield _finding(
                "uncovered", name, f"{name}: {key!r} (from {canonical!r}) is not readable inward.", canonical
            )
