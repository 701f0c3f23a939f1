"""Connectors, from their manifests."""

from __future__ import annotations

import json
from typing import Any

from isthmus.cli.documentation.markdown import inlined, page, table, type_text


def connectors() -> str:
    """Return the page of connectors."""
    from isthmus.connectors.kit import registry
    from isthmus.connectors.kit.manifest import QUALITY_RULES

    parts = [
        _one_connector(found.manifest, found.connector.config) for found in registry.installed().values()
    ]
    rules = [(f"`{name}`", meaning) for name, meaning in QUALITY_RULES.items()]
    return page(
        "Connectors",
        "The inventory: what each connector can do, needs and promises, from its `manifest.toml` and `config.py`. "
        'Secret values are given as `{secret: "env:NAME"}` or `{secret: "file:/path"}`.',
        *parts,
        "## Quality rules",
        "A connector grades itself against each of these: `done`, `todo`, or `exempt` with a reason.",
        table(("rule", "meaning"), rules),
    )


def _one_connector(manifest: Any, config: Any) -> str:
    from isthmus.connectors.kit.config import help_texts, schema, secret_fields

    definition = schema(config)["$defs"][config.__name__]
    required, secret, helps = set(definition.get("required", [])), secret_fields(config), help_texts(config)
    facts = [
        ("capabilities", ", ".join(f"`{each}`" for each in manifest.capabilities)),
        ("tested with", ", ".join(manifest.api_versions)),
        ("requests per minute", str(manifest.limits.requests_per_minute)),
        ("largest body", f"{manifest.limits.body_bytes_max} bytes"),
        ("proof of own writes", f"{manifest.proof_of_own.kind} {manifest.proof_of_own.how}".strip()),
        (
            "to do",
            ", ".join(name for name, each in manifest.quality.items() if each.state == "todo") or "nothing",
        ),
    ]
    keys = [
        (
            f"`{name}`",
            "secret" if name in secret else type_text(inlined(value)),
            "required" if name in required else f"`{json.dumps(value.get('default'))}`",
            helps[name],
        )
        for name, value in definition["properties"].items()
    ]
    return "\n\n".join(
        [
            f"## {manifest.name}",
            f"`connector: {manifest.id}`, version {manifest.version}, [documentation of the product]({manifest.documentation}).",
            table(("fact", "value"), facts),
            table(("config key", "type", "default", "meaning"), keys),
        ]
    )
