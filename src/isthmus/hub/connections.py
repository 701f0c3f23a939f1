"""Connections in force: the blueprint's entries joined with their connectors, ready to be used.

Read anew when the blueprint's generation changes (within a second, in every process). Secrets are resolved
when a context is asked for, so a rotated file or variable counts from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import msgspec

from isthmus import blueprint, django_settings
from isthmus.connectors.kit import config as kit_config
from isthmus.connectors.kit.manifest import Limits, Manifest
from isthmus.connectors.kit.ports import Client, Connector, Context
from isthmus.hub import inventory
from isthmus.hub.blueprint import SECTION, ConnectionEntry, OrganisationRule
from isthmus.identity import secrets
from isthmus.kernel.errors import IsthmusError, NeedsOperator, NotFound, Rejected
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.observation import Observation
from isthmus.ledger import scope
from isthmus.ledger.models import Organisation
from isthmus.ledger.organisations import root

Mappings = Callable[[str, Connector], Mapping[str, RecordMapping]]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One connection in force. `organisation` is the id of its home: that of its log, offset and health."""

    name: str
    entry: ConnectionEntry
    manifest: Manifest
    connector: Connector
    config: kit_config.ConnectorConfig
    organisation: str
    generation: int
    organisations: Mapping[str, str] = field(default_factory=dict)
    """Ids of organisations by name, for the organisation rule."""

    @property
    def stamp(self) -> str:
        """Return `connector@version`, kept with each message."""
        return f"{self.manifest.id}@{self.manifest.version}"

    @property
    def limits(self) -> Limits:
        """Return the bounds of the client: the manifest's, with the time and size that the blueprint sets."""
        asked, declared = self.entry.limits, self.manifest.limits
        return msgspec.structs.replace(
            declared,
            request_seconds_max=asked.request_seconds_max or declared.request_seconds_max,
            body_bytes_max=asked.body_bytes_max or declared.body_bytes_max,
        )

    def context(self) -> Context:
        """Return what the connector needs, secrets resolved; `NeedsOperator` names a missing one."""
        return replace(
            self.pure_context(),
            secrets={name: secrets.resolve(ref) for name, ref in kit_config.secret_refs(self.config).items()},
        )

    def pure_context(self) -> Context:
        """Return the context without secrets: enough to parse."""
        return Context(
            connection=self.name,
            config=self.config,
            mappings=self.mappings,
            limits=self.limits,
            allow_private_addresses=django_settings.ISTHMUS.allow_private_addresses,
        )

    @cached_property
    def mappings(self) -> Mapping[str, RecordMapping]:
        """The mappings in force by record kind; another blueprint makes another connection."""
        return _mappings(self.name, self.connector)

    def organisation_of(self, observation: Observation) -> str:
        """Return the id of the organisation that an object belongs to; `Rejected` if no rule matches."""
        rule = self.entry.organisation
        if isinstance(rule, str):
            return self.organisation
        name = rule.table.get(_field(observation, rule.field), rule.otherwise)
        if name in self.organisations:
            return self.organisations[name]
        raise Rejected(
            f"No organisation rule of connection {self.name!r} matches this object.",
            remedy=f"Add its {rule.field!r} to the connection's organisation table, then re-drive.",
        )


class Opened(NamedTuple):
    """A connection opened for calls: close `client` at the end."""

    manifest: Manifest
    config: kit_config.ConnectorConfig
    client: Client


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """An entry that cannot be used, and why."""

    name: str
    error: IsthmusError


class _Cache:
    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.key: tuple[int, str] = (-1, "")
        self.good: dict[str, Connection] = {}
        self.faulty: dict[str, Faulty] = {}


_cache = _Cache()
_overlay: Mappings | None = None


def register_mappings(overlay: Mappings) -> None:
    """Say who overlays a connector's default mappings with the blueprint's (the sync part does)."""
    global _overlay  # noqa: PLW0603 - one hook per process, set at start
    _overlay = overlay


def in_force() -> Mapping[str, Connection]:
    """Return all usable connections by name, disabled ones left out."""
    return _current().good


def faulty() -> Mapping[str, Faulty]:
    """Return the entries that cannot be used, by name, with the error to show."""
    return _current().faulty


def get(name: str) -> Connection:
    """Return one connection; its own error if it is faulty, `NotFound` if there is none."""
    held = _current()
    if name in held.good:
        return held.good[name]
    if name in held.faulty:
        raise held.faulty[name].error
    raise NotFound(f"There is no connection {name!r}.", remedy="Add it to the blueprint's `connections`.")


def open(name: str) -> Opened:  # noqa: A001 - one opens a connection
    """Open the client of a connection; no I/O happens before its first call."""
    found = get(name)
    if found.connector.open is None:
        raise NeedsOperator(f"Connector {found.manifest.id!r} only receives; it cannot be called.")
    return Opened(found.manifest, found.config, found.connector.open(found.context()))


def forget() -> None:
    """Drop what is held: between tests."""
    _cache.key = (-1, "")


def _current() -> _Cache:
    now = blueprint.current()
    key = (now.generation, now.content_hash)
    with _cache.guard:
        if _cache.key != key:
            _cache.good, _cache.faulty = _built(now.section(SECTION), now.generation)
            _cache.key = key
    return _cache


def _built(
    entries: Mapping[str, ConnectionEntry], generation: int
) -> tuple[dict[str, Connection], dict[str, Faulty]]:
    good: dict[str, Connection] = {}
    bad: dict[str, Faulty] = {}
    if not entries:
        return good, bad
    with scope.everywhere("connections name organisations"):
        names = dict(Organisation.objects.filter(state="active").values_list("name", "id"))
    for name, entry in entries.items():
        if not entry.enabled:
            continue
        try:
            good[name] = _connection(name, entry, names, generation)
        except IsthmusError as fault:
            bad[name] = Faulty(name=name, error=fault)
    return good, bad


def _connection(name: str, entry: ConnectionEntry, names: Mapping[str, str], generation: int) -> Connection:
    installed = inventory.find(entry.connector)
    return Connection(
        name=name,
        entry=entry,
        manifest=installed.manifest,
        connector=installed.connector,
        config=kit_config.parse(installed.connector.config, entry.config),
        organisation=_home(name, entry.organisation, names),
        generation=generation,
        organisations=names,
    )


def _home(connection: str, rule: str | OrganisationRule, names: Mapping[str, str]) -> str:
    if isinstance(rule, OrganisationRule) or not rule:
        return root()
    if rule not in names:
        raise NeedsOperator(
            f"Connection {connection!r} belongs to {rule!r}, which is no active organisation.",
            remedy="Correct the name or add the organisation.",
        )
    return names[rule]


def _mappings(name: str, connector: Connector) -> Mapping[str, RecordMapping]:
    return connector.mappings if _overlay is None else _overlay(name, connector)


def _field(observation: Observation, path: str) -> str:
    value: object = observation.values
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)
