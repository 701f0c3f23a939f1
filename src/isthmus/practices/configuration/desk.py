"""The map as an import sees it: what stands there, what this transaction has added, what became of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.kernel.errors import Problem
from isthmus.kernel.graph import Edge
from isthmus.ledger.work import Work
from isthmus.practices.configuration import snapshot
from isthmus.practices.configuration.binding import CiFacts, normal
from isthmus.practices.configuration.gaps import OpenGaps
from isthmus.practices.configuration.models import Ci, Relation

_AT_ONCE = 900


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What became of one row: accepted (created or changed), unchanged, parked or rejected."""

    index: int
    what: str
    record: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(kw_only=True)
class ImportReport:
    """Results in the order of the rows; `resolved` are earlier parked relations that this import completed."""

    results: list[RowResult] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def count(self, what: str) -> int:
        """Return how many rows ended as `what`."""
        return Counter(each.what for each in self.results)[what]

    @property
    def accepted(self) -> int:
        """Rows that stand in the map now, changed or not: accepted + parked + rejected = all rows."""
        return self.count("accepted") + self.count("unchanged")

    @property
    def parked(self) -> int:
        """Relations that wait for an unknown item."""
        return self.count("parked")

    @property
    def rejected(self) -> int:
        """Rows with problems."""
        return self.count("rejected")


class Desk:
    """The map plus what this transaction has already added to it."""

    def __init__(self, work: Work, organisation: str, source: str) -> None:
        self.work, self.organisation, self.source = work, organisation, source
        self.map = snapshot.current(organisation)
        self.report = ImportReport()
        self.cis: dict[str, CiFacts] = {}
        self.records: dict[str, Ci] = {}
        self.names: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.namesakes: dict[tuple[str, str], str] = {}
        self.edges: dict[tuple[str, str, str], tuple[str, str]] = {}
        self.relations: dict[str, Relation] = {}
        self.gaps = OpenGaps(work, organisation)
        self.touched = False
        for each in work.created_or_changed():
            if each.organisation == organisation and isinstance(each, Ci):
                self.arrived(each)
            elif each.organisation == organisation and isinstance(each, Relation):
                self.tied(each)

    def arrived(self, ci: Ci) -> None:
        self.cis[ci.id] = snapshot.facts_of(ci)
        self.records[ci.id] = ci
        self.namesakes[normal(ci.name), ci.ci_class] = ci.id
        if ci.external_key:
            self.keys[ci.external_key] = ci.id
        for name in (ci.external_key, ci.name, *(ci.aliases or ())):
            if name:
                self.names.setdefault(normal(name), ci.id)

    def tied(self, relation: Relation) -> None:
        self.relations[relation.id] = relation
        self.edges[relation.source_ci, relation.target_ci, relation.type] = (relation.id, relation.state)

    def facts(self, ci: str) -> CiFacts | None:
        return self.cis.get(ci) or self.map.cis.get(ci)

    def load(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Read the records that these rows may change, in few queries."""
        wanted = sorted(
            {found for row in rows if "source_ci" not in row and (found := self.match(row))}
            - set(self.records)
        )
        for start in range(0, len(wanted), _AT_ONCE):
            self.records.update(Ci.objects.in_bulk(wanted[start : start + _AT_ONCE]))

    def resolve(self, reference: str) -> str:
        """Return the id that `reference` names: what this transaction wrote first, then the map."""
        if reference in self.cis:
            return reference
        return self.names.get(normal(reference)) or self.map.index.resolve(reference)

    def match(self, row: Mapping[str, Any]) -> str:
        """Return the id of the item that a row speaks about: by id, by key, else by name within the class.

        A row with a key never takes an item that has another one: equal host names are not identity.
        """
        wanted_id, key = str(row.get("id") or ""), str(row.get("external_key") or "").strip()
        if wanted_id and self.facts(wanted_id) is not None:
            return wanted_id
        if key and (found := self.keys.get(key) or self.map.keys.get(key)):
            return found
        name, ci_class = normal(str(row.get("name") or "")), str(row.get("ci_class") or "").strip()
        candidates = {
            *self.map.index.look_up("name", name),
            *filter(None, [self.namesakes.get((name, ci_class))]),
        }
        for each in sorted(candidates):
            facts = self.facts(each)
            if (
                facts is not None
                and facts.ci_class == ci_class
                and not (key and facts.external_key not in {"", key})
            ):
                return each
        return ""

    def relation(self, edge: Edge) -> tuple[str, str] | None:
        return self.edges.get(edge) or self.map.relations.get(edge)

    def say(self, index: int, what: str, record: str = "", problems: Sequence[Problem] = ()) -> None:
        self.report.results.append(RowResult(index=index, what=what, record=record, problems=tuple(problems)))
