"""A distribution in classes, with percentiles named beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.web.charts.frame import Chart, Drawing, percent, table

_WIDTH, _HEIGHT, _BASE, _TOP = 560, 190, 140, 16


@dataclass(frozen=True, kw_only=True)
class Class:
    """One class: `tone` colours its bar; its count stands above it."""

    name: str
    count: int
    tone: str = "now"


def distribution(
    name: str, *, title: str, description: str, definition: str, classes: Sequence[Class],
    percentiles: Sequence[tuple[str, str]],
) -> Chart:  # fmt: skip
    """Return a histogram; `percentiles` are (name, value in words), told below it and in the table."""
    whole = sum(each.count for each in classes)
    top = max((each.count for each in classes), default=0) or 1
    drawing = Drawing(_WIDTH, _HEIGHT)
    step = _WIDTH / max(1, len(classes))
    for i, each in enumerate(classes):
        height = round((_BASE - _TOP) * each.count / top)
        x = round(i * step, 1)
        if each.count:
            drawing.add("rect", class_=f"f-{each.tone}", x=x + 2, y=_BASE - height, width=round(step - 4, 1), height=height, rx=2)  # fmt: skip
            drawing.add(
                "text", str(each.count), x=round(x + step / 2, 1), y=_BASE - height - 4, text_anchor="middle"
            )
        short = each.name.split("–")[0].removeprefix("over ").removesuffix(" %")
        drawing.add("text", short, x=x, y=_BASE + 14)
    drawing.add("line", class_="axis", x1=0, y1=_BASE, x2=_WIDTH, y2=_BASE)
    said = "   ".join(f"{key} {value}" for key, value in percentiles)
    drawing.add("text", said or "no values", class_="label", x=0, y=_BASE + 38)
    rows: list[tuple[object, ...]] = [(each.name, each.count, percent(each.count, whole)) for each in classes]
    rows += [(key, value, "") for key, value in percentiles]
    return Chart(
        title=title,
        description=description,
        definition=definition,
        columns=("Class", "Count", "Share"),
        rows=table(rows) if whole else (),
        svg=drawing.finish(title=title, description=description, name=name),
    )
