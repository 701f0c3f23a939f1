"""How a field's value reads in a story: times as times, sets as lists, structures by their size, ids by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from isthmus.kernel.instant import Instant, to_datetime
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import FieldType

EMPTY: Final = "–"
_HASH: Final = re.compile(r"^(sha256:)?[0-9a-f]{40,}$")
_ID: Final = re.compile(r"^[0-9A-HJKMNP-TV-Z]{26}$")


def shown(kind: str, name: str, value: Any, names: Mapping[str, str]) -> str:
    """Return the value in words; `names` gives what people call an id."""
    declared = KINDS[kind].by_name.get(name) if kind in KINDS else None
    if value in (None, "", [], {}):
        return EMPTY
    if declared is not None and declared.type is FieldType.INSTANT and isinstance(value, int):
        return f"{to_datetime(Instant(value)):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return f"({len(value)} values)"
    if isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return ", ".join(_text(each, names) for each in value)
        return f"({len(value)} entries)"
    return _text(str(value), names)


def _text(value: str, names: Mapping[str, str]) -> str:
    if value in names:
        return names[value]
    if _ID.match(value):
        return f"…{value[-6:]}"
    if _HASH.match(value):
        return f"{value.removeprefix('sha256:')[:12]}…"
    return value
