"""What people are called at other systems: how somebody who decides there is known to be one of ours.

A name counts for approvals, so giving one is guarded: nobody names themselves, one name belongs to one
person, the journal keeps who gave it, and whoever gave it cannot have a request of their own approved
through it (`approval.rules`). As with roles, a row only says where to look; the entries decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from isthmus.identity.models import Person
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Problem, Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.work import Work

NAME_CHARACTERS_MAX: Final = 200
NAMES_MAX: Final = 50
"""Connections at which one person may have a name."""
NAMED_MAX: Final = 20_000
"""People of one organisation with a name at any partner, who are looked through: the blind index of sealed values
follows the seal, too late for a name that must be one person's in the instant it is given."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The person behind a name at a connection ("" if nobody is), and who gave them that name."""

    person: str = ""
    given_by: str = ""


def of(person: Person) -> dict[str, str]:
    """Return connection → name."""
    held = person.partner_names
    return {str(where): str(name) for where, name in held.items()} if isinstance(held, dict) else {}


def give(work: Work, person: Person, *, connection: str, name: str) -> Person:
    """Say what a person is called at a connection, in place of any earlier name there."""
    _not_oneself(work, person)
    _check(name)
    held = of(person)
    if held.get(connection) == name:
        return person
    if connection not in held and len(held) >= NAMES_MAX:
        raise Rejected(f"A person has at most {NAMES_MAX} names.", remedy="Take one away first.")
    if set(_called(connection, name, person.organisation)) - {person.id}:
        # Two people of one name would be nobody: neither could decide there any more.
        raise Conflict(
            f"Somebody else is called {name!r} at {connection}.",
            remedy="Take the name away from them first, if it is this person's.",
        )
    text = f"{work.actor.label or work.actor.id} says what the person is called at {connection}."
    why = [Reason(rule="identity.partner_name", text=text, facts={"connection": connection})]
    return work.change(person, {"partner_names": {**held, connection: name}}, why=why)


def take(work: Work, person: Person, *, connection: str) -> Person:
    """Take a person's name at a connection away: what is decided there by that name is nobody's from now on."""
    _not_oneself(work, person)
    held = of(person)
    if connection not in held:
        raise NotFound(f"The person has no name at {connection!r}.")
    rest = {where: name for where, name in held.items() if where != connection}
    text = f"{work.actor.label or work.actor.id} took away what the person is called at {connection}."
    why = [Reason(rule="identity.partner_name", text=text, facts={"connection": connection})]
    return work.change(person, {"partner_names": rest}, why=why)


def find(connection: str, name: str, organisation: str) -> Known:
    """Return the active person who is called `name` at this connection: none if nobody or several are."""
    if not name:
        return Known()
    found = _called(connection, name, organisation)
    return _told(found[0], connection, name) if len(found) == 1 else Known()


def _told(person: str, connection: str, name: str) -> Known:
    """Return what the entries of a person say about a name that their row shows."""
    values: dict[str, Any] = {}
    given_by = ""
    for entry in reading.history(person):
        before = values.get("partner_names")
        values.update({field: pair[1] for field, pair in entry.changes.items()})
        if _name(values.get("partner_names"), connection) != _name(before, connection):
            given_by = entry.actor
    true = _name(values.get("partner_names"), connection) == name and values.get("state") == "active"
    return Known(person=person, given_by=given_by) if true else Known()


def _name(names: Any, connection: str) -> str:
    return str(names.get(connection) or "") if isinstance(names, dict) else ""


def _called(connection: str, name: str, organisation: str) -> list[str]:
    rows = Person.objects.filter(organisation=organisation, state="active", partner_names__isnull=False)
    named = rows.order_by("id").values_list("id", "partner_names")[:NAMED_MAX]
    return [person for person, names in named if _name(names, connection) == name]


def _not_oneself(work: Work, person: Person) -> None:
    if person.id == work.actor.id:
        # Else an administrator, who may not decide approvals, could decide them at a partner.
        raise Forbidden("Nobody names themselves at a partner.", remedy="Ask another administrator.")


def _check(name: str) -> None:
    if name.strip() != name or not 0 < len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        message = f"1 to {NAME_CHARACTERS_MAX} printable characters, no space at either end"
        raise Rejected(
            "This cannot be a name at a partner.",
            remedy="Copy it as the partner shows it, for ServiceNow the user name.",
            problems=(Problem(path="/body/name", message=message),),
        )
