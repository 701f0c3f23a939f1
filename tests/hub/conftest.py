"""A hub of one tiny connection whose observations each write one system event: one event, one effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.conf import settings

import isthmus.blueprint.running
from isthmus import django_settings
from isthmus.blueprint import service
from isthmus.blueprint.source import Source, read_text
from isthmus.hub import connections, observing
from isthmus.hub.intake.keys import RingKeys
from isthmus.hub.intake.log import IntakeLog, open_log
from isthmus.hub.intake.message import WEBHOOK, Draft
from isthmus.hub.observing import Outcome, Seen, outcome
from isthmus.hub.pump.pump import Pump
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.ids import source
from isthmus.ledger.models import SystemEvent
from isthmus.ledger.work import Work

CONNECTORS = Path(__file__).parent / "connectors"
YAML = """
connections:
  web:
    connector: tiny
    config: {secret: {secret: "env:TINY_TOKEN"}}
"""


def body(*items: dict[str, str]) -> bytes:
    return msgspec.json.encode({"items": list(items)})


@dataclass
class Hub:
    """The engine's parts on one book, driven by hand."""

    book: Any
    log: IntakeLog
    pump: Pump
    poison: set[str] = field(default_factory=set)
    """Keys whose observation makes the reaction raise."""
    reacted: list[str] = field(default_factory=list)

    def apply(self, yaml: str) -> None:
        found = Source()
        read_text(yaml, "blueprint.yaml", found)
        self.book.perform(lambda work: service.apply(work, found))
        isthmus.blueprint.running.forget()

    def send(self, *bodies: bytes, connection: str = "web") -> int:
        drafts = [
            Draft(
                id=source.new_id(),
                trace=source.new_trace(),
                received_at=source.now(),
                door=WEBHOOK,
                connector="tiny@1.0.0",
                headers=[],
                body=each,
            )
            for each in bodies
        ]
        return self.log.append(connection, drafts)

    def run(self, pump: Pump | None = None) -> None:
        while (pump or self.pump).round():
            pass

    def effects(self) -> Counter[str]:
        """How often each key had an effect."""
        found = SystemEvent.objects.filter(subject__startswith="item:").values_list("subject", flat=True)
        return Counter(each.removeprefix("item:") for each in found)

    def react(self, work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
        found = []
        for seen in seens:
            key = seen.observation.external.key
            if key in self.poison:
                raise Rejected(f"Item {key} is poison.", remedy="Take the poison away.")
            self.reacted.append(key)
            work.journal(
                seen.organisation,
                f"item:{key}",
                {"text": seen.observation.values["name"]},
                [Reason(rule="test", text="seen")],
            )
            found.append(outcome(seen, "entry"))
        return found


@pytest.fixture
def hub(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("TINY_TOKEN", "let-me-in")
    changed = replace(django_settings.ISTHMUS, connectors_dir=str(CONNECTORS))
    monkeypatch.setattr(django_settings, "ISTHMUS", changed)
    monkeypatch.setattr(settings, "ISTHMUS", changed)
    isthmus.blueprint.running.forget()
    connections.forget()
    log = open_log(settings.ISTHMUS, RingKeys())
    found = Hub(book=book, log=log, pump=Pump(log))
    monkeypatch.setattr(observing, "_reactions", {"alert": found.react})
    monkeypatch.setattr(observing, "_repeats", {})
    found.apply(YAML)
    yield found
    log.close()
    isthmus.blueprint.running.forget()
    connections.forget()


@pytest.fixture
def tiny(hub: Hub) -> Any:
    """The tiny connector's module, to fill its poller and read what it was asked."""
    import sys

    return sys.modules[type(connections.get("web").connector.source).__module__]
