"""Which organisations may be seen right now. Querysets over records raise unless opened within a scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Q

from isthmus.kernel.errors import Bug
from isthmus.ledger import visibility


class _Scope:
    """The visible organisations and, once asked for, the records shared with them."""

    __slots__ = ("organisations", "shared")

    def __init__(self, organisations: frozenset[str]) -> None:
        self.organisations = organisations
        self.shared: frozenset[str] | None = None


_scope: ContextVar[_Scope | None] = ContextVar("isthmus_scope", default=None)
_EVERYWHERE = frozenset({"*"})

SHARED_MAX = 2_000
"""Shared records seen per scope; more is a sign that an organisation wants forwarding, not sharing."""


class OutsideScope(Bug):
    """Records were asked for before anybody said for which organisations."""


@contextmanager
def _opened(organisations: frozenset[str]) -> Iterator[None]:
    token = _scope.set(_Scope(organisations))
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def within(organisations: Iterable[str]) -> Iterator[None]:
    """Open a scope: only records owned by (or shared with) these organisations are visible inside."""
    wanted = frozenset(organisations)
    if wanted & _EVERYWHERE:
        raise Bug("`*` is not an organisation.", remedy="Use scope.everywhere(why).")
    with _opened(wanted):
        yield


@contextmanager
def everywhere(why: str) -> Iterator[None]:
    """Open a scope over all organisations; only the hub's own loops may, and they say why."""
    assert why  # noqa: S101 - a reason is part of the call
    with _opened(_EVERYWHERE):
        yield


def narrow(organisations: Iterable[str]) -> None:
    """See these organisations only, of those that are visible, until the open scope ends."""
    seen, wanted = current(), frozenset(organisations)
    _scope.set(_Scope(wanted if seen is None else seen & wanted))


def current() -> frozenset[str] | None:
    """Return the visible organisations, or None where everything is visible; raise outside any scope."""
    found = _scope.get()
    if found is None:
        raise OutsideScope(
            "No organisation scope is open.", remedy="Wrap the call in ledger.scope.within(...)."
        )
    return None if found.organisations == _EVERYWHERE else found.organisations


def current_or_all() -> frozenset[str] | None:
    """Return the visible organisations, None for all: for writing what was decided, where none need be open."""
    found = _scope.get()
    return None if found is None or found.organisations == _EVERYWHERE else found.organisations


def owned_or_shared(organisations: frozenset[str], id_column: str) -> Q:
    """Return the condition for rows that these organisations own, or that are shared with them."""
    owned = Q(organisation__in=organisations)
    shared = _shared(organisations)
    return owned | Q(**{f"{id_column}__in": shared}) if shared else owned


def _shared(organisations: frozenset[str]) -> frozenset[str]:
    """Return the records shared with the open scope: one query per scope, none where nothing is shared."""
    found = _scope.get()
    if found is None or found.organisations != organisations:
        raise OutsideScope("The scope changed while a query was built.")
    if found.shared is None:
        from isthmus.ledger.models import Share

        visibility.apply(organisations)
        rows = Share._base_manager.filter(shared_with__in=organisations).exclude(view="")  # noqa: SLF001 - shares decide what the scope shows
        found.shared = frozenset(rows.values_list("shared_record", flat=True)[:SHARED_MAX])
    return found.shared
