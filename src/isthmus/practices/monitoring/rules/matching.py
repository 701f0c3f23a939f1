"""Matchers on labels, as silences and inhibitions use them: `=`, `!=`, `=~`, `!~`.

Regular expressions run in CEL's engine (RE2): linear time, whole text, so that a pattern written in a hurry
cannot stop the pump.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.kernel import expression
from isthmus.kernel.errors import Rejected

OPERATORS: Final = ("=", "!=", "=~", "!~")


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """`label` compared with `value`; a label that an alert lacks is the empty text."""

    label: str
    value: str
    operator: str = "="

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise Rejected(
                f"{self.operator!r} is not an operator.", remedy=f"Use one of {' '.join(OPERATORS)}."
            )
        if not self.label:
            raise Rejected("A matcher names no label.", remedy="Give the label's name.")
        if self.operator in {"=~", "!~"}:
            _pattern(self.value)

    def fits(self, labels: Mapping[str, str]) -> bool:
        held = labels.get(self.label, "")
        match self.operator:
            case "=":
                return held == self.value
            case "!=":
                return held != self.value
            case "=~":
                return _pattern(self.value).holds({"value": held})
            case _:
                return not _pattern(self.value).holds({"value": held})

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


_LINE: Final = re.compile(r"\s*([^=!~\s]+)\s*(=~|!~|!=|=)\s*(.*?)\s*")


def parse(text: str) -> list[dict[str, str]]:
    """Return the matchers that people write, one per line: `host=~"web-.*"`; the quotes may be left out."""
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise Rejected(
                f"{line.strip()!r} is no matcher.",
                remedy="Write label=value, one per line; also !=, =~ and !~.",
            )
        label, operator, value = parts.groups()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        found.append({"label": label, "op": operator, "value": value})
    return found


def _pattern(value: str) -> expression.Program:
    program = expression.compile(f"value.matches({json.dumps(f'^(?:{value})$')})", {"value": "text"})
    if value not in _checked:
        # CEL finds a bad pattern when it runs, so it runs once here.
        program.evaluate({"value": ""})
        if len(_checked) >= _CHECKED_MAX:
            _checked.clear()
        _checked.add(value)
    return program


_CHECKED_MAX = 10_000
_checked: set[str] = set()


def all_fit(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Return whether every matcher fits; no matcher fits nothing, so that an empty rule mutes nothing."""
    return bool(matchers) and all(each.fits(labels) for each in matchers)
