"""What every chart is: a drawing, its title and description, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe


@dataclass(frozen=True, kw_only=True)
class Chart:
    """`svg` is "" where there is nothing to draw; `definition` says how each number is counted."""

    title: str
    description: str
    definition: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: SafeString


class Drawing:
    """Collects SVG elements; every text and attribute is escaped here and nowhere else."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._parts: list[str] = []

    def add(self, tag: str, text: str | None = None, **attributes: object) -> None:
        """Add one element; `class_` and `text_anchor` become `class` and `text-anchor`."""
        inner = "/>" if text is None else f">{escape(text)}</{tag}>"
        self._parts.append(f"<{tag}{_attributes(attributes)}{inner}")

    def open(self, tag: str, **attributes: object) -> None:
        self._parts.append(f"<{tag}{_attributes(attributes)}>")

    def close(self, tag: str) -> None:
        self._parts.append(f"</{tag}>")

    def finish(self, *, title: str, description: str, name: str, natural: bool = False) -> SafeString:
        """Return the whole drawing with its accessible title and description; `natural` keeps its own size."""
        size = f' width="{self._width}" height="{self._height}"' if natural else ""
        head = (
            f'<svg class="chart{" natural" if natural else ""}"{size} viewBox="0 0 {self._width} {self._height}" role="group" '
            f'aria-labelledby="{escape(name)}-title {escape(name)}-description">'
            f'<title id="{escape(name)}-title">{escape(title)}</title>'
            f'<desc id="{escape(name)}-description">{escape(description)}</desc>'
        )
        return mark_safe(head + "".join(self._parts) + "</svg>")  # noqa: S308 - each part was escaped when added


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items()
    )


def cut(text: str, characters_max: int) -> str:
    """Return `text` with an ellipsis if it does not fit; the whole text belongs into a title beside it."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def percent(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %" if whole else "–"


def table(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(cell) for cell in row) for row in rows)
