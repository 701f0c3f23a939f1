"""The map in memory: every process holds it and refreshes it when the book has a newer one.

One look at a one-row counter decides whether what is held still stands; a rebuild reads two tables once.
Alerts bind and impact is walked without further queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from isthmus import blueprint
from isthmus.kernel.graph import Edge, Graph
from isthmus.ledger import scope
from isthmus.ledger.held import Held
from isthmus.practices.configuration import binding
from isthmus.practices.configuration.binding import Binding, CiFacts, Index
from isthmus.practices.configuration.models import Ci, MapRevision, Relation
from isthmus.practices.configuration.rules import Schema

_COLUMNS = (
    "id", "organisation", "name", "ci_class", "external_key", "aliases", "addresses", "environment",
    "criticality", "users", "owner", "support_group", "shared", "state", "updated_at",
)  # fmt: skip
CRITICALITY_ORDER = {"gold": 0, "silver": 1, "bronze": 2, "test": 3}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One state of the map. `revision` is what the counters said when it was read."""

    revision: tuple[tuple[str, int], ...]
    cis: Mapping[str, CiFacts]
    relations: Mapping[tuple[str, str, str], tuple[str, str]]
    """(source, target, type) → (id, state), removed ones included."""
    schema: Schema

    @cached_property
    def graph(self) -> Graph:
        """Live items and live relations."""
        live = {key for key, each in self.cis.items() if each.state != "retired"}
        edges = (Edge(*ends) for ends, (_, state) in self.relations.items() if state != "removed")
        return Graph(live, [edge for edge in edges if edge.source in live and edge.target in live])

    @cached_property
    def index(self) -> Index:
        """Live items by every name that they answer to."""
        return Index(self.cis.values())

    @cached_property
    def keys(self) -> dict[str, str]:
        """External key → id, of retired items too: a key is used once."""
        return {each.external_key: each.id for each in self.cis.values() if each.external_key}

    def services_of(self, ci: str) -> list[str]:
        """Return the services that need `ci` (itself, if it is one): most critical first, then nearest."""
        reach = {ci: 0, **{node: each.hops for node, each in self.graph.downstream([ci]).items()}}
        found = [
            node for node in reach if node in self.cis and self.schema.is_service(self.cis[node].ci_class)
        ]
        return sorted(
            found,
            key=lambda node: (
                CRITICALITY_ORDER.get(self.cis[node].criticality, 9),
                reach[node],
                self.cis[node].name,
                node,
            ),
        )

    def bind(self, hints: Mapping[str, Any]) -> Binding:
        """Return the item and its service for these hints; see `binding.bind`."""
        found = binding.bind(hints, self.index, self.graph)
        if not found.ci:
            return found
        named = hints.get("service")
        service = self.index.resolve(named) if isinstance(named, str) and named else ""
        if not service or not self.schema.is_service(self.cis[service].ci_class):
            service = self._first_service(found.ci)
        return Binding(
            ci=found.ci, how=found.how, confidence=found.confidence, service=service, hint=found.hint
        )

    @cached_property
    def _services(self) -> dict[str, str]:
        return {}

    def _first_service(self, ci: str) -> str:
        # The same few items alert again and again: each is walked once per state of the map.
        if ci not in self._services:
            self._services[ci] = next(iter(self.services_of(ci)), "")
        return self._services[ci]


_held: Held[Snapshot] = Held()


def _as_of_now(organisations: frozenset[str] | None) -> Snapshot:
    revision = _revision(organisations)
    running = blueprint.current()
    return _held.as_of(
        (revision, running.generation),
        organisations,
        lambda: _read(organisations, revision, Schema(running.section("configuration"))),
    )


def _revision(organisations: frozenset[str] | None) -> tuple[tuple[str, int], ...]:
    rows = (
        MapRevision.objects.all()
        if organisations is None
        else MapRevision.objects.filter(organisation__in=organisations)
    )
    return tuple(sorted(rows.values_list("organisation", "revision")))


def _read(
    organisations: frozenset[str] | None, revision: tuple[tuple[str, int], ...], schema: Schema
) -> Snapshot:
    with scope.everywhere("the map") if organisations is None else scope.within(organisations):
        cis = {row[0]: _facts(row) for row in Ci.objects.values_list(*_COLUMNS).iterator(2000)}
        relations = {
            (source, target, kind): (record, state)
            for record, source, target, kind, state in Relation.objects.values_list(
                "id", "source_ci", "target_ci", "type", "state"
            ).iterator(5000)
        }
    return Snapshot(revision=revision, cis=cis, relations=relations, schema=schema)


def _facts(row: tuple[Any, ...]) -> CiFacts:
    values = list(row)
    values[5], values[6], values[9] = tuple(row[5] or ()), tuple(row[6] or ()), row[9] or 0
    return CiFacts(*values)


def facts_of(ci: Ci) -> CiFacts:
    """Return the facts of a record that this transaction has just written."""
    return _facts(tuple(getattr(ci, name) for name in _COLUMNS))


def current(organisation: str = "") -> Snapshot:
    """Return the map of one organisation, or ("") of everything that the open scope shows."""
    visible = scope.current()
    if organisation:
        if visible is not None and organisation not in visible:
            return Snapshot(
                revision=(), cis={}, relations={}, schema=Schema(blueprint.current().section("configuration"))
            )
        return _as_of_now(frozenset({organisation}))
    return _as_of_now(visible)


def forget() -> None:
    """Drop what is held: between tests, and after a restore."""
    _held.forget()
