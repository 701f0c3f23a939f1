"""The graph against a plain recomputation."""

from __future__ import annotations

import random
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.graph import Edge, EdgeFact, Graph, as_of, first_closing_edge
from isthmus.kernel.instant import Instant

names = st.integers(0, 12).map(lambda number: f"ci-{number:02}")
edges = st.lists(st.builds(Edge, names, names, st.sampled_from(["depends_on", "runs_on"])), max_size=40)


def walk(pairs: set[tuple[str, str]], starts: list[str], depth: int | None = None) -> dict[str, int]:
    """Breadth first over a set of pairs: hops by node, starts left out."""
    hops = dict.fromkeys(starts, 0)
    queue = deque(starts)
    while queue:
        node = queue.popleft()
        if depth is not None and hops[node] >= depth:
            continue
        for source, target in pairs:
            if source == node and target not in hops:
                hops[target] = hops[node] + 1
                queue.append(target)
    return {node: count for node, count in hops.items() if node not in starts}


@given(
    edges=edges,
    starts=st.lists(names, min_size=1, max_size=3, unique=True),
    depth=st.none() | st.integers(0, 4),
)
def test_upstream_and_downstream_equal_the_recomputation_in_the_right_direction(edges, starts, depth):
    graph = Graph((), edges)
    known = [start for start in starts if start in graph]
    forwards = {(edge.source, edge.target) for edge in edges}
    backwards = {(edge.target, edge.source) for edge in edges}
    assert {node: reach.hops for node, reach in graph.upstream(starts, depth).items()} == walk(
        forwards, known, depth
    )
    assert {node: reach.hops for node, reach in graph.downstream(starts, depth).items()} == walk(
        backwards, known, depth
    )
    for node, reach in graph.upstream(starts, depth).items():
        assert len(reach.path) == reach.hops + 1
        assert reach.path[0] in starts
        assert reach.path[-1] == node
        assert all(step in forwards for step in zip(reach.path, reach.path[1:], strict=False))
    assert graph.affected(starts) == frozenset(known) | set(walk(backwards, known))


@given(edges=edges)
def test_a_reported_cycle_is_one_and_none_is_missed(edges):
    graph = Graph((), edges)
    pairs = {(edge.source, edge.target) for edge in edges}
    found = graph.cycle()
    for step in zip(found, [*found[1:], *found[:1]], strict=True):
        assert step in pairs
    reaches_itself = any(node == other or node in walk(pairs, [other]) for node, other in pairs)
    assert bool(found) == reaches_itself


@given(edges=edges, seed=st.integers())
def test_the_version_depends_on_the_graph_and_not_on_the_order_of_building(edges, seed):
    shuffled = list(edges)
    random.Random(seed).shuffle(shuffled)
    assert Graph((), edges).version == Graph((), [*shuffled, *shuffled]).version
    assert Graph((), [*edges, Edge("new", "ci-00")]).version != Graph((), edges).version


@given(edges=edges, wanted=edges)
def test_the_first_closing_edge_is_the_one_that_adding_one_by_one_finds(edges, wanted):
    kept: list[Edge] = []
    for edge in edges:
        if not Graph((), [*kept, edge]).cycle():
            kept.append(edge)
    expected = next(
        (index for index in range(len(wanted)) if Graph((), [*kept, *wanted[: index + 1]]).cycle()), None
    )
    assert first_closing_edge(kept, wanted) == expected


facts = st.lists(
    st.builds(
        EdgeFact,
        edge=st.builds(Edge, names, names),
        at=st.integers(0, 30).map(Instant),
        present=st.booleans(),
    ),
    max_size=40,
)


@given(facts=facts, moment=st.integers(-1, 31).map(Instant))
def test_as_of_equals_replaying_the_history_to_that_moment(facts, moment):
    standing: set[Edge] = set()
    for fact in sorted(facts, key=lambda each: each.at):
        if fact.at <= moment:
            (standing.add if fact.present else standing.discard)(fact.edge)
    assert set(as_of(facts, moment).edges) == standing


def test_subgraph_version_ignores_edits_elsewhere_and_sees_those_on_the_path():
    before = Graph((), [Edge("shop", "db"), Edge("db", "disk"), Edge("mail", "relay")])
    elsewhere = Graph((), [*before.edges, Edge("relay", "rack")])
    on_path = Graph((), [*before.edges, Edge("billing", "db")])
    assert elsewhere.version != before.version
    assert elsewhere.subgraph_version(["db"]) == before.subgraph_version(["db"])
    assert on_path.subgraph_version(["db"]) != before.subgraph_version(["db"])


def test_common_upstream_is_the_nearest_shared_need():
    graph = Graph((), [Edge("a", "rack"), Edge("b", "rack"), Edge("rack", "room"), Edge("c", "room")])
    assert graph.common_upstream(["a", "b"]) == "rack"
    assert graph.common_upstream(["a", "c"]) == "room"
    assert graph.common_upstream(["a", "rack"]) == "rack"
    assert graph.common_upstream(["a", "unknown"]) == ""
    assert graph.neighbourhood(["rack"], 1) == {"rack", "a", "b", "room"}
