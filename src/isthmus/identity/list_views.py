"""Views: filters of a list that somebody keeps under a name, for themselves or for their organisation.

What a filter means is not known here: `query` is what would stand in the URL, checked by whoever offers the list
(`web.lists`). A private view is its owner's alone; a shared one is everybody's in its organisation, and changed only
by who may share there. A deleted view is kept as deleted, so that deleting can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Q

from isthmus.identity import permissions
from isthmus.identity.list_models import ListView
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Problem, Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.work import Work

READ: Final = "view:read"
WRITE: Final = "view:write"
SHARE: Final = "view:share"
OWN_MAX: Final = 50
"""Views that one person keeps, shared ones included, over all lists."""
SHARED_MAX: Final = 200
"""Shared views of one organisation over all lists."""
LISTED_MAX: Final = OWN_MAX + 4 * SHARED_MAX
"""Views read at once for one reader, who may belong to several organisations."""
NAME_CHARACTERS_MAX: Final = 60
QUERY_CHARACTERS_MAX: Final = 2_000
_WHY: Final = "a view belongs to its person, wherever they look from"


def visible(actor: Actor, table: str = "", *, deleted: bool = False) -> list[ListView]:
    """Return the actor's own views and those shared where they may read views, by name; of too many, the newest."""
    with scope.everywhere(_WHY):
        rows = ListView.objects.filter(_seen_by(actor)).filter(state="deleted" if deleted else "kept")
        rows = rows.filter(table=table) if table else rows
        found = list(rows.order_by("-id")[:LISTED_MAX])
    return sorted(found, key=lambda each: (each.shared, each.name.casefold(), each.id))


def get(actor: Actor, view_id: str, *, deleted: bool = False) -> ListView:
    """Return a view that the actor may see; another's private one does not exist for them."""
    with scope.everywhere(_WHY):
        found: ListView | None = ListView.objects.filter(_seen_by(actor), id=view_id).first()
    if found is None or (found.state == "deleted") is not deleted:
        raise NotFound("There is no such view, or none that you may see.")
    return found


def may_change(actor: Actor, view: ListView) -> bool:
    """Return whether the actor may rename, replace, share or delete a view."""
    if view.shared:
        return permissions.allowed(actor, SHARE, view.organisation)
    return view.owner == actor.id and permissions.allowed(actor, WRITE)


def owned(actor: Actor) -> int:
    """Return how many views the actor keeps, of `OWN_MAX`."""
    with scope.everywhere(_WHY):
        return ListView.objects.filter(owner=actor.id, state="kept").count()


def keep(
    work: Work, *, organisation: str, table: str, name: str, query: str, shared: bool = False
) -> ListView:
    """Keep a filter under a name that no other view of this list has, for this owner or among the shared ones."""
    permissions.require(work.actor, SHARE if shared else WRITE, organisation if shared else "")
    name = _checked(name, query)
    _room(work.actor, organisation, shared=shared)
    _free(work.actor, organisation, table, name, shared=shared)
    values = {
        "owner": work.actor.id, "table": table, "name": name, "query": query, "shared": shared, "state": "kept",
    }  # fmt: skip
    work.reach(organisation)
    text = f"{_who(work)} kept a view of {table}{' for the organisation' if shared else ''}."
    return work.create(ListView, organisation=organisation, values=values, why=_why("kept", text))


def change(
    work: Work,
    view: ListView,
    *,
    name: str | None = None,
    query: str | None = None,
    shared: bool | None = None,
) -> ListView:
    """Rename a view, replace its filter, share it or take it back; only its owner can have it for themselves alone."""
    _changeable(work.actor, view)
    wanted = {"name": view.name if name is None else name, "query": view.query if query is None else query}
    wanted["name"] = _checked(wanted["name"], wanted["query"])
    to_all = view.shared if shared is None else shared
    if to_all and not view.shared:
        permissions.require(work.actor, SHARE, view.organisation)
        _room(work.actor, view.organisation, shared=True, own=False)
    if view.shared and not to_all and view.owner != work.actor.id:
        raise Forbidden("Only its owner can have a shared view for themselves.", remedy="Delete it instead.")
    if (wanted["name"].casefold(), to_all) != (view.name.casefold(), view.shared):
        _free(work.actor, view.organisation, view.table, wanted["name"], shared=to_all)
    work.reach(view.organisation)
    text = f"{_who(work)} changed a view of {view.table}."
    return work.change(view, {**wanted, "shared": to_all}, why=_why("changed", text))


