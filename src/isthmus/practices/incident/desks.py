"""Which desk somebody belongs to: by name or role, as the blueprint says, never by what a request claims."""

from __future__ import annotations

from isthmus import blueprint
from isthmus.identity import people, permissions
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger import scope
from isthmus.ledger.models import Organisation
from isthmus.practices.incident.desk_blueprint import Desks, DeskSpec

WRITE = "incident:write"


def declared() -> Desks:
    """Return the desks of the blueprint by name."""
    found: Desks = blueprint.current().section("desks")
    return found


def organisation_of(name: str) -> str:
    """Return the id of the organisation that a desk works in; "" for desks of the organisation at hand."""
    wanted = declared().get(name, DeskSpec()).organisation
    if not wanted:
        return ""
    with scope.everywhere("desks name organisations"):
        found = Organisation.objects.filter(name=wanted, state="active").values_list("id", flat=True).first()
    if found is None:
        raise NeedsOperator(
            f"The desk {name} works in {wanted!r}, which is no active organisation.",
            remedy="Correct `desks` in the blueprint.",
        )
    return str(found)


def closed(name: str) -> bool:
    """Return whether a desk says who belongs to it; one that does not is open to whoever may write."""
    desk = declared().get(name)
    return desk is not None and bool(desk.members or desk.roles)


def acts_for(actor: Actor, name: str, organisation: str) -> bool:
    """Return whether somebody belongs to a desk, for an incident of `organisation`."""
    if actor.kind is ActorKind.SYSTEM:
        return True
    desk = declared().get(name, DeskSpec())
    where = organisation_of(name) or organisation
    if not permissions.allowed(actor, WRITE, where):
        return False
    if not (desk.members or desk.roles):
        return True
    return bool(_roles(actor, where) & set(desk.roles)) or bool(_names(actor) & set(desk.members))


def desk_of(actor: Actor, organisation: str) -> str:
    """Return the first desk that names this actor, "" if none does."""
    for name in declared():
        if closed(name) and acts_for(actor, name, organisation):
            return name
    return ""


def _roles(actor: Actor, organisation: str) -> frozenset[str]:
    if actor.grants is None:
        return actor.roles
    return frozenset(role for role, where in actor.grants if where == organisation)


def _names(actor: Actor) -> set[str]:
    if actor.kind is ActorKind.SERVICE:
        return {actor.label}
    return {people.username_of(actor.id), actor.id}
