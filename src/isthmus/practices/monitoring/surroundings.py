"""What the rules need to know around the alerts of one batch, loaded once: map, windows, silences, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from isthmus.kernel.instant import Instant
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration.service import Binding
from isthmus.practices.incident.nearby import ChangesNear
from isthmus.practices.monitoring.models import Alert, AutomationMode
from isthmus.practices.monitoring.models import Silence as SilenceRecord
from isthmus.practices.monitoring.plan import Plan
from isthmus.practices.monitoring.rules import accuracy
from isthmus.practices.monitoring.rules.matching import Matcher
from isthmus.practices.monitoring.rules.suppression import Silence, SourceAlert, Window

SILENCES_MAX = 1_000
SOURCES_MAX = 5_000
CLASSES_MAX = 10_000


def matchers_of(stored: Iterable[Mapping[str, str]] | None) -> tuple[Matcher, ...]:
    """Return the matchers of a silence as stored: `[{"label", "op", "value"}]`."""
    return tuple(
        Matcher(label=each.get("label", ""), value=each.get("value", ""), operator=each.get("op", "="))
        for each in stored or ()
    )


class Surroundings:
    """One organisation at one instant. `ended`: silences that this very Work ends, which the store still shows."""

    def __init__(self, plan: Plan, organisation: str, now: Instant, *, ended: Iterable[str] = ()) -> None:
        self._ended = frozenset(ended)
        self.plan = plan
        self.organisation = organisation
        self.now = now
        self.snapshot = configuration.snapshot_of(organisation)
        self._bindings: dict[tuple[tuple[str, str], ...], Binding] = {}
        self._reach: dict[tuple[str, str], dict[str, int]] = {}
        self._windows: dict[str, tuple[Window, ...]] = {}

    def bind(self, hints: Mapping[str, object]) -> Binding:
        """Return the item that hints name; equal hints are looked up once per batch."""
        key = tuple(sorted((name, str(value)) for name, value in hints.items()))
        if key not in self._bindings:
            self._bindings[key] = self.snapshot.bind(hints)
        return self._bindings[key]

    def name_of(self, ci: str) -> str:
        """Return what people call an item, "" if the map does not know it."""
        facts = self.snapshot.cis.get(ci)
        return facts.name if facts else ""

    def upstream(self, ci: str) -> dict[str, int]:
        """Return what an item depends on, with its distance in hops."""
        return self._hops("up", ci)

    def downstream(self, ci: str) -> dict[str, int]:
        """Return what depends on an item, with its distance in hops."""
        return self._hops("down", ci)

    def _hops(self, way: str, ci: str) -> dict[str, int]:
        key = (way, ci)
        if key not in self._reach:
            graph = self.snapshot.graph
            walk = graph.upstream if way == "up" else graph.downstream
            self._reach[key] = {
                node: reach.hops for node, reach in walk([ci], self.plan.policy.depth).items()
            }
        return self._reach[key]

    def windows(self, ci: str) -> tuple[Window, ...]:
        """Return the authorised windows that cover an item now."""
        if not ci or not self.plan.section.suppression.maintenance or ci not in self._near.covered:
            return ()
        if ci not in self._windows:
            # Change enablement looks at incidents too: the import must wait until both are there.
            from isthmus.practices.change import service as change

            self._windows[ci] = tuple(
                Window(
                    change=each.change,
                    number=each.number,
                    starts_at=Instant(each.starts_at),
                    ends_at=Instant(each.ends_at),
                    authorisation=each.authorisation,
                    cis=frozenset({ci}),
                )
                for each in change.windows_covering(ci, self.now, organisation=self.organisation)
            )
        return self._windows[ci]

    @cached_property
    def _near(self) -> ChangesNear:
        return ChangesNear(self.organisation, self.now, self.snapshot)

    @cached_property
    def silences(self) -> tuple[Silence, ...]:
        rows = SilenceRecord.objects.filter(
            organisation=self.organisation, state="active", ends_at__gt=self.now
        )
        # Only these columns: to read a comment or a name is to open an envelope, for every silence of every batch.
        columns = ("id", "matchers", "starts_at", "ends_at", "owner")
        return tuple(
            Silence(
                id=silence,
                matchers=matchers_of(matchers),
                starts_at=Instant(starts_at or 0),
                ends_at=Instant(ends_at or 0),
                owner=owner,
            )
            for silence, matchers, starts_at, ends_at, owner in rows.order_by("id").values_list(*columns)[
                :SILENCES_MAX
            ]
            if silence not in self._ended
        )

    def permitted(self, service: str, alert_class: str) -> bool | None:
        """Return whether the verdicts about a class permit full automation, None if there are none yet.

        Judged by the policy in force: what the class's record says is as old as its last count.
        """
        counts = self._verdicts.get((service, alert_class))
        if counts is None:
            return None
        policy = self.plan.accuracy
        found = accuracy.measured(policy, verdicts=counts[0], wrong=counts[1])
        return accuracy.permits_full(policy, found)[0]

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str], tuple[int, int]]:
        rows = AutomationMode.objects.filter(organisation=self.organisation)
        columns = ("service", "alert_class", "verdicts", "wrong")
        return {
            (service, name): (verdicts or 0, wrong or 0)
            for service, name, verdicts, wrong in rows.values_list(*columns)[:CLASSES_MAX]
        }

    def sources(self, *, without: Iterable[str] = ()) -> list[SourceAlert]:
        """Return the firing alerts that may inhibit others, except those given (by id)."""
        if not self.plan.inhibitions:
            return []
        gone = set(without)
        rows = Alert.objects.filter(organisation=self.organisation, inhibitor=True, open=True, state="firing")
        columns = ("id", "identity", "labels", "severity", "connection", "summary")
        return [
            SourceAlert(
                id=row[0],
                identity=row[1],
                labels={"connection": row[4], **(row[2] or {}), "severity": row[3]},
                summary=row[5],
            )
            for row in rows.values_list(*columns)[:SOURCES_MAX]
            if row[0] not in gone
        ]
