"""A service desk on a real book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.blueprint import service as blueprints
from isthmus.blueprint.source import Source
from isthmus.hub.sweeper import sweep
from isthmus.identity import people
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.ledger import scope
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident import service
from isthmus.practices.incident.models import Incident


@dataclass
class Desk:
    """An agent who works on incidents; each act is a Work of its own."""

    book: Any
    sections: dict[str, Any] = field(default_factory=dict)

    def act(self, do: Callable[[Work], Any], *, role: str = "agent") -> Any:
        return self.book.perform(do, actor=self.book.actor(role), channel="api")

    def open(self, **values: Any) -> Incident:
        values = {"title": "The shop is down", **values}
        found: Incident = self.act(lambda work: service.create(work, self.book.organisation, values))
        return found

    def on(
        self, incident: Incident, step: Callable[..., Any], *args: Any, role: str = "agent", **more: Any
    ) -> Any:
        """Do one step on the incident as it stands now."""
        return self.act(lambda work: step(work, service.get(work, incident.id), *args, **more), role=role)

    def again(self, incident: Incident) -> Incident:
        found: Incident = Incident.objects.get(id=incident.id)
        return found

    def apply(self, **sections: Any) -> None:
        """Put a blueprint in force, checked as `isthmus apply` checks it."""
        self.sections |= sections
        self.book.perform(lambda work: blueprints.apply(work, Source(sections=self.sections)))
        running.forget()

    def sweep(self, **forward: float) -> None:
        """Let time pass, and everything that is due happen, as the sweeper does it."""
        self.book.clock.forward(**forward)
        for _ in range(20):
            if not sweep(self.book.clock.now()):
                return

    def person(self, name: str, *roles: str, organisation: str = "") -> Actor:
        """A person who signs in as `name`, with these roles."""
        where = organisation or self.book.organisation
        made = self.book.perform(
            lambda work: people.create_person(work, organisation=where, name=name, username=name)
        )
        return Actor(
            kind=ActorKind.PERSON,
            id=made.id,
            label=name,
            organisations=frozenset({where}),
            roles=frozenset(roles),
        )

    def by(self, actor: Actor, do: Callable[[Work], Any]) -> Any:
        """Act as a person sees the hub: in the scope of their organisations."""
        with scope.within(actor.organisations):
            return self.book.perform(do, actor=actor, channel="api")

    def map(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        self.book.perform(
            lambda work: configuration.import_rows(
                work, rows, organisation=self.book.organisation, source="test"
            )
        )
        return {each.name: key for key, each in configuration.snapshot_of(self.book.organisation).cis.items()}


@pytest.fixture
def desk(book: Any) -> Iterator[Desk]:
    snapshot.forget()
    running.forget()
    yield Desk(book=book)
    snapshot.forget()
    running.forget()
