"""A funnel: how many of the first become the next."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.web.charts.frame import Chart, Drawing, percent, table

_WIDTH, _LINE = 420, 34


def funnel(
    name: str, *, title: str, description: str, definition: str, steps: Sequence[tuple[str, int]]
) -> Chart:
    """Return a funnel of (label, count) steps, each centred and as wide as its share of the greatest."""
    top = max((count for _, count in steps), default=0) or 1
    drawing = Drawing(_WIDTH, len(steps) * _LINE + 2)
    for i, (label, count) in enumerate(steps):
        y = i * _LINE
        width = max(3, round(_WIDTH * count / top)) if count else 0
        drawing.add(
            "rect", class_="soft-now", x=(_WIDTH - width) / 2, y=y, width=width, height=_LINE - 6, rx=3
        )
        drawing.add("text", f"{count} {label}", class_="label", x=_WIDTH / 2, y=y + 18, text_anchor="middle")
    first = steps[0][1] if steps else 0
    return Chart(
        title=title,
        description=description,
        definition=definition,
        columns=("Step", "Count", "Of the first"),
        rows=table([(label, count, percent(count, first)) for label, count in steps]),
        svg=drawing.finish(title=title, description=description, name=name),
    )
