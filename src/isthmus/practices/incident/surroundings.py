"""What the map says about the place of an incident: criticality, users, groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident.rules.assignment import Place


@dataclass(frozen=True, kw_only=True)
class Surrounding:
    """Criticality and users are the service's where one is known, else the item's own."""

    criticality: str = ""
    users: int | None = None
    service_id: str = ""
    service: str = ""
    ci: str = ""
    ci_class: str = ""
    environment: str = ""
    ci_group: str = ""
    service_group: str = ""

    def assignment(self) -> Place:
        return Place(
            service=self.service,
            ci=self.ci,
            ci_class=self.ci_class,
            environment=self.environment,
            ci_group=self.ci_group,
            service_group=self.service_group,
        )


def of(organisation: str, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Surrounding]:
    """Return what is known about (CI, service) pairs; the map is in memory, so this costs no query per pair."""
    snapshot = configuration.snapshot_of(organisation)
    found: dict[tuple[str, str], Surrounding] = {}
    for ci_id, given in set(places):
        service_id = given or (next(iter(snapshot.services_of(ci_id)), "") if ci_id in snapshot.cis else "")
        ci, service = snapshot.cis.get(ci_id), snapshot.cis.get(service_id)
        deciding = service or ci
        found[(ci_id, given)] = Surrounding(
            criticality=(deciding.criticality if deciding else "") or (ci.criticality if ci else ""),
            users=(deciding.users or None) if deciding else None,
            service_id=service_id,
            service=service.name if service else "",
            ci=ci.name if ci else "",
            ci_class=ci.ci_class if ci else "",
            environment=ci.environment if ci else "",
            ci_group=ci.support_group if ci else "",
            service_group=service.support_group if service else "",
        )
    return found
