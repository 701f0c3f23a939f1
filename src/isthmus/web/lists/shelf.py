"""The views of one list as one reader sees them, and what they chose for it: two queries, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict

from isthmus.identity import list_choices, list_views
from isthmus.identity.list_models import ListView
from isthmus.kernel.actor import Actor
from isthmus.web.lists.asked import Asked, read
from isthmus.web.lists.table import Table

NO_VIEW = "none"
"""What `view=` says to see the plain list although another view is one's first."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """`views`: what the reader may choose from; `first`: the view that the list opens with; `columns`: theirs for good;
    `owned`: how many views they keep over all lists."""

    table: Table
    views: Sequence[ListView]
    owned: int
    columns: Sequence[str] | None = None
    first: ListView | None = None

    def find(self, wanted: str) -> ListView | None:
        """Return a view by its id, or by its name: one's own before a shared one."""
        by_id = next((each for each in self.views if each.id == wanted), None)
        named = (each for each in self.views if each.name.casefold() == wanted.strip().casefold())
        return by_id or next(named, None)

    def path(self, view: ListView) -> str:
        """Return the page that applies a view: all that it says stands in the URL."""
        return f"{self.table.path}?{'&'.join(each for each in (view.query, urlencode({'view': view.id})) if each)}"

    @property
    def plain(self) -> str:
        """Return the page of the list as it is without any view."""
        return f"{self.table.path}?view={NO_VIEW}" if self.first is not None else self.table.path


def of(actor: Actor, table: Table) -> Shelf:
    """Return the reader's shelf of one list."""
    held = list_views.visible(actor)
    here = [each for each in held if each.table == table.key]
    choice = list_choices.of(actor, table.key)
    columns = choice.columns if choice is not None else None
    return Shelf(
        table=table,
        views=here,
        owned=sum(each.owner == actor.id for each in held),
        columns=[str(each) for each in columns] if isinstance(columns, list) and columns else None,
        first=next((each for each in here if choice is not None and each.id == choice.view), None),
    )


def asked(
    shelf: Shelf, reader: Actor, query: QueryDict, *, strict: bool = False
) -> tuple[Asked, ListView | None, list[str]]:
    """Return what a URL asks, the view that it names, and what to tell about both."""
    named = query.get("view", "").strip()
    view = shelf.find(named) if named and named != NO_VIEW else None
    kept = QueryDict(view.query).get("columns", "") if view is not None else ""
    found = read(
        shelf.table,
        reader,
        query,
        kept=shelf.columns,
        lenient=bool(kept) and query.get("columns", "") == kept,
        strict=strict,
    )
    told = list(found.notices)
    if named and named != NO_VIEW and view is None:
        told.append(
            "The view that the address names is not here any more, or not yours to see. "
            "What else the address says is shown."
        )
    return found, view, told


def applied(view: ListView, query: QueryDict) -> QueryDict:
    """Return a URL's query with what the view keeps beneath it: what the URL says itself counts more."""
    found = QueryDict(view.query, mutable=True)
    for name in query:
        found.setlist(name, query.getlist(name))
    found["view"] = view.id
    return found
