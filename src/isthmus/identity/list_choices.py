"""What one person likes about one list: its columns in their order, and the view that it opens with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from isthmus.identity import list_views, permissions
from isthmus.identity.list_models import ListChoice, ListView
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.work import Work

COLUMNS_MAX: Final = 100
_WHY: Final = "a choice belongs to its person, wherever they look from"


def of(actor: Actor, table: str) -> ListChoice | None:
    """Return what the actor chose for a list; one query."""
    with scope.everywhere(_WHY):
        found: ListChoice | None = (
            ListChoice.objects.filter(owner=actor.id, table=table).order_by("id").first()
        )
    return found


def choose(
    work: Work,
    *,
    organisation: str,
    table: str,
    columns: Sequence[str] | None = None,
    view: ListView | Literal[""] | None = None,
) -> ListChoice:
    """Keep columns, the first view, or both; None leaves it, no columns and "" go back to the usual."""
    permissions.require(work.actor, list_views.WRITE)
    if columns is not None and len(columns) > COLUMNS_MAX:
        raise Rejected(f"A list has at most {COLUMNS_MAX} columns.")
    values: dict[str, object] = {}
    if columns is not None:
        values["columns"] = list(columns) or None
    if view is not None:
        values["view"] = _fitting(view, table) if view else ""
    text = f"{work.actor.label or work.actor.id} said how they like the list of {table}."
    why = [Reason(rule="identity.list_choice", text=text)]
    held = of(work.actor, table)
    if held is None:
        work.reach(organisation)
        given = {"owner": work.actor.id, "table": table, **values}
        return work.create(ListChoice, organisation=organisation, values=given, why=why)
    work.reach(held.organisation)
    return work.change(held, values, why=why)


def openers(view: ListView) -> int:
    """Return how many people's lists open with a view."""
    with scope.everywhere("how many a deletion concerns is said, never whom"):
        return ListChoice.objects.filter(view=view.id).count()


def _fitting(view: ListView, table: str) -> str:
    if view.table != table:
        raise Rejected(f"The view {view.name!r} is of another list.", remedy=f"Choose one of {table}.")
    return str(view.id)
