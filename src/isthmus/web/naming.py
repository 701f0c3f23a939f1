"""At which connections somebody of an organisation may have a name."""

from __future__ import annotations

from isthmus.hub import connections
from isthmus.identity.models import Person
from isthmus.kernel.errors import Problem, Rejected
from isthmus.ledger import organisations


def open_to(organisation: str) -> list[str]:
    """Return the connections whose objects may come to an organisation: its own and those of the ones above it."""
    above = organisations.lineage(organisation)
    return sorted(name for name, each in connections.in_force().items() if each.organisation in above)


def connection_for(person: Person, name: str) -> str:
    """Return `name` if the person's organisation has such a connection, else refuse."""
    if name not in open_to(person.organisation):
        raise Rejected(
            "There is no such connection for this person's organisation.",
            remedy="Choose one of those on the page Systems.",
            problems=(Problem(path="/body/connection", message="no connection of this organisation"),),
        )
    return name
