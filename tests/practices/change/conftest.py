"""Short words for the stories of changes: people, a small map, a change on its way to the gate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from isthmus import blueprint
from isthmus.blueprint import running
from isthmus.blueprint.models import Generation
from isthmus.hub import sweeper
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.chain import encode
from isthmus.kernel.instant import HOUR, Instant
from isthmus.kernel.record import Reason
from isthmus.practices.change import gate, service
from isthmus.practices.change.models import Change
from isthmus.practices.configuration import service as configuration

ARTEFACT = "sha256:" + "a1" * 32


@dataclass
class World:
    """One organisation with Ada (raises), Ben and Cleo (approve) and a map of a shop."""

    book: Any
    people: dict[str, Actor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, roles in {
            "ada": {"agent", "change_manager", "approver"},
            "ben": {"approver"},
            "cleo": {"approver"},
            "dan": {"viewer"},
        }.items():
            self.people[name] = Actor(
                kind=ActorKind.PERSON,
                id=f"person-{name}",
                label=name.title(),
                organisations=frozenset({self.organisation}),
                roles=frozenset(roles),
            )
        self.bring(
            ("Shop", "business_service", {"criticality": "bronze", "users": 10}),
            ("shop-app", "application", {}),
            ("db", "database", {}),
            ("leaf", "server", {}),
            ties=[("Shop", "shop-app"), ("shop-app", "db")],
        )

    @property
    def organisation(self) -> str:
        return self.book.organisation

    @property
    def now(self) -> Instant:
        return self.book.clock.now()

    def bring(self, *items: tuple[str, str, dict[str, Any]], ties: list[tuple[str, str]] = ()) -> None:
        rows = [{"kind": "ci", "name": name, "ci_class": ci_class, **more} for name, ci_class, more in items]
        rows += [{"kind": "ci_relation", "source_ci": source, "target_ci": target} for source, target in ties]
        report = self.book.perform(
            lambda work: configuration.import_rows(work, rows, organisation=self.organisation, source="test")
        )
        assert not report.rejected, report.results

    def configure(self, **sections: Any) -> None:
        """Put a blueprint in force (validated by type), as `apply` does."""
        plain = {**(running.current(fresh=True).plain or {}), **sections}
        running.typed(plain)
        sequence = running.current(fresh=True).generation + 1
        self.book.perform(
            lambda work: work.create(
                Generation,
                organisation=self.organisation,
                values={
                    "sequence": sequence,
                    "content": encode(plain).decode(),
                    "content_hash": str(sequence),
                    "state": "applied",
                },
                why=[Reason(rule="test", text="configured")],
            )
        )
        blueprint.current(fresh=True)

    def do(self, who: str, act: Any, *arguments: Any, **more: Any) -> Any:
        """Have a person do something with a service call: `do("ada", service.submit, change)`."""
        actor = self.people[who]

        def inside(work: Any) -> Any:
            given = [service.load(work, each.id) if isinstance(each, Change) else each for each in arguments]
            return act(work, *given, **more)

        return self.book.perform(inside, actor=actor, channel="api")

    def raise_change(self, who: str = "ada", **values: Any) -> Change:
        start = self.now
        whole = {
            "title": "New release", "cis": ["leaf"], "environment": "production", "artefact_hash": ARTEFACT, "implementation_plan": "Roll out.",
            "backout_plan": "Roll back.", "window_start": start, "window_end": start + 4 * HOUR, **values,
        }  # fmt: skip
        return self.do(
            who,
            service.create,
            {name: value for name, value in whole.items() if value is not None},
            organisation=self.organisation,
        )

    def authorised(self, **values: Any) -> Change:
        change = self.raise_change(**values)
        self.do("ada", service.submit, change)
        self.do("ada", service.request_approval, change)
        return self.do("ben", service.approve, change)

    def ask(self, change: Change | str, **more: Any) -> gate.Answer:
        number = change if isinstance(change, str) else Change.objects.get(id=change.id).number
        question = {
            "change": number,
            "environment": "production",
            "artefact_hash": ARTEFACT,
            "cis": ["leaf"],
            **more,
        }
        return self.book.perform(
            lambda work: gate.check(work, question, organisation=self.organisation), channel="api"
        )

    def gate(self, change: Change | str, **more: Any) -> tuple[str, set[str]]:
        """The gate's verdict and the rules of its reasons."""
        answer = self.ask(change, **more)
        return answer.verdict, {each.rule.removeprefix("gate.") for each in answer.decision.reasons}

    def again(self, change: Change) -> Change:
        return Change.objects.get(id=change.id)


@pytest.fixture
def world(book: Any) -> Iterator[World]:
    running.forget()
    yield World(book)
    running.forget()


def sweep(world):
    sweeper.sweep(world.now)
