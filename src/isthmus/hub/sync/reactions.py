"""Observations of synced kinds: found by key, by correlation, or new. One door, whatever the transport."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isthmus.hub.observing import Outcome, Seen, outcome
from isthmus.hub.sync import attachments, loading, recording, service, synced
from isthmus.hub.sync.algorithm import Sighting, Unmapped, adopt
from isthmus.hub.sync.boundary import Flow
from isthmus.hub.sync.dialect import Dialect, shapes_for
from isthmus.hub.sync.models import Link, LinkRun
from isthmus.hub.sync.recording import Cause
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.ids import source
from isthmus.ledger.records import kind_of

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

NewLinks = dict[tuple[str, str], str]


def react(work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
    """Admit each observation to its link, in log order; objects without a link become records by the flow."""
    del now
    known = _links_by_key(seens)
    by_correlation = _links_by_correlation(seens)
    loading.load(work, {*known.values(), *by_correlation.values()})
    return [_one(work, each, known, by_correlation) for each in seens]


def _one(work: Work, seen: Seen, known: NewLinks, by_correlation: dict[str, str]) -> Outcome:
    observation = seen.observation
    place = (seen.connection, observation.external.key)
    link_id = known.get(place) or by_correlation.get(observation.correlation, "")
    if not link_id:
        return _unlinked(work, seen, known)
    loaded = loading.load(work, [link_id]).get(link_id)
    if loaded is None:
        return outcome(seen, "ignored", reason="The link's connection is not usable.")
    if loaded.link.state != "active":
        return outcome(seen, "ignored", reason=f"The link is {loaded.link.state}.", records=[link_id])
    if loaded.link.external_key and loaded.link.external_key != observation.external.key:
        said = f"A second object carries this link's correlation: {observation.external.label or observation.external.key}."
        work.note(
            loaded.link, why=[Reason(rule="sync.twin", text=said)], cause=seen.message_id, trace=seen.trace
        )
        return outcome(seen, "entry", reason=said, records=[link_id])
    sighting = Sighting(observation=observation, seen_at=seen.received_at)
    admission, changed = service.admit(work, loaded, sighting, cause=_cause(seen))
    changed = [*changed, *attachments.observed(work, loaded, observation.attachments, cause=_cause(seen))]
    records = [loaded.record.id, link_id, *changed]
    return outcome(
        seen, "entry" if changed else "repeat", reason=admission.reason, records=list(dict.fromkeys(records))
    )


def _unlinked(work: Work, seen: Seen, known: NewLinks) -> Outcome:
    observation = seen.observation
    flow = loading.flow_of(observation.kind)
    terms = flow.connections.get(seen.connection)
    if terms is None or terms.direction not in {"both", "in"}:
        return outcome(
            seen, "ignored", reason=f"{seen.connection} takes no part in the flow of {observation.kind}."
        )
    if observation.deleted or not terms.creates:
        return outcome(seen, "ignored", reason="No record is linked to this object and none is made of it.")
    link_id, record_id = _open_record(work, seen, flow)
    known[seen.connection, observation.external.key] = link_id
    return outcome(seen, "entry", reason="A new record.", records=[record_id, link_id])


def _open_record(work: Work, seen: Seen, flow: Flow) -> tuple[str, str]:
    """Make a record of an object first seen at a partner, linked from its first instant."""
    observation, kind = seen.observation, seen.observation.kind
    mapping = loading.mapping_of(seen.connection, kind)
    model = synced.model_of(kind)
    why = [
        Reason(
            rule="sync.seen_first",
            text=f"Opened at {seen.connection} as {observation.external.label or observation.external.key}.",
        )
    ]
    link_id = source.new_id()
    record = synced.hooks_of(kind).create(
        work, model, seen.organisation, _inward(seen, Dialect(mapping)), why, observation.occurred_at, seen.message_id,
        seen.trace,
    )  # fmt: skip
    link = work.create(
        Link, organisation=seen.organisation, record_id=link_id, why=why, cause=seen.message_id, trace=seen.trace,
        values={"record_kind": kind, "record": record.id, "connection": seen.connection, "state": "active",
                "external_kind": observation.external.kind, "external_key": observation.external.key,
                "external_label": observation.external.label, "external_url": observation.external.url,
                "correlation": link_id, "mapping_version": mapping.version, "parts": {}},
    )  # fmt: skip
    run = LinkRun(link=link_id, organisation=seen.organisation, record=record.id, connection=seen.connection)
    work.insert(
        LinkRun, link=link_id, organisation=seen.organisation, record=record.id, connection=seen.connection
    )
    held = loading.held_by(work)
    held.records[record.id] = record
    loaded = loading.assemble(work, link, run, record, {}, {}, frozenset())
    held.loaded[link_id] = loaded
    sighting = Sighting(observation=observation, seen_at=seen.received_at)
    found = adopt(loaded.state, loaded.view, sighting, loaded.context, "theirs")
    recording.record(work, loaded, found, cause=_cause(seen))
    attachments.observed(work, loaded, observation.attachments, cause=_cause(seen))
    synced.hooks_of(kind).evidence(work, record, seen.connection, observation)
    synced.watched(work, record, seen.connection, observation)
    del flow
    return link_id, record.id


def _inward(seen: Seen, dialect: Dialect) -> dict[str, Any]:
    """Return canonical values of what can be read; the rest is parked by the adoption that follows."""
    found: dict[str, Any] = {}
    names = {name for shape in shapes_for(dialect.mapping).values() for name in shape.members}
    for name, theirs in seen.observation.values.items():
        if name not in names:
            continue
        try:
            found[name] = dialect.inward(name, theirs)
        except Unmapped:
            continue
    required = [field.name for field in _kind(seen).fields if field.required and not found.get(field.name)]
    if required:
        problems = tuple(Problem(path=f"/values/{name}", message="missing") for name in required)
        raise Rejected(
            f"The object has no {required[0]}.", remedy="Map that field, then re-drive.", problems=problems
        )
    return found


def _kind(seen: Seen) -> Any:
    return kind_of(synced.model_of(seen.observation.kind))


def _cause(seen: Seen) -> Cause:
    return Cause(message=seen.message_id, trace=seen.trace, occurred_at=seen.observation.occurred_at,
                 seen_at=seen.received_at, ref=seen.observation.external, actor=seen.observation.partner_actor)  # fmt: skip


def _links_by_key(seens: Sequence[Seen]) -> NewLinks:
    found: NewLinks = {}
    for connection in {each.connection for each in seens}:
        keys = {each.observation.external.key for each in seens if each.connection == connection}
        rows = Link.objects.filter(connection=connection, external_key__in=keys).order_by("id")
        found |= {(connection, key): link_id for link_id, key in rows.values_list("id", "external_key")}
    return found


def _links_by_correlation(seens: Sequence[Seen]) -> dict[str, str]:
    marks = {each.observation.correlation for each in seens if each.observation.correlation}
    rows = Link.objects.filter(correlation__in=marks) if marks else Link.objects.none()
    return {correlation: link_id for link_id, correlation in rows.values_list("id", "correlation")}
