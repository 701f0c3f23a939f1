"""The sections that a blueprint may have. Each part of the hub registers its own.

A section is a typed structure (`msgspec.Struct`, frozen, unknown keys refused) with a documented default
for every value that is not required, plus an optional check of what types cannot say (references between
sections, contradictions, gaps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from isthmus.kernel.errors import Bug, Problem

Check = Callable[[Any, "Parsed"], list[Problem]]
Affects = Callable[[Any, Any], list[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """`name` is the top-level key; `schema` the type of its value (a Struct, or list/dict of Structs).

    `check(value, parsed)` returns problems with JSON-Pointer paths relative to the section.
    `affects(old, new)` returns sentences for the plan: which records or systems a change touches.
    `high_tier`: what needs a second person's approval of the content hash before it applies: the whole section
    (True) or these members of it.
    """

    name: str
    schema: Any
    help: str
    default: Callable[[], Any]
    check: Check | None = None
    affects: Affects | None = None
    high_tier: bool | frozenset[str] = False


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A whole typed blueprint: values by section name, defaults filled in."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def section(self, name: str) -> Any:
        """Return the typed value of a section (its default where the blueprint does not mention it)."""
        if name in self.values:
            return self.values[name]
        return get(name).default()


_sections: dict[str, Section] = {}


def register(section: Section) -> None:
    """Add a section; called once from the `ready` of the part that owns it."""
    known = _sections.get(section.name)
    if known is not None and known.schema is not section.schema:
        raise Bug(f"Two parts claim the blueprint section {section.name!r}.")
    _sections[section.name] = section


def get(name: str) -> Section:
    """Return a registered section; asking for an unknown one is a bug of the caller."""
    try:
        return _sections[name]
    except KeyError as cause:
        raise Bug(f"No part has registered the blueprint section {name!r}.") from cause


def names() -> list[str]:
    """Return the known section names in alphabetical order."""
    return sorted(_sections)


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema (draft 2020-12) of the whole blueprint, for editors."""
    ordered = [_sections[name] for name in names()]
    schemas, definitions = msgspec.json.schema_components(
        [section.schema for section in ordered], ref_template="#/$defs/{name}"
    )
    properties = {
        section.name: {**schema, "description": section.help}
        for section, schema in zip(ordered, schemas, strict=True)
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Isthmus blueprint",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "$defs": definitions,
    }
