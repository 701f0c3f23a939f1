"""Roles as the journal tells them.

A projection row says where to look; what it says counts only if the entries of that record say the same.
So a row edited or inserted in the store past the book gives nobody anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.identity.models import RoleGrant
from isthmus.kernel.record import Json
from isthmus.ledger import organisations, reading, scope


def told(record_id: str) -> Mapping[str, Json]:
    """Return the field values of a record as its entries tell them, with `organisation` and `version`.

    An unknown record gives an empty mapping.
    """
    values: dict[str, Json] = {}
    for entry in sorted(reading.history(record_id), key=lambda each: each.version):
        values.update({field: pair[1] for field, pair in entry.changes.items()})
        values["organisation"] = entry.organisation
        values["version"] = entry.version
    return values


def of(holder: str) -> frozenset[tuple[str, str]]:
    """Return (role, organisation) pairs of a holder, with every organisation below each grant."""
    pairs: set[tuple[str, str]] = set()
    with scope.everywhere("roles decide what may be seen, so they are read before any scope exists"):
        for grant in RoleGrant.objects.filter(holder=holder, state="granted"):
            facts = told(grant.id)
            if facts.get("holder") == holder and facts.get("state") == "granted":
                role = str(facts.get("role", ""))
                where = str(facts["organisation"])
                pairs.update((role, each) for each in organisations.descendants([where]))
    return frozenset(pairs)
