"""Which organisations may be seen right now. Querysets over records raise unless opened within a scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus.kernel.errors import Bug

_scope: ContextVar[frozenset[str] | None] = ContextVar("isthmus_scope", default=None)
_EVERYWHERE = frozenset({"*"})


class OutsideScope(Bug):
    """Records were asked for before anybody said for which organisations."""


@contextmanager
def within(organisations: Iterable[str]) -> Iterator[None]:
    """Open a scope: only records owned by (or shared with) these organisations are visible inside."""
    token = _scope.set(frozenset(organisations))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def everywhere(why: str) -> Iterator[None]:
    """Open a scope over all organisations; only the hub's own loops may, and they say why."""
    assert why  # noqa: S101 - a reason is part of the call
    token = _scope.set(_EVERYWHERE)
    try:
        yield
    finally:
        _scope.reset(token)


def current() -> frozenset[str] | None:
    """Return the visible organisations, or None where everything is visible; raise outside any scope."""
    found = _scope.get()
    if found is None:
        raise OutsideScope(
            "No organisation scope is open.", remedy="Wrap the call in ledger.scope.within(...)."
        )
    return None if found == _EVERYWHERE else found
