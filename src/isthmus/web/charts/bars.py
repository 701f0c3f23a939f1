"""Horizontal bars: one line per thing, the number at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.web.charts.frame import Chart, Drawing, cut, table

_WIDTH, _LINE, _LEFT, _RIGHT = 420, 24, 120, 70


@dataclass(frozen=True, kw_only=True)
class Bar:
    """`shown` is the number with its unit; `tone` colours the bar (and `shown` carries the words)."""

    name: str
    value: int
    shown: str
    tone: str = "now"


def bars(
    name: str, *, title: str, description: str, definition: str, column: str, lines: Sequence[Bar]
) -> Chart:
    """Return a bar chart; bars are as long as their share of the greatest value."""
    top = max((each.value for each in lines), default=0) or 1
    drawing = Drawing(_WIDTH, max(1, len(lines)) * _LINE + 4)
    for i, each in enumerate(lines):
        y = i * _LINE + 4
        length = round((_WIDTH - _LEFT - _RIGHT) * each.value / top)
        drawing.add("text", cut(each.name, 18), class_="label", x=_LEFT - 8, y=y + 13, text_anchor="end")
        drawing.add("rect", class_=f"f-{each.tone}", x=_LEFT, y=y + 2, width=max(length, 2), height=14, rx=2)
        drawing.add("text", each.shown, x=_LEFT + max(length, 2) + 6, y=y + 13)
    return Chart(
        title=title,
        description=description,
        definition=definition,
        columns=("Name", column),
        rows=table([(each.name, each.shown) for each in lines]),
        svg=drawing.finish(title=title, description=description, name=name),
    )
