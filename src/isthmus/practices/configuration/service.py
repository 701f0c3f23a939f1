"""What service configuration management can be asked to do. Other practices call this and nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.kernel.graph import Graph, Reach
from isthmus.kernel.record import Reason
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.configuration import gaps, importing, snapshot
from isthmus.practices.configuration.binding import Binding, CiFacts, normal
from isthmus.practices.configuration.desk import ImportReport
from isthmus.practices.configuration.history import graph_as_of
from isthmus.practices.configuration.impact import ImpactReport
from isthmus.practices.configuration.impact import report as impact_report
from isthmus.practices.configuration.importing import import_rows
from isthmus.practices.configuration.models import Ci, Gap, Relation
from isthmus.practices.configuration.snapshot import Snapshot

M = TypeVar("M", bound=RecordModel)

__all__ = [
    "Binding", "CiFacts", "ImpactReport", "ImportReport", "Snapshot", "bind", "create_ci", "downstream", "gap", "graph",
    "graph_as_of", "impact", "import_rows", "relate", "resolve", "retire_ci", "services_of", "snapshot_of", "unrelate",
    "update_ci", "upstream",
]  # fmt: skip


# Reading the map --------------------------------------------------------------------------------------------


def snapshot_of(organisation: str = "") -> Snapshot:
    """Return the map in memory: `.bind(hints)`, `.graph`, `.cis`, `.services_of(ci)` without further queries.

    One organisation's, or ("") all that the open scope shows. Take it once per batch.
    """
    return snapshot.current(organisation)


def bind(hints: Mapping[str, Any], *, organisation: str = "") -> Binding:
    """Return the item that an alert speaks about, how it was found and with which confidence (percent).

    Inside `scope.everywhere` name the organisation: a host name of one customer must not bind to another's.
    """
    return snapshot.current(organisation).bind(hints)


def resolve(references: Iterable[str], *, organisation: str = "") -> dict[str, str]:
    """Return id by reference (id, key, name or alias); "" where the map does not know it."""
    index = snapshot.current(organisation).index
    return {each: index.resolve(each) for each in references}


def graph(organisation: str = "") -> Graph:
    """Return the dependency graph of live items, with its version."""
    return snapshot.current(organisation).graph


def upstream(ci: str, depth: int | None = None, *, organisation: str = "") -> dict[str, Reach]:
    """Return what `ci` needs, directly or not, with hops and path."""
    return snapshot.current(organisation).graph.upstream([ci], depth)


def downstream(ci: str, depth: int | None = None, *, organisation: str = "") -> dict[str, Reach]:
    """Return what needs `ci`, directly or not, with hops and path."""
    return snapshot.current(organisation).graph.downstream([ci], depth)


def services_of(ci: str, *, organisation: str = "") -> list[str]:
    """Return the ids of the services that need `ci` (itself, if it is one), the most critical first."""
    return snapshot.current(organisation).services_of(ci)


def impact(cis: Iterable[str], *, organisation: str = "") -> ImpactReport:
    """Return whom a failure or change of these items reaches, with the version of the map it was read from."""
    return impact_report(snapshot.current(organisation), cis)


# Writing the map --------------------------------------------------------------------------------------------


def create_ci(work: Work, values: Mapping[str, Any], *, organisation: str, source: str = "") -> Ci:
    """Return a new item; `Rejected` names each wrong field. A key or name already taken is a conflict."""
    held = snapshot.current(organisation)
    known = held.keys.get(str(values.get("external_key") or "").strip(), "")
    for each in held.index.look_up("name", normal(str(values.get("name") or ""))):
        known = known or (each if held.cis[each].ci_class == values.get("ci_class") else "")
    if known:
        raise Conflict(
            "An item with this key, or this name and class, exists already.",
            remedy=f"Change {known} instead.",
        )
    return _one(work, Ci, {**values, "id": ""}, organisation, source or "manual")


def update_ci(work: Work, ci: Ci, values: Mapping[str, Any], *, source: str = "") -> Ci:
    """Set fields of an item; attributes are replaced as a whole."""
    return _one(work, Ci, {**values, "id": ci.id}, ci.organisation, source or "manual")


def retire_ci(work: Work, ci: Ci) -> Ci:
    """Take an item out of the live map with its relations; its history stays."""
    why = [Reason(rule="configuration.retire", text=f"{ci.name} was retired.")]
    for relation in [*Relation.objects.filter(organisation=ci.organisation, source_ci=ci.id, state="live"),
                     *Relation.objects.filter(organisation=ci.organisation, target_ci=ci.id, state="live")]:  # fmt: skip
        work.change(_same(work, relation), {"state": "removed"}, why=why)
    importing.touch(work, ci.organisation)
    return work.change(_same(work, ci), {"state": "retired"}, why=why)


def relate(work: Work, values: Mapping[str, Any], *, organisation: str, source: str = "") -> Relation:
    """Return the relation that `values` (source_ci, target_ci, type) name; unknown ends are refused here."""
    return _one(work, Relation, {**values, "kind": "ci_relation"}, organisation, source or "manual")


def unrelate(work: Work, relation: Relation) -> Relation:
    """Take a relation out of the live map; its history stays."""
    importing.touch(work, relation.organisation)
    why = [Reason(rule="configuration.unrelate", text="The relation was removed.")]
    return work.change(_same(work, relation), {"state": "removed"}, why=why)


def gap(work: Work, hint: str, *, organisation: str, found_by: str = "") -> Gap:
    """Return the open gap for a name that nobody answers to; it closes by itself when an item arrives."""
    return gaps.report(work, organisation, hint, found_by=found_by)


def _one(work: Work, model: type[M], row: Mapping[str, Any], organisation: str, source: str) -> M:
    result = import_rows(work, [row], organisation=organisation, source=source).results[0]
    if result.what in {"rejected", "parked"}:
        raise Rejected(
            "The map does not accept this.", problems=result.problems, remedy="Correct the fields named."
        )
    held = work.pending.get(result.record)
    if held is not None and isinstance(held.record, model):
        return held.record
    found = model.objects.filter(id=result.record).first()
    if not isinstance(found, model):
        raise NotFound("There is no such record.", remedy="Look at the list of items.")
    return found


def _same(work: Work, record: M) -> M:
    """Return the instance that this transaction already writes, if there is one."""
    held = work.pending.get(record.id)
    return held.record if held is not None and isinstance(held.record, type(record)) else record