def delete(work: Work, view: ListView) -> ListView:
    """Take a view away from everybody who sees it; lists that opened with it open as usual."""
    _changeable(work.actor, view)
    work.reach(view.organisation)
    return work.change(
        view, {"state": "deleted"}, why=_why("deleted", f"{_who(work)} deleted a view of {view.table}.")
    )


def restore(work: Work, view: ListView) -> ListView:
    """Undo a deletion: the view is back for everybody who saw it, and for the lists that opened with it."""
    _changeable(work.actor, view)
    _room(work.actor, view.organisation, shared=view.shared, own=view.owner == work.actor.id)
    _free(work.actor, view.organisation, view.table, view.name, shared=view.shared)
    work.reach(view.organisation)
    text = f"{_who(work)} took the deletion of a view of {view.table} back."
    return work.change(view, {"state": "kept"}, why=_why("restored", text))


def _seen_by(actor: Actor) -> Q:
    where = permissions.organisations_with(actor, READ)
    return Q(owner=actor.id) | Q(shared=True, organisation__in=where)


def _changeable(actor: Actor, view: ListView) -> None:
    if not may_change(actor, view):
        needed = SHARE if view.shared else WRITE
        raise Forbidden(
            f"Changing {'a shared' if view.shared else 'this'} view needs the permission {needed}.",
            remedy="Keep a view of your own from it.",
        )


def _checked(name: str, query: str) -> str:
    name = " ".join(name.split())
    problems = []
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        problems.append(Problem(path="/body/name", message=f"1 to {NAME_CHARACTERS_MAX} characters"))
    if len(query) > QUERY_CHARACTERS_MAX:
        problems.append(Problem(path="/body/query", message=f"at most {QUERY_CHARACTERS_MAX} characters"))
    if problems:
        told = "; ".join(f"{each.path.rsplit('/', 1)[1]}: {each.message}" for each in problems)
        raise Rejected(f"The view cannot be kept like this ({told}).", problems=tuple(problems))
    return name


def _room(actor: Actor, organisation: str, *, shared: bool, own: bool = True) -> None:
    if own and owned(actor) >= OWN_MAX:
        raise Rejected(f"Nobody keeps more than {OWN_MAX} views.", remedy="Delete one that you do not use.")
    if shared:
        with scope.everywhere(_WHY):
            held = ListView.objects.filter(organisation=organisation, shared=True, state="kept").count()
        if held >= SHARED_MAX:
            raise Rejected(
                f"An organisation shares at most {SHARED_MAX} views.", remedy="Delete one that nobody uses."
            )


def _free(actor: Actor, organisation: str, table: str, name: str, *, shared: bool) -> None:
    with scope.everywhere(_WHY):
        rows: Iterable[Any] = ListView.objects.filter(table=table, state="kept", shared=shared)
        among = {"organisation": organisation} if shared else {"owner": actor.id}
        taken = {each.casefold() for each in rows.filter(**among).values_list("name", flat=True)}  # type: ignore[attr-defined]
    if name.casefold() in taken:
        raise Conflict(
            f"{'A shared view' if shared else 'A view of yours'} of this list is called {name!r}.",
            remedy="Choose another name, or open that view and replace its filter.",
        )


def _who(work: Work) -> str:
    return work.actor.label or work.actor.id


def _why(rule: str, text: str) -> list[Reason]:
    return [Reason(rule=f"identity.view_{rule}", text=text)]
