"""A service desk on a real book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.blueprint import running
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.practices.incident import service
from isthmus.practices.incident.models import Incident


@dataclass
class Desk:
    """An agent who works on incidents; each act is a Work of its own."""

    book: Any

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
