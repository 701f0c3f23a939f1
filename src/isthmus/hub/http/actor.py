"""The caller of one request: who, through which door, under which trace.

The middleware of `isthmus.web` puts a `Caller` on the request before any view runs; resources and pages
ask here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from isthmus.identity import permissions
from isthmus.kernel.actor import Actor, ActorKind, Origin
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.ledger import scope

READ = ":read"


class Unauthenticated(IsthmusError):
    """Nobody is signed in, or the token is unknown, expired or revoked: the three are not told apart."""


class SecondFactorNeeded(IsthmusError):
    """The actor's role asks for a second factor and the session has none."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`actor` is None for an anonymous request; `by_token` is true for service tokens (no CSRF check)."""

    actor: Actor | None
    origin: Origin
    trace: str
    by_token: bool = False
    second_factor_missing: bool = False
    time_zone: str = ""


def caller(request: HttpRequest) -> Caller:
    """Return what the middleware found out about this request."""
    found = getattr(request, "isthmus", None)
    if not isinstance(found, Caller):
        raise Unauthenticated("This request did not pass the front door.", remedy="Enable CallerMiddleware.")
    return found


def of(request: HttpRequest) -> Actor:
    """Return the actor of the request, or raise `Unauthenticated` (401)."""
    found = caller(request)
    if found.actor is None:
        raise Unauthenticated(
            "You are not signed in, or the token is not valid any more.",
            remedy="Sign in, or send 'Authorization: Bearer <token>' with a current token.",
        )
    if found.second_factor_missing:
        raise SecondFactorNeeded(
            "Your role needs a second factor.", remedy="Set up an authenticator app under /accounts/2fa/."
        )
    return found.actor


def require(request: HttpRequest, permission: str, organisation: str = "") -> Actor:
    """Return the actor if it holds `permission` (in `organisation`, or anywhere), else raise.

    Asked for reading anywhere, the rest of the request sees those organisations only in which the actor may
    read this: whoever reads people here and incidents there does not read the people of there.
    """
    actor = of(request)
    permissions.require(actor, permission, organisation)
    if not organisation and permission.endswith(READ) and actor.kind is not ActorKind.SYSTEM:
        scope.narrow(permissions.organisations_with(actor, permission))
    return actor


def organisation(request: HttpRequest, permission: str, given: str = "") -> str:
    """Return the organisation that a new record goes to: `given` if allowed, else the only possible one."""
    actor = of(request)
    if given:
        permissions.require(actor, permission, given)
        return given
    permissions.require(actor, permission)
    possible = sorted(permissions.organisations_with(actor, permission))
    if len(possible) == 1:
        return possible[0]
    home = home_organisation(actor)
    if home in possible:
        return home
    raise Rejected("Several organisations are possible.", remedy="Name one in the field 'organisation'.")


def home_organisation(actor: Actor) -> str:
    """Return the organisation nearest to the root among the actor's own ("" if there is none)."""
    from isthmus.ledger import organisations

    root = organisations.root()
    if root in actor.organisations:
        return root
    return min(actor.organisations, default="")
