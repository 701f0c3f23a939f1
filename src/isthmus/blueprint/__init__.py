"""Configuration as code: typed sections, validate, plan, apply, generations, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isthmus.blueprint.running import Blueprint


def current(*, fresh: bool = False) -> Blueprint:
    """Return the blueprint in force; at most a second old unless `fresh`."""
    # Imported late: the models of Django apps cannot be loaded while the app registry is being filled.
    from isthmus.blueprint import running

    return running.current(fresh=fresh)
