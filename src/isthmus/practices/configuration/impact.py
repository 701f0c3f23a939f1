"""Impact: whom a failure (or a change) of some items reaches, and by which state of the map that was said."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from isthmus.practices.configuration.snapshot import CRITICALITY_ORDER, Snapshot

LISTED_MAX = 500
"""Most items listed by name in a report; the counts are always complete."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """One item that is reached: `hops` away, along `path` (ids, from the start to the item)."""

    id: str
    name: str
    ci_class: str
    criticality: str
    users: int
    hops: int
    path: list[str]


class ImpactReport(msgspec.Struct, frozen=True, kw_only=True):
    """`graph_version` names the whole map, `path_version` only the part that this report speaks about.

    `users` is the sum over the services, `criticality` the highest among them ("" if there is none),
    `unresolved` the references that the map does not know, `shared` the starts flagged as shared.
    """

    graph_version: str
    path_version: str
    cis: list[str]
    unresolved: list[str]
    shared: list[str]
    services: list[Reached]
    dependants: list[Reached]
    dependants_count: int
    upstream: list[Reached]
    users: int
    criticality: str


def report(held: Snapshot, references: Iterable[str]) -> ImpactReport:
    """Return the impact of the items that `references` (ids, keys, names, aliases) name."""
    resolved = {each: held.index.resolve(each) for each in sorted(set(references))}
    starts = sorted({ci for ci in resolved.values() if ci})
    down = held.graph.downstream(starts)
    dependants = [_reached(held, ci, each.hops, each.path) for ci, each in down.items()]
    own = [_reached(held, ci, 0, (ci,)) for ci in starts]
    services = _ordered(each for each in (*own, *dependants) if held.schema.is_service(each.ci_class))
    upstream = [_reached(held, ci, each.hops, each.path) for ci, each in held.graph.upstream(starts).items()]
    known = [each.criticality for each in services if each.criticality]
    return ImpactReport(
        graph_version=held.graph.version,
        path_version=held.graph.subgraph_version(starts),
        cis=starts,
        unresolved=[each for each, ci in resolved.items() if not ci],
        shared=[ci for ci in starts if held.cis[ci].shared],
        services=services[:LISTED_MAX],
        dependants=_ordered(dependants)[:LISTED_MAX],
        dependants_count=len(dependants),
        upstream=_ordered(upstream)[:LISTED_MAX],
        users=sum(each.users for each in services),
        criticality=min(known, key=lambda each: CRITICALITY_ORDER.get(each, 9), default=""),
    )


def _reached(held: Snapshot, ci: str, hops: int, path: tuple[str, ...]) -> Reached:
    facts = held.cis[ci]
    return Reached(
        id=ci,
        name=facts.name,
        ci_class=facts.ci_class,
        criticality=facts.criticality,
        users=facts.users,
        hops=hops,
        path=list(path),
    )


def _ordered(items: Iterable[Reached]) -> list[Reached]:
    return sorted(
        items, key=lambda each: (each.hops, CRITICALITY_ORDER.get(each.criticality, 9), each.name, each.id)
    )
