"""The lists of the console, by the name that URLs, views and the API use."""

from __future__ import annotations

from typing import Final

from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import NotFound
from isthmus.web.lists.table import Table
from isthmus.web.lists.tables.alerts import ALERTS, DRAFTS, SILENCES
from isthmus.web.lists.tables.changes import CHANGES, GATE
from isthmus.web.lists.tables.deliveries import DELIVERIES
from isthmus.web.lists.tables.incidents import INCIDENTS, REVIEWS, WAITING
from isthmus.web.lists.tables.items import ITEMS
from isthmus.web.lists.tables.journal import JOURNAL
from isthmus.web.lists.tables.on_call import ESCALATIONS, NOTIFICATIONS
from isthmus.web.lists.tables.people import PEOPLE, TOKENS
from isthmus.web.lists.tables.problems import KNOWN_ERRORS, PROBLEMS
from isthmus.web.lists.tables.service_levels import CLOCKS
from isthmus.web.lists.tables.sources import SOURCES

__all__ = [
    "ALERTS",
    "CHANGES",
    "CLOCKS",
    "DELIVERIES",
    "DRAFTS",
    "ESCALATIONS",
    "GATE",
    "INCIDENTS",
    "ITEMS",
    "JOURNAL",
    "KNOWN_ERRORS",
    "NOTIFICATIONS",
    "PEOPLE",
    "PROBLEMS",
    "REVIEWS",
    "SILENCES", "SOURCES",
    "TABLES",
    "TOKENS",
    "WAITING",
    "permitted",
]  # fmt: skip

TABLES: Final[dict[str, Table]] = {
    each.key: each
    for each in (
        INCIDENTS,
        ALERTS,
        DRAFTS,
        SILENCES,
        SOURCES,
        WAITING,
        REVIEWS,
        PROBLEMS,
        KNOWN_ERRORS,
        CLOCKS,
        CHANGES,
        GATE,
        ITEMS,
        DELIVERIES,
        ESCALATIONS,
        NOTIFICATIONS,
        JOURNAL,
        PEOPLE,
        TOKENS,
    )
}


def permitted(actor: Actor, key: str) -> Table:
    """Return a list that the actor may read somewhere."""
    found = TABLES.get(key)
    if found is None:
        raise NotFound(f"There is no list {key[:40]!r}.", remedy=f"Lists are {', '.join(sorted(TABLES))}.")
    permissions.require(actor, found.permission)
    return found
