"""The neighbourhood of one configuration item, with the health of each, ready to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString

from isthmus.kernel.instant import HOUR, Instant
from isthmus.ledger.ids import source
from isthmus.practices.configuration import snapshot
from isthmus.web import graph_svg, records

DEPTH_DEFAULT: Final = 2
DEPTH_MAX: Final = 6
NODES_MAX: Final = 400
_CHANGE_AHEAD: Final = 24 * HOUR


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """`nodes` in layers around the focus; `more` says how many were left out by `NODES_MAX`."""

    focus: str
    nodes: list[graph_svg.Node]
    edges: list[graph_svg.Edge]
    more: int
    version: str


def around(focus: str, depth: int) -> Neighbourhood:
    """Return what `focus` stands on (negative distance) and what depends on it, up to `depth` hops."""
    shot = snapshot.current()
    graph = shot.graph
    distances = {focus: 0}
    distances.update({node: -each.hops for node, each in graph.upstream([focus], depth).items()})
    for node, each in graph.downstream([focus], depth).items():
        distances.setdefault(node, each.hops)
    nearest = sorted(distances, key=lambda node: (abs(distances[node]), node))
    kept = [node for node in nearest[:NODES_MAX] if node in shot.cis]
    sick = health(kept, source.now())
    nodes = []
    for node in kept:
        ci = shot.cis[node]
        state, note = sick.get(node, ("healthy", ""))
        nodes.append(
            graph_svg.Node(
                id=node,
                name=ci.name,
                kind=ci.ci_class,
                distance=distances[node],
                href=f"/map/{node}?depth={depth}",
                health=state,
                note=note,
            )
        )
    inside = set(kept)
    edges = [
        graph_svg.Edge(source=a, target=b, type=kind)
        for (a, b, kind), (_, state) in shot.relations.items()
        if state != "removed" and a in inside and b in inside
    ]
    return Neighbourhood(
        focus=focus, nodes=nodes, edges=edges, more=len(distances) - len(kept), version=graph.version
    )


def health(ids: list[str], now: Instant) -> dict[str, tuple[str, str]]:
    """Return id → (state, note) for items with open incidents, firing alerts or a change in or near its window."""
    found: dict[str, tuple[str, str]] = {}
    wanted = set(ids)
    changes = records.of("change").filter(
        authorisation="approved", window_start__lte=now + _CHANGE_AHEAD, window_end__gte=now
    )
    for number, cis in changes.values_list("number", "cis"):
        for each in wanted.intersection(cis or ()):
            found[each] = ("change", f"{number} planned or running")
    firing = records.of("alert").filter(ci__in=wanted, state="firing").values_list("ci", flat=True)
    for each in firing:
        found[each] = ("degraded", "alert firing")
    incidents = records.of("incident").filter(ci__in=wanted, state__in=("new", "in_progress", "on_hold"))
    for ci, number, priority in incidents.values_list("ci", "number", "priority"):
        state = "down" if priority in {"1", "2"} else "degraded"
        if found.get(ci, ("", ""))[0] != "down":
            found[ci] = (state, f"{number} P{priority}")
    return found


def drawn(around_it: Neighbourhood, *, title: str, name: str = "map") -> SafeString:
    return graph_svg.draw(around_it.nodes, around_it.edges, focus=around_it.focus, title=title, name=name)


def small(focus: str) -> SafeString | str:
    """Return the one-hop drawing for a side rail ("" if the item is not on the map)."""
    nodes = around(focus, 1).nodes
    title = "What depends on it, above; what it stands on, below"
    return graph_svg.column(nodes, focus=focus, title=title, name="small-map") if nodes else ""


def facts(focus: str) -> Any:
    return snapshot.current().cis.get(focus)
