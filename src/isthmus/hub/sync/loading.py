"""Loads what the pure rules need about links: record, base, working state, policies, mapping."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from isthmus import blueprint
from isthmus.hub import connections
from isthmus.hub.sync import boundary, synced
from isthmus.hub.sync.algorithm import (
    Context,
    HubComment,
    HubField,
    Limits,
    LinkState,
    RecordView,
    fingerprint,
    link_from_json,
)
from isthmus.hub.sync.algorithm.state import Operation
from isthmus.hub.sync.boundary import Flow
from isthmus.hub.sync.dialect import Dialect, Paths, one_way, shapes_for, straight
from isthmus.hub.sync.models import Conflict, FieldTrail, Link, LinkRun
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.kernel.mapping import RecordMapping
from isthmus.kernel.merge import HUB, FieldPolicy, Shape, clean, gather
from isthmus.ledger import rows
from isthmus.ledger.columns import open_json
from isthmus.ledger.ids import source
from isthmus.ledger.records import RecordModel, kind_of

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

REQUEST_WAITS = 3
"""A request whose outcome is unknown may still land for this many times the client's bound of one request: longer
than the lane's bound of a whole call, which is two."""


@dataclass
class Loaded:
    """One link with everything around it, as this Work sees it. `view` and `state` move as outcomes apply."""

    link: Link
    run: LinkRun
    record: RecordModel
    state: LinkState
    view: RecordView
    context: Context
    mapping: RecordMapping
    flow: Flow
    trails: dict[str, FieldTrail] = field(default_factory=dict)


@dataclass
class _Held:
    """Instances that one Work shares: two links of one record must change the same object. `linked`: (record,
    connection) pairs that it tied; `reach`: whether (connection's, record's) organisations are in one line; `noticed`:
    the blueprint was looked at afresh."""

    records: dict[str, RecordModel] = field(default_factory=dict)
    views: dict[str, RecordView] = field(default_factory=dict)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    linked: set[tuple[str, str]] = field(default_factory=set)
    reach: dict[tuple[str, str], bool] = field(default_factory=dict)
    noticed: bool = False


_held: WeakKeyDictionary[Work, _Held] = WeakKeyDictionary()


def held_by(work: Work) -> _Held:
    """Return what this Work has loaded so far."""
    return _held.setdefault(work, _Held())


def load(work: Work, link_ids: Iterable[str], *, paths: Paths = straight) -> dict[str, Loaded]:
    """Return the links by id with their surroundings; a link whose connection is gone is left out."""
    held = held_by(work)
    wanted = list(dict.fromkeys(link_ids))
    missing = [each for each in wanted if each not in held.loaded]
    if missing:
        links = rows.instances(Link, "id", missing)
        runs = {each.link: each for each in rows.instances(LinkRun, "link", missing)}
        _load_records(work, held, links)
        trails = _trails(links)
        comments = comments_of({each.record for each in links}, _organisations(links))
        conflicts = _open_conflicts(links)
        for link in links:
            record = held.records.get(link.record)
            if record is None or link.id not in runs:
                continue
            known = trails.get(link.record, {})
            try:
                held.loaded[link.id] = assemble(
                    work, link, runs[link.id], record, known, comments.get(link.record, {}),
                    conflicts.get(link.record, frozenset()), paths=paths,
                )  # fmt: skip
            except NeedsOperator:
                continue
    found = {each: held.loaded[each] for each in wanted if each in held.loaded}
    for each in found.values():
        shared = held.views.get(each.record.id)
        if shared is not None:
            each.view = _with_parts_of(each, shared)
    return found


def _with_parts_of(loaded: Loaded, shared: RecordView) -> RecordView:
    """Return the link's view with what other links of the record changed in this Work."""
    fields = view_fields(loaded.record, loaded.context.shapes, loaded.trails)
    fields |= {name: each for name, each in shared.fields.items() if name in loaded.context.shapes
               and each.value == fields[name].value}  # fmt: skip
    return RecordView(fields=fields, comments=shared.comments, conflicts=shared.conflicts)


def assemble(
    work: Work, link: Link, run: LinkRun, record: RecordModel, trails: dict[str, FieldTrail],
    comments: Mapping[str, HubComment], conflicts: frozenset[str], *, paths: Paths = straight,
) -> Loaded:  # fmt: skip
    """Return one link's surroundings out of loaded rows."""
    mapping = _mapping_for(work, link)
    flow = flow_of(link.record_kind)
    context = context_for(link.connection, record, mapping, flow, work.now, paths=paths)
    view = RecordView(
        fields=view_fields(record, context.shapes, trails),
        comments=comments if _terms(flow, link.connection).comments else {},
        conflicts=conflicts,
    )
    return Loaded(link=link, run=run, record=record, state=state_of(link, run), view=view, context=context,
                  mapping=mapping, flow=flow, trails=trails)  # fmt: skip


