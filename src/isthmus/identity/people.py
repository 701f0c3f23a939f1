"""People, their sign-ins and their roles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.contrib.auth.hashers import make_password

from isthmus.identity import grants
from isthmus.identity.models import Person, RoleGrant, ServiceAccount, User
from isthmus.identity.roles import MFA_ROLES, ROLES
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Problem, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.work import Work

ACTOR_KEPT: Final = 1 * SECOND
"""How long a process may go on using roles that it read; a revocation works within two seconds."""
PASSWORD_LENGTH_MIN: Final = 12


@dataclass(frozen=True)
class _Kept:
    actor: Actor
    time_zone: str
    at: Instant


_kept: dict[str, _Kept] = {}
_lock = Lock()


def create_person(
    work: Work, *, organisation: str, username: str, name: str = "", email: str = "", time_zone: str = ""
) -> Person:
    """Record a person. Personal values are sealed with a key of their own."""
    values = {
        "username": username, "name": name or username, "email": email, "time_zone": time_zone, "state": "active",
    }  # fmt: skip
    why = [Reason(rule="identity.person", text=f"{work.actor.label or work.actor.id} added the person.")]
    return work.create(Person, organisation=organisation, values=values, why=why)


def create_user(
    work: Work,
    *,
    organisation: str,
    username: str,
    password: str,
    roles: Iterable[str] = (),
    name: str = "",
    email: str = "",
    time_zone: str = "",
) -> Person:
    """Record a person who can sign in, with `roles` in `organisation`; return the person.

    An empty password makes a sign-in that no password opens (single sign-on, or set later).
    """
    _check_new(username, password)
    person = create_person(
        work, organisation=organisation, username=username, name=name, email=email, time_zone=time_zone
    )
    work.insert(
        User, username=username, person=person.id, password=make_password(password or None), is_active=True,
        created_at=work.now,
    )  # fmt: skip
    for role in roles:
        grant(work, holder=person.id, role=role, organisation=organisation)
    return person


def grant(work: Work, *, holder: str, role: str, organisation: str) -> RoleGrant:
    """Give a role in an organisation and everything below it; giving it twice changes nothing."""
    if role not in ROLES:
        raise Rejected(
            f"{role!r} is not a role.",
            remedy=f"Roles are {', '.join(sorted(ROLES))}.",
            problems=(Problem(path="/body/role", message="not a role"),),
        )
    if holder == work.actor.id:
        # Else an administrator, who may not decide approvals, could give themselves the role that does.
        raise Forbidden("Nobody grants themselves a role.", remedy="Ask another administrator.")
    found: RoleGrant | None = RoleGrant.objects.filter(
        organisation=organisation, holder=holder, role=role
    ).first()
    why = [
        Reason(rule="identity.grant", text=f"{work.actor.label or work.actor.id} granted the role {role}.")
    ]
    if found is None:
        values = {"holder": holder, "role": role, "state": "granted"}
        return work.create(RoleGrant, organisation=organisation, values=values, why=why)
    return work.change(found, {"state": "granted"}, why=why)


def revoke(work: Work, *, holder: str, role: str, organisation: str) -> None:
    """Take a role away; every process stops honouring it within two seconds."""
    found = RoleGrant.objects.filter(
        organisation=organisation, holder=holder, role=role, state="granted"
    ).first()
    if found is None:
        raise NotFound("There is no such grant.")
    why = [
        Reason(rule="identity.revoke", text=f"{work.actor.label or work.actor.id} revoked the role {role}.")
    ]
    work.change(found, {"state": "revoked"}, why=why)
    forget(holder)


def actor_of(user: User, now: Instant) -> tuple[Actor, str]:
    """Return the actor that a signed-in user is, and their time zone; roles are at most `ACTOR_KEPT` old."""
    kept = _kept.get(user.person)
    if kept is None or not 0 <= now - kept.at < ACTOR_KEPT:
        kept = _read(user, now)
        with _lock:
            _kept[user.person] = kept
    return kept.actor, kept.time_zone


def needs_second_factor(actor: Actor) -> bool:
    return bool(actor.roles & MFA_ROLES)


def forget(person: str = "") -> None:
    """Drop what this process remembers of one person (or of all)."""
    with _lock:
        if person:
            _kept.pop(person, None)
        else:
            _kept.clear()


def labels(ids: Iterable[str]) -> dict[str, str]:
    """Return id → name for people (user names where a name is sealed away) and programs; two queries."""
    wanted = {each for each in ids if each}
    if not wanted:
        return {}
    with scope.everywhere("names of people are shown wherever their acts are"):
        found = {each.id: each.name or each.username for each in Person.objects.filter(id__in=wanted)}
        rest = wanted - found.keys()
        found |= dict(ServiceAccount.objects.filter(id__in=rest).values_list("id", "name")) if rest else {}
        return found


def username_of(person: str) -> str:
    """Return the name with which a person signs in, "" if there is no such person."""
    with scope.everywhere("desks name their people"):
        return Person.objects.filter(id=person).values_list("username", flat=True).first() or ""


def _read(user: User, now: Instant) -> _Kept:
    pairs = grants.of(user.person)
    with scope.everywhere("the actor's own person"):
        person = Person.objects.filter(id=user.person).first()
    active = person is not None and person.state == "active" and user.is_active
    pairs = pairs if active else frozenset()
    actor = Actor(
        kind=ActorKind.PERSON,
        id=user.person,
        label=(person.name or person.username) if person is not None else user.username,
        organisations=frozenset(where for _, where in pairs),
        roles=frozenset(role for role, _ in pairs),
        grants=pairs,
    )
    return _Kept(actor=actor, time_zone=person.time_zone if person is not None else "", at=now)


def _check_new(username: str, password: str) -> None:
    problems = []
    if not username or len(username) > 120 or any(each.isspace() for each in username):
        problems.append(Problem(path="/body/username", message="1 to 120 characters without spaces"))
    if password and len(password) < PASSWORD_LENGTH_MIN:
        problems.append(Problem(path="/body/password", message=f"at least {PASSWORD_LENGTH_MIN} characters"))
    if problems:
        raise Rejected("The person cannot be added like this.", problems=tuple(problems))
    if User.objects.filter(username=username).exists():
        raise Conflict(f"The user name {username!r} is taken.", remedy="Choose another one.")
