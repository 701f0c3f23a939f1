from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from isthmus.kernel.record import Reason
from isthmus.ledger import checkpoint, sealer
from isthmus.practices.incident.models import Incident

WHY = [Reason(rule="test", text="Because a test said so.", facts={"n": 1})]


@dataclass
class Told:
    """A small story in a book: two incidents, one changed, everything sealed and signed."""

    book: Any
    first: Incident
    second: Incident


def open_incident(book, title="Printer on fire", organisation="", **values):
    return book.perform(
        lambda work: work.create(
            Incident,
            organisation=organisation or book.organisation,
            values={"title": title, "state": "new", "impact": "2", "tags": ["b", "a"], **values},
            why=WHY,
        )
    )


def change(book, record, values, **more):
    def act(work):
        return work.change(type(record).objects.get(id=record.id), values, why=WHY)

    return book.perform(act, **more)


def seal(book):
    sealer.seal_all(book.clock.now())
    return checkpoint.make(book.clock.now())


@pytest.fixture
def told(book):
    first = open_incident(book)
    second = open_incident(book, "Mail is slow")
    seal(book)
    first = change(book, first, {"state": "in_progress", "title": "Printer on fire again"})
    seal(book)
    second = change(book, second, {"state": "resolved", "resolution_notes": "Restarted."})
    seal(book)
    return Told(book, first, second)
