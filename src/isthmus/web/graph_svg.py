"""The dependency map as SVG: what the focus stands on to the left, what depends on it to the right.

Layered by distance, drawn on the server, usable without a mouse: every node is a link. Health is told by
shape as well as by colour (octagon: down, diamond mark: degraded, rounded: healthy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.utils.safestring import SafeString

from isthmus.web.charts.frame import Drawing, cut

NODE_WIDTH: Final = 168
NODE_HEIGHT: Final = 40
GAP_X: Final = 72
GAP_Y: Final = 14
LAYER_MAX: Final = 14
"""Nodes drawn per layer; the rest is counted in one last box and stands in the table twin."""
COLUMN_MAX: Final = 4
"""Nodes above and below the focus in a column."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """`distance`: hops from the focus, negative upstream. `health`: down, degraded, change or healthy."""

    id: str
    name: str
    kind: str
    distance: int
    href: str
    health: str = "healthy"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`source` depends on `target`: drawn from target (left) to source (right), as impact flows."""

    source: str
    target: str
    type: str


@dataclass
class _Placed:
    at: dict[str, tuple[int, int]] = field(default_factory=dict)
    hidden: dict[int, int] = field(default_factory=dict)
    width: int = 0
    height: int = 0


_TONE: Final[Mapping[str, str]] = {"down": "node-bad", "degraded": "node-warn", "change": "node-now"}
_MARK: Final[Mapping[str, str]] = {"down": "▲", "degraded": "◆", "change": "◐", "healthy": "●"}


def draw(
    nodes: Sequence[Node], edges: Iterable[Edge], *, focus: str, title: str, name: str = "map"
) -> SafeString:
    """Return the drawing; edges whose ends are not drawn are left out."""
    placed = _place(nodes)
    drawing = Drawing(placed.width, placed.height)
    for each in edges:
        if each.source in placed.at and each.target in placed.at:
            _edge(drawing, placed.at[each.target], placed.at[each.source], each.type)
    for node in nodes:
        if node.id in placed.at:
            _node(drawing, node, placed.at[node.id], is_focus=node.id == focus)
    first = min((each.distance for each in nodes), default=0)
    for distance, count in placed.hidden.items():
        x = (distance - first) * (NODE_WIDTH + GAP_X) + 8
        drawing.add("text", f"and {count} more, see the table", x=x, y=placed.height - 6)
    description = f"{len(nodes)} configuration items; left: what it stands on; right: what depends on it."
    return drawing.finish(title=title, description=description, name=name, natural=True)


