"""What may be shown where anybody can read it: logs, errors, metrics, the terminal.

Two nets. By declaration: a field's data class says whether its value may appear. By pattern: text of unknown
origin (a partner's error message) is scrubbed of secrets and of what identifies people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from isthmus.kernel.record import DataClass, RecordKind

MASKS: Mapping[DataClass, str] = {
    DataClass.PERSONAL: "[personal]",
    DataClass.FREE_TEXT: "[text]",
    DataClass.SECRET: "[secret]",
}
"""What stands in place of a value of each class; classes that are not named may be shown."""

SECRET = "[secret]"  # noqa: S105 - the mask itself
DEPTH_MAX = 16
_SECRET_NAMES = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|api[-_]?key|authorization|cookie|credential|private[-_]?key|signature)"
)


def masked(kind: RecordKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return field values as they may be shown; fields that the kind does not know are masked as text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        declared = kind.by_name.get(name)
        mask = MASKS.get(declared.data_class) if declared else MASKS[DataClass.FREE_TEXT]
        found[name] = value if mask is None or value in (None, "") else mask
    return found


def luhn(digits: str) -> bool:
    """True if the digits end in a valid Luhn check digit (payment cards do)."""
    total = 0
    for i, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + i % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _card(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    return "[card]" if 13 <= len(digits) <= 19 and luhn(digits) else match.group()


_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        SECRET,
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest|token)\s+[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {SECRET}"),
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), SECRET),
    (
        re.compile(
            rf"(?i)([\w-]*{_SECRET_NAMES.pattern[4:]}[\w-]*[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?!\[secret\])[^\s,;&\"'}}]+)"
        ),
        rf"\1{SECRET}",
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), SECRET),
    (re.compile(r"\b(gh[pousr]_|xox[abprs]-|glpat-|AKIA|ist_)[A-Za-z0-9_-]{8,}"), SECRET),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "[mail]"),
    (re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])"), _card),
    (re.compile(r"(?<![\w.])\+\d{1,3}[ ()/-]*\d(?:[ ()/-]*\d){6,12}(?!\w)"), "[phone]"),
)


def scrub(text: str) -> str:
    """Return text of unknown origin without secrets, mail addresses, international phone and card numbers."""
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return text


def scrub_all(value: Any, depth: int = 0) -> Any:
    """Return a value with every text in it scrubbed; members whose name speaks of a secret are masked whole."""
    if isinstance(value, str):
        return scrub(value)
    if depth > DEPTH_MAX:
        return "[deep]"
    if isinstance(value, Mapping):
        return {
            name: SECRET
            if isinstance(name, str) and _SECRET_NAMES.search(name) and each not in (None, "")
            else scrub_all(each, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub_all(each, depth + 1) for each in value]
    return value


def scrub_event(_logger: Any, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """Scrub a structured log event: the last processor before rendering."""
    found: dict[str, Any] = scrub_all(event)
    return found
