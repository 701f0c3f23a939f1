"""The blueprint in force, re-read within a second of a new generation in every process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec

from isthmus.blueprint import sections
from isthmus.blueprint.models import Generation
from isthmus.blueprint.sections import Parsed
from isthmus.ledger import scope

REREAD_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Blueprint(Parsed):
    """A typed blueprint with the generation it is. Generation 0 is the empty one: all defaults."""

    generation: int = 0
    content_hash: str = ""
    plain: Any = None


def typed(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the typed values of plain sections that once passed validation."""
    known = set(sections.names())
    return {
        name: msgspec.convert(raw, sections.get(name).schema, strict=True)
        for name, raw in plain.items()
        if name in known
    }


class _Cache:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Blueprint | None = None
        self._checked = 0.0

    def get(self, *, fresh: bool) -> Blueprint:
        with self._lock:
            if self._held is not None and not fresh and time.monotonic() - self._checked < REREAD_SECONDS:
                return self._held
            self._held = _load(self._held)
            self._checked = time.monotonic()
            return self._held

    def forget(self) -> None:
        with self._lock:
            self._held = None


_cache = _Cache()


def _load(held: Blueprint | None) -> Blueprint:
    with scope.everywhere("the blueprint belongs to the installation"):
        newest = (
            Generation.objects.filter(state="applied")
            .order_by("-sequence")
            .values_list("sequence", flat=True)
            .first()
        )
        if newest is None:
            return Blueprint(plain={})
        if held is not None and held.generation == newest:
            return held
        found = Generation.objects.get(sequence=newest)
    plain = msgspec.json.decode(found.content)
    return Blueprint(generation=newest, content_hash=found.content_hash, plain=plain, values=typed(plain))


def current(*, fresh: bool = False) -> Blueprint:
    """Return the blueprint in force; at most a second old unless `fresh`."""
    return _cache.get(fresh=fresh)


def forget() -> None:
    """Drop the cache: after an apply in this process, and between tests."""
    _cache.forget()
