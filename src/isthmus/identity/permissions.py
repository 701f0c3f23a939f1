"""The one place where "may this actor do that here?" is answered, for pages, API and CLI-over-API."""

from __future__ import annotations

from isthmus.identity.roles import PERMISSIONS, permissions_of
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Bug, Forbidden


def allowed(actor: Actor, permission: str, organisation: str = "") -> bool:
    """Return whether `actor` holds `permission` in `organisation` ("": in at least one of theirs).

    The hub's own parts may do everything; partners hold nothing here (they act through merge rules).
    A token holds its scopes and no more; a person holds what their roles give *in that organisation*.
    """
    if permission not in PERMISSIONS:
        raise Bug(f"{permission!r} is not a permission.", remedy="Add it to identity.roles.PERMISSIONS.")
    if actor.kind is ActorKind.SYSTEM:
        return True
    if actor.kind is ActorKind.PARTNER:
        return False
    if organisation and organisation not in actor.organisations:
        return False
    if actor.scopes is not None and permission not in actor.scopes:
        return False
    if actor.kind is ActorKind.SERVICE and actor.scopes is not None:
        return True
    return permission in permissions_of(_roles_in(actor, organisation))


def require(actor: Actor, permission: str, organisation: str = "") -> None:
    """Raise `Forbidden` naming the missing permission, and nothing about the record, unless allowed."""
    if not allowed(actor, permission, organisation):
        raise Forbidden(
            f"This needs the permission {permission} ({PERMISSIONS[permission].lower()}).",
            remedy="Ask an administrator of your organisation for a role or scope that includes it.",
        )


def held(actor: Actor) -> frozenset[str]:
    """Return every permission that the actor holds in at least one organisation; pages show actions by it."""
    return frozenset(each for each in PERMISSIONS if allowed(actor, each))


def organisations_with(actor: Actor, permission: str) -> frozenset[str]:
    """Return the organisations in which the actor holds `permission`."""
    return frozenset(each for each in actor.organisations if allowed(actor, permission, each))


def _roles_in(actor: Actor, organisation: str) -> frozenset[str]:
    if actor.grants is None:
        return actor.roles
    if not organisation:
        return frozenset(role for role, _ in actor.grants)
    return frozenset(role for role, where in actor.grants if where == organisation)
