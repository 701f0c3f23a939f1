"""What incident management knows about a part of the map: open incidents on it, and what its services are promised.

For those who plan something there: an impact report names both before anybody approves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from isthmus import blueprint
from isthmus.practices.configuration.impact import Reached
from isthmus.practices.incident.blueprint import table, target_table
from isthmus.practices.incident.loading import chunks
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import priority, states

LISTED_MAX = 100
"""Most open incidents that are listed, the most urgent first."""
WORST = "critical"


class OpenIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An open incident without its words, which are encrypted and stay with it."""

    incident: str
    number: str
    state: str
    priority: str
    ci: str
    service: str


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of a service if it failed altogether; `respond` and `resolve` in microseconds."""

    service: str
    name: str
    priority: str
    respond: int
    resolve: int


def open_on(organisation: str, items: Iterable[str]) -> list[OpenIncident]:
    """Return open incidents whose item or service is one of `items`, the most urgent first."""
    found: dict[str, OpenIncident] = {}
    columns = ("id", "number", "state", "priority", "ci", "service")
    for chunk in chunks(items):
        rows = Incident.objects.filter(organisation=organisation, state__in=states.OPEN)
        for on in (rows.filter(ci__in=chunk), rows.filter(service__in=chunk)):
            for row in on.order_by("priority", "id").values_list(*columns)[:LISTED_MAX]:
                found[row[0]] = OpenIncident(
                    incident=row[0], number=row[1], state=row[2], priority=row[3], ci=row[4], service=row[5]
                )
    return sorted(found.values(), key=lambda each: (each.priority or "9", each.incident))[:LISTED_MAX]


def promised(services: Iterable[Reached]) -> list[Promised]:
    """Return what each service is promised, the shortest time first; those without a target are left out."""
    section = blueprint.current().section("incident")
    targets, levels = target_table(section), table(section)
    found = []
    for each in services:
        level = priority.decide(
            levels, criticality=each.criticality, users=each.users or None, severity=WORST
        ).priority
        if (target := targets.get(level)) is not None:
            found.append(
                Promised(
                    service=each.id,
                    name=each.name,
                    priority=level,
                    respond=target.respond,
                    resolve=target.resolve,
                )
            )
    return sorted(found, key=lambda each: (each.resolve, each.name))
