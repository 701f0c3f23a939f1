"""What stands in one cell of a list: words for a file and for programs, and how they look on a page.

Both come from one value, so that what is downloaded is what was seen. `html` is escaped by whoever makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.web.templatetags import isthmus as looks

NONE: Final = "–"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What cells are made with besides their row: the instant and zone of the page, and what was loaded for all rows."""

    now: int
    zone: str = ""
    loaded: dict[str, Any] = field(default_factory=dict)

    def name(self, of: str, key: str, otherwise: str = "") -> str:
        """Return what `key` is called in a loaded mapping of names."""
        return str(self.loaded.get(of, {}).get(key) or otherwise)


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    html: SafeString | str


EMPTY: Final = Cell("", format_html('<span class="quiet">{}</span>', NONE))


def words(value: object) -> Cell:
    """A text as it is; nothing is a dash on the page and empty in a file."""
    text = "" if value is None else str(value)
    return Cell(text, text) if text else EMPTY


def humane(value: object) -> Cell:
    """A word of the vocabulary: `in_progress` reads `In progress` on the page and stays itself in a file."""
    text = "" if value is None else str(value)
    return Cell(text, looks.words(text)) if text else EMPTY


def number(value: int | None) -> Cell:
    return EMPTY if value is None else Cell(str(value), str(value))


def yes(value: object) -> Cell:
    return Cell("yes", "yes") if value else Cell("no", format_html('<span class="quiet">{}</span>', "no"))


def code(value: object, *, longest: int = 16) -> Cell:
    """A hash or key: whole in a file, its beginning on the page."""
    text = "" if value is None else str(value)
    if not text:
        return EMPTY
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return Cell(text, format_html('<code title="{}">{}</code>', text, shown))


def state(value: object, label: str = "", tone: str = "") -> Cell:
    """A state: mark, colour and word."""
    text = "" if value is None else str(value)
    return Cell(text, looks.badge(text, label, tone)) if text or label else EMPTY


def level(value: object) -> Cell:
    """A priority, impact or urgency: 1 is the highest."""
    text = "" if value is None else str(value)
    return Cell(text, looks.priority(text)) if text else EMPTY


def link(text: str, path: str, *, after: Cell | None = None) -> Cell:
    """A record by what people call it; `after` follows on the page and in a file."""
    shown = format_html('<a href="{}">{}</a>', path, text)
    return together(Cell(text, shown), after) if after is not None else Cell(text, shown)


def instant(at: int | None, beside: Beside) -> Cell:
    """A time: relative on the page, RFC 3339 in UTC in a file."""
    if at is None:
        return EMPTY
    return Cell(to_rfc3339(Instant(at)), looks.when({"now": beside.now, "time_zone": beside.zone}, at))


def exact(at: int | None, beside: Beside, form: str = "%Y-%m-%d %H:%M") -> Cell:
    """A time that is planned for: in full in the reader's zone."""
    if at is None:
        return EMPTY
    return Cell(to_rfc3339(Instant(at)), looks.moment({"time_zone": beside.zone}, at, form))


def span(microseconds: int | None) -> Cell:
    """A span of time: in words on the page, whole seconds in a file."""
    if microseconds is None:
        return EMPTY
    return Cell(str(microseconds // 1_000_000), looks.time_left(microseconds))


def unbroken(text: str) -> Cell:
    """A word that no line breaks, such as a number with hyphens."""
    return Cell(text, format_html('<span class="keep">{}</span>', text))


def quiet(text: str) -> Cell:
    return Cell(text, format_html('<span class="quiet">{}</span>', text))


def aside(text: str) -> Cell:
    return Cell(text, format_html('<span class="small quiet">{}</span>', text))


def alarming(text: str) -> Cell:
    return Cell(text, format_html('<span class="small tone-bad">▲ {}</span>', text))


def together(*parts: Cell | None, by: str = " ") -> Cell:
    """Several on one line."""
    held = [each for each in parts if each is not None and each.text]
    return Cell(
        by.join(each.text for each in held), format_html_join(by, "{}", ((each.html,) for each in held))
    )


def lines(parts: Iterable[Cell | None]) -> Cell:
    """Several below each other; one after the other in a file."""
    held = [each for each in parts if each is not None and each.text]
    if not held:
        return EMPTY
    shown = format_html_join(SafeString("<br>"), "{}", ((each.html,) for each in held))
    return Cell("; ".join(each.text for each in held), format_html("<span>{}</span>", shown))
