"""A directed graph of dependencies, immutable once built, with a version that changes when it does.

An edge `source → target` says "source depends on target". `upstream` follows edges forwards (what a node
needs); `downstream` follows them backwards (whom its failure reaches). Rust (rustworkx) holds the graph and
answers set and cycle questions; this module alone knows it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import rustworkx as rx

from isthmus.kernel.chain import encode
from isthmus.kernel.instant import Instant


class Edge(NamedTuple):
    """`source` depends on `target`, in the manner of `type`."""

    source: str
    target: str
    type: str = "depends_on"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a node is reached: the fewest `hops` and one shortest `path`, from the start to the node."""

    hops: int
    path: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EdgeFact:
    """What history says about an edge: it stands from `at` on (`present`), or no longer."""

    edge: Edge
    at: Instant
    present: bool


class Graph:
    """Nodes are ids. Unknown ids are answered with "reaches nothing", never with an error."""

    def __init__(self, nodes: Iterable[str], edges: Iterable[Edge]) -> None:
        self.edges = tuple(sorted(set(edges)))
        names = set(nodes)
        for edge in self.edges:
            names.add(edge.source)
            names.add(edge.target)
        self.nodes = tuple(sorted(names))
        self._index = {name: index for index, name in enumerate(self.nodes)}
        self._graph: Any = rx.PyDiGraph(multigraph=True)
        self._graph.add_nodes_from(list(self.nodes))
        self._graph.add_edges_from_no_data(
            [(self._index[edge.source], self._index[edge.target]) for edge in self.edges]
        )

    @cached_property
    def version(self) -> str:
        """Equal for equal graphs, different otherwise."""
        return version_of(self.nodes, self.edges)

    def __contains__(self, node: object) -> bool:
        return node in self._index

    def upstream(self, starts: Iterable[str], depth: int | None = None) -> dict[str, Reach]:
        """Return what the start nodes need, directly or not, each with hops and path; starts left out."""
        return self._search(starts, depth, self._graph.successor_indices)

    def downstream(self, starts: Iterable[str], depth: int | None = None) -> dict[str, Reach]:
        """Return whom the start nodes' failure reaches, each with hops and path; starts left out."""
        return self._search(starts, depth, self._graph.predecessor_indices)

    def affected(self, starts: Iterable[str]) -> frozenset[str]:
        """Return the starts and everything downstream of them, without hops: the fast question."""
        found: set[int] = set()
        for start in starts:
            index = self._index.get(start)
            if index is not None and index not in found:
                found.add(index)
                found |= rx.ancestors(self._graph, index)
        return frozenset(self.nodes[index] for index in found)

    def neighbourhood(self, starts: Iterable[str], hops: int) -> frozenset[str]:
        """Return the starts with everything at most `hops` away in either direction."""
        known = [start for start in starts if start in self._index]
        return frozenset({*known, *self.upstream(known, hops), *self.downstream(known, hops)})

    def common_upstream(self, nodes: Sequence[str]) -> str:
        """Return the nearest node that all of `nodes` need (or are), by total hops, then by id; else ""."""
        totals: dict[str, int] | None = None
        for node in nodes:
            reach = {node: 0, **{name: each.hops for name, each in self.upstream([node]).items()}}
            totals = (
                reach
                if totals is None
                else {name: totals[name] + reach[name] for name in totals if name in reach}
            )
        return min(totals, key=lambda name: (totals[name], name)) if totals else ""

    def cycle(self) -> tuple[str, ...]:
        """Return one cycle as nodes in order (each depends on the next, the last on the first); () if none."""
        found = rx.digraph_find_cycle(self._graph)
        return tuple(self.nodes[source] for source, _ in found)

    def subgraph_version(self, starts: Iterable[str]) -> str:
        """Return the version of the part downstream of `starts`: unchanged by edits elsewhere."""
        inside = self.affected(starts)
        return version_of(
            sorted(inside), [edge for edge in self.edges if edge.source in inside and edge.target in inside]
        )

    def _search(self, starts: Iterable[str], depth: int | None, step: Any) -> dict[str, Reach]:
        begin = sorted({self._index[start] for start in starts if start in self._index})
        came_from: dict[int, int] = dict.fromkeys(begin, -1)
        hops = dict.fromkeys(begin, 0)
        queue = deque(begin)
        while queue:
            node = queue.popleft()
            if depth is not None and hops[node] >= depth:
                continue
            # Neighbours in id order, so that equal graphs give equal paths.
            for neighbour in sorted(step(node)):
                if neighbour not in hops:
                    hops[neighbour] = hops[node] + 1
                    came_from[neighbour] = node
                    queue.append(neighbour)
        chosen = set(begin)
        return {
            self.nodes[node]: Reach(hops=count, path=self._path(node, came_from))
            for node, count in hops.items()
            if node not in chosen
        }

    def _path(self, node: int, came_from: Mapping[int, int]) -> tuple[str, ...]:
        steps: list[str] = []
        while node != -1:
            steps.append(self.nodes[node])
            node = came_from[node]
        return tuple(reversed(steps))


def version_of(nodes: Iterable[str], edges: Iterable[Edge]) -> str:
    """Return 16 hex digits that are equal for equal graphs: nodes and edges, whatever the order of building."""
    parts = [list(nodes), [list(edge) for edge in edges]]
    return hashlib.sha256(encode(parts)).hexdigest()[:16]


def as_of(history: Iterable[EdgeFact], at: Instant) -> Graph:
    """Return the graph that stood at `at`: of each edge the last fact not after it (later facts win ties)."""
    latest: dict[Edge, tuple[Instant, bool]] = {}
    for fact in history:
        if fact.at <= at and (fact.edge not in latest or latest[fact.edge][0] <= fact.at):
            latest[fact.edge] = (fact.at, fact.present)
    return Graph((), [edge for edge, (_, present) in latest.items() if present])


def first_closing_edge(kept: Sequence[Edge], wanted: Sequence[Edge]) -> int | None:
    """Return the index of the first wanted edge that closes a cycle with those before it; None: none does.

    One check of the whole batch where all is well; bisection only where it is not.
    """

    def closes(count: int) -> bool:
        return not rx.is_directed_acyclic_graph(_bare([*kept, *wanted[:count]])[0])

    if not closes(len(wanted)):
        return None
    if closes(0):
        # The standing graph has cycles already (the rule came later): only reachability tells whose fault it is.
        return _first_returning_edge(kept, wanted)
    low, high = 0, len(wanted)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if closes(middle) else (middle, high)
    return high - 1


def _bare(edges: Sequence[Edge]) -> tuple[Any, dict[str, int]]:
    index: dict[str, int] = {}
    for edge in edges:
        index.setdefault(edge.source, len(index))
        index.setdefault(edge.target, len(index))
    graph: Any = rx.PyDiGraph(multigraph=True)
    graph.add_nodes_from(list(index))
    graph.add_edges_from_no_data([(index[edge.source], index[edge.target]) for edge in edges])
    return graph, index


def _first_returning_edge(kept: Sequence[Edge], wanted: Sequence[Edge]) -> int | None:
    graph, index = _bare([*kept, *wanted])
    graph.remove_edges_from([(index[edge.source], index[edge.target]) for edge in wanted])
    graph.add_edges_from_no_data([(index[edge.source], index[edge.target]) for edge in kept])
    for position, edge in enumerate(wanted):
        source, target = index[edge.source], index[edge.target]
        if source == target or rx.has_path(graph, target, source):
            return position
        graph.add_edge(source, target, None)
    return None
