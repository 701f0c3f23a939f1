"""What is known around an alert: its item, service, owner, recent changes near it, and known errors like it.

Known errors belong to problem management: whoever keeps them registers a provider, and until then there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.kernel.instant import Instant
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident.service import KnownError
from isthmus.practices.monitoring.models import Alert

CHANGES_MAX: Final = 10
KNOWN_ERRORS_MAX: Final = 10
HOPS_MAX: Final = 3
HOURS_RECENT: Final = 72


@dataclass(frozen=True, kw_only=True)
class Item:
    """A configuration item as people speak of it."""

    id: str
    name: str
    ci_class: str
    environment: str
    owner: str
    support_group: str
    criticality: str


@dataclass(frozen=True, kw_only=True)
class NearChange:
    """A recent or pending change on the path of an alert's item, and why it is named."""

    id: str
    number: str
    state: str
    at: Instant
    hops: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """`binding` says how the item was found and how sure that is."""

    item: Item | None
    service: Item | None
    binding: str
    changes: tuple[NearChange, ...]
    known_errors: tuple[KnownError, ...]


Provider = Callable[[Alert], Sequence[KnownError]]
_providers: list[Provider] = []


def register_known_errors(provider: Provider) -> None:
    """Have `provider` asked for the known errors of an alert; called once, from the `ready` of its practice."""
    if provider not in _providers:
        _providers.append(provider)


def of(alert: Alert, now: Instant) -> Context:
    """Return what is known around an alert."""
    snapshot = configuration.snapshot_of(alert.organisation)
    return Context(
        item=_item(snapshot, alert.ci),
        service=_item(snapshot, alert.service),
        binding=f"by {alert.binding}, {alert.binding_confidence} %" if alert.ci else "not on the map",
        changes=_changes(alert, now),
        known_errors=tuple(each for provider in _providers for each in provider(alert))[:KNOWN_ERRORS_MAX],
    )


def _item(snapshot: configuration.Snapshot, ci: str) -> Item | None:
    facts = snapshot.cis.get(ci)
    if facts is None:
        return None
    return Item(
        id=ci,
        name=facts.name,
        ci_class=facts.ci_class,
        environment=facts.environment,
        owner=facts.owner,
        support_group=facts.support_group,
        criticality=facts.criticality,
    )


def _changes(alert: Alert, now: Instant) -> tuple[NearChange, ...]:
    if not alert.ci:
        return ()
    # Change enablement looks at incidents and alerts too: the import must wait until all are there.
    from isthmus.practices.change import service as changes

    found = changes.recent_on_path(
        [alert.ci], now, organisation=alert.organisation, hours=HOURS_RECENT, hops=HOPS_MAX
    )
    return tuple(
        NearChange(
            id=each.change,
            number=each.number,
            state=each.state,
            at=each.at,
            hops=each.hops,
            reason=each.reason,
        )
        for each in found[:CHANGES_MAX]
    )
