"""Shares of a whole, one stacked bar per line, each part with a mark of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.web.charts.frame import Chart, Drawing, cut, percent, table

_WIDTH, _LINE, _LEFT = 420, 40, 0


@dataclass(frozen=True, kw_only=True)
class Part:
    label: str
    count: int
    tone: str


def shares(
    name: str, *, title: str, description: str, definition: str, lines: Sequence[tuple[str, Sequence[Part]]]
) -> Chart:
    """Return stacked bars; a line whose parts are all zero says so instead of drawing an empty bar."""
    drawing = Drawing(_WIDTH, max(1, len(lines)) * _LINE)
    rows: list[tuple[object, ...]] = []
    for i, (line, parts) in enumerate(lines):
        y, whole = i * _LINE, sum(each.count for each in parts)
        said = ", ".join(f"{each.count} {each.label}" for each in parts if each.count) or "nothing yet"
        drawing.add("text", cut(f"{line}: {said}", 66), class_="label", x=_LEFT, y=y + 11)
        x = float(_LEFT)
        for each in parts:
            width = (_WIDTH - _LEFT) * each.count / whole if whole else 0
            if width:
                drawing.add(
                    "rect",
                    class_=f"f-{each.tone}",
                    x=round(x, 1),
                    y=y + 17,
                    width=round(max(width - 2, 1), 1),
                    height=12,
                    rx=2,
                )
            rows.append((line, each.label, each.count, percent(each.count, whole)))
            x += width
        if not whole:
            drawing.add("rect", class_="soft-quiet", x=_LEFT, y=y + 17, width=_WIDTH, height=12, rx=2)
    return Chart(
        title=title,
        description=description,
        definition=definition,
        columns=("", "Part", "Count", "Share"),
        rows=table(rows),
        svg=drawing.finish(title=title, description=description, name=name),
    )