def context_for(
    connection: str,
    record: RecordModel,
    mapping: RecordMapping,
    flow: Flow,
    now: Instant,
    *,
    paths: Paths = straight,
) -> Context:
    """Return the algorithm's context of a record at a connection."""
    frame = _frame(connection, mapping, flow)
    policies = frame.policies
    if frame.conditional:
        facts: dict[str, Any] = {
            "connection": connection, "kind": mapping.kind, "channel": record.channel, "field": "",
            "record": plain_of(record),
        }  # fmt: skip
        policies = _policies(mapping, flow, frame.shapes, connection, facts)
    return Context(
        connection=connection, shapes=frame.shapes, spelling=Dialect(mapping, paths), now=now, policies=policies,
        comment_id=lambda _key: source.new_id(), legal=synced.hooks_of(mapping.kind).legal,
        revises=frame.revises, limits=frame.limits,
    )  # fmt: skip


class _Frame(NamedTuple):
    """What all records of a kind have in common at a connection, until the blueprint changes. `policies` hold for
    every record unless the flow has rules with conditions."""

    connection: connections.Connection
    mapping: RecordMapping
    flow: Flow
    shapes: Mapping[str, Shape]
    policies: Mapping[str, FieldPolicy]
    conditional: bool
    revises: bool
    limits: Limits


_frames: dict[tuple[str, str], _Frame] = {}


def _frame(connection: str, mapping: RecordMapping, flow: Flow) -> _Frame:
    found, key = connections.get(connection), (connection, mapping.kind)
    held = _frames.get(key)
    if held is not None and held.connection is found and held.mapping is mapping and held.flow is flow:
        return held
    shapes = shapes_for(mapping)
    conditional = any(each.when for each in flow.fields)
    policies = {} if conditional else _policies(mapping, flow, shapes, connection, {})
    lag = found.manifest.timing.search_lag_seconds
    limits = Limits(
        request_wait=wait_out(connection), index_lag=int(lag * SECOND), parked_retry_after=flow.parked_retry_minutes * MINUTE
    )  # fmt: skip
    made = _Frame(
        found,
        mapping,
        flow,
        shapes,
        policies,
        conditional,
        found.manifest.can("revise", mapping.kind),
        limits,
    )
    _frames[key] = made
    return made


def _policies(
    mapping: RecordMapping, flow: Flow, shapes: Mapping[str, Shape], connection: str, facts: Mapping[str, Any]
) -> dict[str, FieldPolicy]:
    parts = {name: shape.members for name, shape in shapes.items()}
    found = boundary.policies(mapping.kind, flow, parts, connection, facts)
    return {name: _narrowed(found[name], *one_way(mapping, shape)) for name, shape in shapes.items()}


def wait_out(connection: str) -> int:
    """Return the microseconds during which a request whose outcome is unknown may still land."""
    return int(REQUEST_WAITS * connections.get(connection).limits.request_seconds_max * SECOND)


def _narrowed(policy: FieldPolicy, inbound: bool, outbound: bool) -> FieldPolicy:  # noqa: FBT001 - a pair from `one_way`
    return replace(policy, inbound=policy.inbound and inbound, outbound=policy.outbound and outbound)


def instant(microseconds: int) -> Instant:
    """Return a stored time as an instant."""
    return Instant(microseconds)


def print_of(record: RecordModel, part: str, changes: Mapping[str, Any] | None = None) -> str:
    """Return the fingerprint of a part as the record holds it (after `changes`): the same for every mapping,
    whichever members of a group it knows."""
    values = {**plain_of(record), **(changes or {})}
    members = tuple(field.name for field in kind_of(record).fields if (field.group or field.name) == part)
    return fingerprint([clean(values.get(name)) for name in members])


def plain_of(record: RecordModel) -> dict[str, Any]:
    """Return the record's fields by name."""
    return {field.name: getattr(record, field.name) for field in kind_of(record).fields}


def flow_of(kind: str) -> Flow:
    """Return the flow of a kind; an undeclared one has no connections."""
    return flows().get(kind) or Flow(connections={})


