"""The inventory of connectors: folders that hold a `manifest.toml`, found, never listed.

Adding a connector is adding a folder. Nobody imports a vendor folder by name: the hub asks this registry,
which imports `connector.py` of a folder only when its connector is needed.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from isthmus.connectors.kit.config import parse
from isthmus.connectors.kit.manifest import Limits, Manifest
from isthmus.connectors.kit.manifest import load as load_manifest
from isthmus.connectors.kit.ports import Connector, Context
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.mapping import RecordMapping

HOME = Path(__file__).resolve().parents[1]
"""The folder of the connectors that ship with Isthmus."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A connector of the inventory: its facts and where it lives."""

    manifest: Manifest
    folder: Path

    @property
    def connector(self) -> Connector:
        """Return the connector's parts, importing its code on first use."""
        return _connector(self.folder)

    def context(
        self,
        connection: str,
        config: Mapping[str, Any],
        *,
        secrets: Mapping[str, str] | None = None,
        mappings: Mapping[str, RecordMapping] | None = None,
        limits: Limits | None = None,
        allow_private_addresses: bool = False,
    ) -> Context:
        """Return the context of a connection from its configuration data; `Rejected` names what is wrong.

        `mappings` replace the connector's defaults per record kind; `limits` replace the manifest's.
        """
        return Context(
            connection=connection,
            config=parse(self.connector.config, config),
            secrets=secrets or {},
            mappings={**self.connector.mappings, **(mappings or {})},
            limits=limits or self.manifest.limits,
            allow_private_addresses=allow_private_addresses,
        )


def at(folder: Path) -> Installed:
    """Return the connector that lives in `folder`."""
    manifest = load_manifest(folder / "manifest.toml")
    if manifest.id != folder.name:
        raise NeedsOperator(
            f"{folder.name}/manifest.toml calls itself {manifest.id!r}.",
            remedy="Give the folder and the id the same name.",
        )
    return Installed(manifest=manifest, folder=folder.resolve())


@functools.cache
def installed(home: Path = HOME) -> dict[str, Installed]:
    """Return every connector under `home` by id, in alphabetical order."""
    return {path.parent.name: at(path.parent) for path in sorted(home.glob("*/manifest.toml"))}


def find(connector: str, home: Path = HOME) -> Installed:
    """Return the connector with this id; `NeedsOperator` with the nearest known id otherwise."""
    known = installed(home)
    if connector in known:
        return known[connector]
    close = difflib.get_close_matches(connector, known, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else f"Installed are: {', '.join(known)}."
    raise NeedsOperator(f"There is no connector {connector!r}.", remedy=remedy)


@functools.cache
def _connector(folder: Path) -> Connector:
    module = _import(folder)
    found = getattr(module, "CONNECTOR", None)
    if not isinstance(found, Connector):
        raise NeedsOperator(
            f"{folder.name}/connector.py exports no CONNECTOR.",
            remedy="Add `CONNECTOR = Connector(config=…, …)` to it.",
        )
    return found


def _import(folder: Path) -> ModuleType:
    if folder.parent == HOME:
        return importlib.import_module(f"isthmus.connectors.{folder.name}.connector")
    # A folder kept elsewhere becomes a package of its own, so that its modules can import each other.
    package = f"isthmus_connector_{folder.name}_{zlib.crc32(str(folder).encode()):08x}"
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise NeedsOperator(f"{folder} is no Python package.", remedy="Add an __init__.py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[package] = module
        spec.loader.exec_module(module)
    return importlib.import_module(f"{package}.connector")
