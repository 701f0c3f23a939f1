"""Open alerts that an earlier rule of identity named: they take the identity of the rule in force and go on.

Only sources whose blueprint lists `earlier` rules pay for this, and only while alerts of an earlier version are open.
Where the new rule is coarser, several old alerts become one: the oldest goes on, the others end in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from isthmus.kernel.record import Reason
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import index
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.reading import known_values
from isthmus.practices.monitoring.rules import identity

if TYPE_CHECKING:
    from isthmus.ledger.work import Work
    from isthmus.practices.monitoring.plan import Plan
    from isthmus.practices.monitoring.reading import Sighting


def adopt(
    work: Work, plan: Plan, organisation: str, sightings: Sequence[Sighting], held: dict[str, Alert]
) -> None:
    """Put into `held`, under their new identities, the alerts that earlier rules named."""
    asked = {each.seen.connection: plan.earlier(each.seen.connection) for each in sightings}
    versions = {name: plan.identity_of(name).version for name, earlier in asked.items() if earlier}
    if not versions or not _any_left(organisation, versions):
        return
    former: dict[str, list[str]] = {}
    for each in sightings:
        for spec in asked[each.seen.connection]:
            old = identity.identity(spec, known_values(each))
            if old != each.identity and old not in former.setdefault(each.identity, []):
                former[each.identity].append(old)
    found = index.load(work, organisation, {old for olds in former.values() for old in olds})
    latest = {each.identity: each.identity_version for each in sightings}
    for new, olds in former.items():
        mine = sorted((found[old] for old in olds if old in found), key=lambda each: each.id)
        for alert in mine:
            if new not in held:
                held[new] = _renamed(work, alert, new, latest[new])
            elif held[new].id != alert.id:
                _ended(work, alert, held[new])


def _any_left(organisation: str, versions: dict[str, int]) -> bool:
    rows = Alert.objects.filter(organisation=organisation, open=True, connection__in=list(versions))
    return rows.filter(identity_version__lt=max(versions.values())).exists()


def _renamed(work: Work, alert: Alert, new: str, version: int) -> Alert:
    text = f"The rule of identity changed from version {alert.identity_version} to {version}: it is still this alert."
    why = [Reason(rule="monitoring.identity.succession", text=text, facts={"before": alert.identity})]
    return work.change(alert, {"identity": new, "identity_version": version}, why=why)


def _ended(work: Work, alert: Alert, into: Alert) -> None:
    text = "The rule of identity in force takes it for one with another alert, which goes on."
    why = [Reason(rule="monitoring.identity.succession", text=text, facts={"alert": into.id})]
    work.change(alert, {"open": False, "state": "resolved", "ends_at": work.now}, why=why)
    if alert.incident and into.incident and alert.incident != into.incident:
        rest = Alert.objects.filter(organisation=alert.organisation, incident=alert.incident, open=True)
        if not rest.exclude(id=alert.id).exists():
            records = incidents.load(work, [alert.incident, into.incident])
            if len(records) == 2:
                incidents.absorb(work, records[alert.incident], records[into.incident], why=why)
