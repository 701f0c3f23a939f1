"""Sections of the blueprint, from their schemas."""

from __future__ import annotations

import json

from isthmus.cli.documentation.markdown import anchor, page, prose, short, table, type_text


def blueprint() -> str:
    """Return the page of the blueprint."""
    from isthmus.blueprint import sections

    schema = sections.json_schema()
    parts = [
        f"## `{name}`\n\n{sections.get(name).help}\n\nType: {type_text(schema['properties'][name])}{_consent(name)}"
        for name in sections.names()
    ]
    parts.append("# Structures")
    for name, definition in sorted(schema["$defs"].items(), key=lambda item: short(item[0]).lower()):
        parts.append(f"## {short(name)} {{ #{anchor(name)} }}\n\n{prose(definition.get('description', ''))}")
        required = set(definition.get("required", []))
        rows = [
            (
                f"`{key}`",
                type_text(value),
                "required" if key in required else f"`{json.dumps(value.get('default'))}`",
            )
            for key, value in definition.get("properties", {}).items()
        ]
        if rows:
            parts.append(table(("key", "type", "default"), rows))
        elif "enum" in definition:
            parts.append(type_text(definition))
    return page(
        "Blueprint",
        "Every section, key, type and default. `isthmus schema` prints the JSON Schema for editors. "
        "How to work with a blueprint: [the how-to](../how-to/blueprint.md).",
        *parts,
    )


def _consent(name: str) -> str:
    from isthmus.blueprint import sections

    tier = sections.get(name).high_tier
    if not tier:
        return ""
    parts = "The section" if tier is True else "Of it, " + ", ".join(f"`{each}`" for each in sorted(tier))
    return f"\n\n{parts}: changes need a second person's approval."
