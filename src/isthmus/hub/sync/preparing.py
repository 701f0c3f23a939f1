"""Before a Work is flushed: links of changed records are owed a converge, new records are routed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from isthmus import blueprint
from isthmus.blueprint.models import Generation
from isthmus.hub import connections
from isthmus.hub.lanes import levels
from isthmus.hub.sync import loading, recording, service, synced
from isthmus.hub.sync.blueprint import ROUTE_VARIABLES, Mappings, Route, overlaid_by
from isthmus.hub.sync.models import Link
from isthmus.kernel import expression
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.merge import HUB
from isthmus.kernel.record import Reason
from isthmus.ledger import rows
from isthmus.ledger.records import RecordModel, kind_of

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


def prepare(work: Work) -> None:
    """Schedule what follows from the records that this Work touches."""
    records: dict[str, RecordModel] = {}
    parents: set[str] = set()
    for record in work.created_or_changed():
        kind = kind_of(record).name
        if kind in synced.kinds():
            records[record.id] = record
        elif kind == "comment":
            parents.add(str(vars(record)["record"]))
    if not records and not parents:
        return
    links = _links(work, records.keys() | parents)
    for each in links:
        levels.converge(work, each)
    linked = {each.record for each in links}
    for record in records.values():
        if record.id in linked:
            _remember_edits(work, record)
    _route(work, [each for each in records.values() if work.pending[each.id].created], links)


def prepare_mappings(work: Work) -> None:
    """When a blueprint is applied or rolled back: links under a changed mapping are planned again with it."""
    applied = next(
        (
            each
            for each in work.created_or_changed()
            if isinstance(each, Generation) and each.state == "applied"
        ),
        None,
    )
    if applied is None:
        return
    plain = msgspec.json.decode(applied.content) if applied.content else {}
    overlays = msgspec.convert(plain.get("mappings", {}), Mappings)
    for name, connection in connections.in_force().items():
        now = connection.pure_context().mappings
        for kind, mapping in overlaid_by(overlays, name, connection.connector).items():
            if kind in synced.kinds() and kind in now and mapping.version != now[kind].version:
                service.replan(work, name, kind, mapping)


def _links(work: Work, record_ids: set[str]) -> list[Link]:
    pending = {each.id: each for each in work.created_or_changed() if isinstance(each, Link)}
    stored = _stored_links(work, record_ids)
    known = {each.id: pending.get(each.id, each) for each in stored}
    known |= {
        each.id: each for each in pending.values() if each.record in record_ids and each.state == "active"
    }
    return list(known.values())


def _stored_links(work: Work, record_ids: set[str]) -> list[Link]:
    """Return the active links of records; one that this Work makes has none in the store yet."""
    made = {each for each in record_ids if each in work.pending and work.pending[each].created}
    homes = {each.organisation for each in work.created_or_changed()}
    return rows.instances(Link, "record", list(record_ids - made), organisation=homes, state="active")


def _remember_edits(work: Work, record: RecordModel) -> None:
    """Note when and by whom each part changed, so that `latest` can compare; adoptions have noted theirs."""
    adopted = recording.adopted_by(work)
    pending = work.pending[record.id]
    if pending.created:
        return
    kind = kind_of(record)
    parts = {kind.by_name[name].group or name for name in pending.changes if name in kind.by_name}
    for part in parts:
        if (record.id, part) not in adopted:
            recording.keep_trail(work, record, part, print_=loading.print_of(record, part), at=loading.instant(pending.occurred_at),
                                 source=work.origin.connection or HUB)  # fmt: skip


def _route(work: Work, created: Sequence[RecordModel], links: Sequence[Link]) -> None:
    if not created:
        return
    routes: list[Route] = blueprint.current().section("routes")
    if not routes:
        return
    taken = {(each.record, each.connection) for each in links}
    for record in created:
        came_from = next((each.connection for each in links if each.record == record.id), "")
        facts: dict[str, Any] = {
            "kind": record.kind, "channel": record.channel, "connection": came_from, "record": loading.plain_of(record),
        }  # fmt: skip
        for route in routes:
            if route.kind != record.kind or (route.when and not _holds(route.when, facts)):
                continue
            for name in route.to:
                if (record.id, name) not in taken:
                    taken.add((record.id, name))
                    _link(work, record, name, route)


def _holds(text: str, facts: dict[str, Any]) -> bool:
    return expression.compile(text, ROUTE_VARIABLES).holds(facts)


def _link(work: Work, record: RecordModel, name: str, route: Route) -> None:
    """Link by route. A connection that cannot be used must not undo the record: it is journalled."""
    trace = work.pending[record.id].trace
    try:
        service.link(
            work,
            record,
            name,
            why=f"Route {route.id} sends it to {name}.",
            rule=f"route.{route.id}",
            trace=trace,
        )
    except IsthmusError as fault:
        facts = {"record": record.id, "connection": name, "route": route.id}
        work.journal(record.organisation, "sync.route", facts,
                     [Reason(rule=f"route.{route.id}", text=f"Not linked to {name}: {fault}")])  # fmt: skip