def flows() -> dict[str, Flow]:
    """Return the flows of all kinds."""
    found: dict[str, Flow] = blueprint.current().section("sync")
    return found


def _terms(flow: Flow, connection: str) -> boundary.Terms:
    return flow.connections.get(connection) or boundary.Terms(direction="none")


def _mapping_for(work: Work, link: Link) -> RecordMapping:
    """Return the mapping in force for a link. One that stands under another mapping may have been put there by an
    apply that this process has not noticed yet: what it owes would look as if it were in step. One look per Work is
    enough: some links stand under an older mapping until something of them changes."""
    found = mapping_of(link.connection, link.record_kind)
    held = held_by(work)
    if held.noticed or link.mapping_version in ("", found.version):
        return found
    held.noticed = True
    blueprint.current(fresh=True)
    return mapping_of(link.connection, link.record_kind)


def mapping_of(connection: str, kind: str) -> RecordMapping:
    """Return the mapping in force; `NeedsOperator` if the connection does not know the kind."""
    found = connections.get(connection).pure_context().mappings.get(kind)
    if found is None:
        raise NeedsOperator(
            f"Connection {connection!r} does not map {kind}.", remedy="Remove it from the flow."
        )
    return found


def view_fields(
    record: RecordModel, shapes: Mapping[str, Shape], trails: Mapping[str, FieldTrail]
) -> dict[str, HubField]:
    """Return our side of each part. A trail whose fingerprint no longer fits says nothing: somebody edited."""
    values = plain_of(record)
    found: dict[str, HubField] = {}
    for name, shape in shapes.items():
        value = gather(shape, values)
        trail = trails.get(name)
        past = tuple((str(print_), int(at)) for print_, at in (trail.trail or ())) if trail else ()
        if trail is not None and trail.value == print_of(record, name):
            found[name] = HubField(
                value=value, at=Instant(trail.at), source=trail.source, hops=trail.hops, trail=past
            )
        else:
            found[name] = HubField(value=value, at=Instant(record.occurred_at), source=HUB, trail=past)
    return found


def state_of(link: Link, run: LinkRun) -> LinkState:
    """Return the algorithm's state of a link out of its two rows."""
    base = link_from_json(link.parts or {})
    operation = None if run.operation is None else msgspec.convert(open_json(run.operation), Operation)
    return msgspec.structs.replace(
        base,
        key=link.external_key,
        version=run.version,
        tick=run.tick,
        fence=run.fence,
        dirty=run.dirty,
        operation=operation,
    )


def _load_records(work: Work, held: _Held, links: Iterable[Link]) -> None:
    wanted: dict[str, set[str]] = {}
    for link in links:
        if link.record in held.records:
            continue
        if link.record in work.pending:
            held.records[link.record] = work.pending[link.record].record
        else:
            wanted.setdefault(link.record_kind, set()).add(link.record)
    for kind, ids in wanted.items():
        for record in rows.instances(synced.model_of(kind), "id", list(ids)):
            held.records[record.id] = record


def _organisations(links: Iterable[Link]) -> set[str]:
    return {each.organisation for each in links}


def _trails(links: Sequence[Link]) -> dict[str, dict[str, FieldTrail]]:
    found: dict[str, dict[str, FieldTrail]] = {}
    records = list({link.record for link in links})
    for each in rows.instances(FieldTrail, "record", records, organisation=_organisations(links)):
        found.setdefault(each.record, {})[each.part] = each
    return found


def comments_of(
    records: Iterable[str], organisations: Collection[str] = ()
) -> dict[str, dict[str, HubComment]]:
    """Return all comments by record and id, oldest first, deleted ones marked. `organisations`: those of the records,
    where they are known."""
    model: Any = synced.model_of("comment")
    found: dict[str, dict[str, HubComment]] = {}
    known = {"organisation": organisations} if organisations else {}
    held = rows.instances(model, "record", list(records), **known)
    for row in sorted(held, key=lambda each: (each.written_at or 0, each.id)):
        found.setdefault(row.record, {})[row.id] = HubComment(
            body=row.body,
            public=bool(row.public),
            deleted=row.state == "deleted",
            source=row.connection or HUB,
        )
    return found


def _open_conflicts(links: Sequence[Link]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    records = list({link.record for link in links})
    open_ones = rows.tuples(
        Conflict, ("record", "field"), "record", records, organisation=_organisations(links), state="open", winner="undecided"
    )  # fmt: skip
    for record, part in open_ones:
        found[record] = found.get(record, frozenset()) | {part}
    return found
