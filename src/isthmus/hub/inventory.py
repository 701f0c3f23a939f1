"""Which connectors there are: those that ship with Isthmus, and those in a folder of the operator's own."""

from __future__ import annotations

from pathlib import Path

from isthmus import django_settings
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.registry import Installed


def find(connector: str) -> Installed:
    """Return the connector with this id, the operator's own first; `NeedsOperator` if there is none."""
    own = django_settings.ISTHMUS.connectors_dir
    if own:
        home = Path(own).resolve()
        if (home / connector / "manifest.toml").is_file():
            return registry.find(connector, home)
    return registry.find(connector)


def everything() -> dict[str, Installed]:
    """Return all connectors by id."""
    own = django_settings.ISTHMUS.connectors_dir
    found = dict(registry.installed())
    if own:
        found |= registry.installed(Path(own).resolve())
    return found
