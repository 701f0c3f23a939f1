"""Spelling of values at a partner: declared normalisers and conversions, both pure.

A normaliser is what the partner does to a text that we write (`trim`, `cut 160`, `lower`, …). A conversion is
the partner's type of a value (`rfc3339`, `epoch_seconds`, …).
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant, from_datetime, from_rfc3339, to_datetime, to_rfc3339
from isthmus.kernel.record import Json

Conversion = Literal["", "rfc3339", "utc_text", "epoch_seconds", "integer_text", "boolean_text"]

_TAG = re.compile(r"<[^<>]*>")
_NORMALISERS: dict[str, Callable[[str], str]] = {
    "trim": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "collapse": lambda text: " ".join(text.split()),
    "newlines": lambda text: text.replace("\r\n", "\n").replace("\r", "\n"),
    "strip_html": lambda text: html.unescape(_TAG.sub("", text)),
    "escape_html": lambda text: html.escape(text, quote=False),
}
NORMALISERS = (*_NORMALISERS, "cut <n>")
"""What `FieldMapping.normalise` may list; `cut 160` keeps the first 160 characters."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A partner value that the mapping understands, as the canonical value."""

    value: Json


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A partner value outside the table: kept as it came, reported, never defaulted."""

    raw: Json
    text: str


def table_key(value: Json) -> str:
    """Return the text under which a value stands in a table: 3 → "3", True → "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def is_normaliser(step: str) -> bool:
    """Return whether a declared step exists."""
    return step in _NORMALISERS or (step.startswith("cut ") and step[4:].isdigit())


def normalise(text: str, steps: tuple[str, ...]) -> str:
    """Return the text after the steps, in their order."""
    for step in steps:
        text = text[: int(step[4:])] if step.startswith("cut ") else _NORMALISERS[step](text)
    return text


def convert_out(field: str, convert: Conversion, value: Json) -> Json:
    """Return the canonical value in the partner's type; `Rejected` if it has none."""
    match convert:
        case "rfc3339" if isinstance(value, int):
            return to_rfc3339(Instant(value))
        case "utc_text" if isinstance(value, int):
            return to_datetime(Instant(value)).strftime("%Y-%m-%d %H:%M:%S")
        case "epoch_seconds" if isinstance(value, int):
            return value // 1_000_000
        case "integer_text" | "boolean_text":
            return table_key(value)
        case "":
            return value
        case _:
            raise Rejected(
                f"{field}: {value!r} cannot be written as {convert}.",
                problems=(Problem(path=f"/{field}", message=f"not convertible to {convert}"),),
            )


def convert_in(field: str, convert: Conversion, theirs: Json) -> Known | Unknown:
    """Return the canonical value of a partner's typed value, or `Unknown` keeping it."""
    try:
        match convert:
            case "rfc3339":
                return Known(value=from_rfc3339(str(theirs)))
            case "utc_text":
                moment = dt.datetime.strptime(str(theirs), "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
                return Known(value=from_datetime(moment))
            case "epoch_seconds":
                return Known(value=int(str(theirs)) * 1_000_000)
            case "integer_text":
                return Known(value=int(str(theirs)))
            case "boolean_text":
                return Known(value={"true": True, "false": False}[table_key(theirs).lower()])
            case _:
                return Known(value=theirs)
    except (ValueError, KeyError, Rejected):
        return Unknown(raw=theirs, text=f"{field}: {theirs!r} is not readable as {convert}.")