def column(nodes: Sequence[Node], *, focus: str, title: str, name: str) -> SafeString:
    """Return the neighbourhood as one narrow column: what depends on the focus above it, what it stands on below."""
    above = _nearest([each for each in nodes if each.distance > 0])
    below = _nearest([each for each in nodes if each.distance < 0])
    rows = [*above, *(each for each in nodes if each.id == focus), *below]
    left, step = 20, NODE_HEIGHT + GAP_Y
    drawing = Drawing(left + NODE_WIDTH + 2, len(rows) * step)
    middle = [i * step + NODE_HEIGHT // 2 for i in range(len(rows))]
    if len(rows) > 1:
        drawing.add("path", d=f"M8 {middle[0]} V{middle[-1]}", class_="edge")
    for at in middle:
        drawing.add("path", d=f"M8 {at} H{left}", class_="edge")
    for i, node in enumerate(rows):
        _node(drawing, node, (left, i * step), is_focus=node.id == focus)
    description = f"Above {len(above)} that depend on it, below {len(below)} that it stands on."
    return drawing.finish(title=title, description=description, name=name, natural=True)


def _nearest(nodes: Sequence[Node]) -> list[Node]:
    """Return the few that a column shows: the sick first, then the nearest."""
    wanted = sorted(nodes, key=lambda each: (each.health == "healthy", abs(each.distance), each.name))
    return wanted[:COLUMN_MAX]


def _place(nodes: Sequence[Node]) -> _Placed:
    layers: dict[int, list[Node]] = {}
    for each in nodes:
        layers.setdefault(each.distance, []).append(each)
    placed = _Placed()
    first, last = min(layers, default=0), max(layers, default=0)
    tallest = min(max((len(layer) for layer in layers.values()), default=1), LAYER_MAX)
    placed.width = (last - first + 1) * (NODE_WIDTH + GAP_X) - GAP_X + 16
    placed.height = tallest * (NODE_HEIGHT + GAP_Y) + GAP_Y + 8
    for distance, layer in layers.items():
        # The sick come first, so that a cut layer never hides them.
        shown = sorted(layer, key=lambda each: (each.health == "healthy", each.name))[:LAYER_MAX]
        if len(layer) > LAYER_MAX:
            placed.hidden[distance] = len(layer) - LAYER_MAX
        top = (placed.height - len(shown) * (NODE_HEIGHT + GAP_Y)) // 2
        for i, each in enumerate(shown):
            placed.at[each.id] = (
                (distance - first) * (NODE_WIDTH + GAP_X) + 8,
                top + i * (NODE_HEIGHT + GAP_Y) + GAP_Y // 2,
            )
    if placed.hidden:
        placed.height += 20
    return placed


def _edge(drawing: Drawing, start: tuple[int, int], end: tuple[int, int], kind: str) -> None:
    x1, y1 = start[0] + NODE_WIDTH, start[1] + NODE_HEIGHT // 2
    x2, y2 = end[0], end[1] + NODE_HEIGHT // 2
    if x2 <= x1:  # an edge inside a layer or back: bow it so that it stays visible
        x1, x2 = start[0] + NODE_WIDTH, end[0] + NODE_WIDTH
        path = f"M{x1} {y1} C{x1 + 48} {y1} {x2 + 48} {y2} {x2 + 6} {y2}"
        tip = f"M{x2 + 1} {y2} l7 -3.5 v7 z"
    else:
        middle = (x1 + x2) // 2
        path = f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2 - 6} {y2}"
        tip = f"M{x2 - 1} {y2} l-7 -3.5 v7 z"
    drawing.open("g")
    drawing.add("title", kind.replace("_", " "))
    drawing.add("path", d=path, class_="edge")
    drawing.add("path", d=tip, class_="tip")
    drawing.close("g")


def _node(drawing: Drawing, node: Node, at: tuple[int, int], *, is_focus: bool) -> None:
    x, y = at
    words = f"{node.name}, {node.kind}, {node.health}{', ' + node.note if node.note else ''}"
    drawing.open("a", href=node.href, aria_label=words)
    drawing.add("title", words)
    style = f"node {_TONE.get(node.health, '')}{' node-focus' if is_focus else ''}"
    if node.health == "down":
        cut_corner = 9
        right, bottom = x + NODE_WIDTH, y + NODE_HEIGHT
        points = (
            (x + cut_corner, y), (right - cut_corner, y), (right, y + cut_corner), (right, bottom - cut_corner),
            (right - cut_corner, bottom), (x + cut_corner, bottom), (x, bottom - cut_corner), (x, y + cut_corner),
        )  # fmt: skip
        drawing.add("polygon", class_=style, points=" ".join(f"{px},{py}" for px, py in points))
    else:
        drawing.add(
            "rect",
            class_=style,
            x=x,
            y=y,
            width=NODE_WIDTH,
            height=NODE_HEIGHT,
            rx=3 if node.health == "degraded" else 12,
        )
    drawing.add(
        "text", f"{_MARK.get(node.health, '●')} {cut(node.name, 20)}", class_="label", x=x + 12, y=y + 17
    )
    drawing.add("text", cut(node.note or node.kind.replace("_", " "), 25), x=x + 12, y=y + 32)
    drawing.close("a")
