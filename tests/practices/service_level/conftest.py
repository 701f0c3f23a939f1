"""A service desk whose promises are a blueprint, on a real book."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.hub.models import Due
from isthmus.hub.sweeper import sweep
from isthmus.kernel.actor import Actor
from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Incident
from isthmus.practices.service_level import service
from isthmus.practices.service_level.models import SlaClock
from isthmus.practices.service_level.rules.clock import Clock

OFFICE = {
    "name": "office",
    "zone": "Europe/Berlin",
    "hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}],
}


@dataclass
class Desk:
    """Agents, a blueprint, and a clock that tests move."""

    book: Any

    def apply(self, **sections: Any) -> None:
        self.book.perform(lambda work: blueprints.apply(work, Source(sections=sections)))
        running.forget()

    def act(self, do: Callable[[Work], Any], *, now: int | None = None, role: str = "agent") -> Any:
        actor: Actor = self.book.actor(role)
        return self.book.perform(do, actor=actor, now=None if now is None else Instant(now), channel="api")

    def open(self, *, at: int | None = None, **values: Any) -> Incident:
        given = {"title": "The shop is down", **values}
        found: Incident = self.act(lambda work: incidents.create(work, self.book.organisation, given), now=at)
        return found

    def change(
        self,
        incident: Incident,
        values: Mapping[str, Any],
        *,
        occurred: int | None = None,
        now: int | None = None,
    ) -> Incident:
        """Change an incident as a partner's news does: it happened `occurred`, it is known `now`."""

        def do(work: Work) -> Any:
            found = incidents.get(work, incident.id)
            at = None if occurred is None else Instant(occurred)
            return incidents.update(work, found, dict(values), occurred_at=at, partner=True)

        changed: Incident = self.act(do, now=now)
        return changed

    def again(self, incident: Incident) -> Incident:
        found: Incident = Incident.objects.get(id=incident.id)
        return found

    def clock(self, incident: Any, target: str = "resolution") -> SlaClock:
        found: SlaClock = SlaClock.objects.get(record=incident.id, target=target)
        return found

    def folded(self, incident: Any, target: str = "resolution") -> Clock:
        found = service.folded(self.clock(incident, target))
        assert found is not None
        return found

    def sweep(self, now: int) -> int:
        """Handle everything that is due, as the work process does, until nothing is."""
        handled = 0
        while found := sweep(Instant(now)):
            handled += found
        return handled

    def waits(self) -> list[Due]:
        return list(Due.objects.filter(what="sla.threshold").order_by("due_at"))


@pytest.fixture
def desk(book: Any) -> Iterator[Desk]:
    snapshot.forget()
    running.forget()
    yield Desk(book=book)
    snapshot.forget()
    running.forget()
