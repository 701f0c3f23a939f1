"""A problem manager, an agent, and alerts as a source would send them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.practices.monitoring.conftest import Monitor, monitor

from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import published, service
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem

__all__ = ["monitor"]

FIELDS = {
    "title": "The pool runs dry",
    "workaround": "Restart the pool",
    "link": "https://tracker.example/4711",
}


@dataclass
class Shop:
    """A small map (a shop on an application on a database), and people who act on it."""

    monitor: Monitor

    @property
    def organisation(self) -> str:
        return self.monitor.book.organisation

    @property
    def cis(self) -> dict[str, str]:
        return self.monitor.cis

    def by(self, role: str, do: Callable[[Work], Any]) -> Any:
        return self.monitor.book.perform(do, actor=self.monitor.book.actor(role), channel="api")

    def fire(self, name: str = "Down", **more: Any) -> incidents.Incident:
        """Have an alert fire and wait until its incident is open; the newest incident."""
        self.monitor.fire(name, **more)
        self.monitor.pass_time(seconds=5)
        return self.monitor.incidents()[-1]

    def known(self, *, publish: bool = True, **values: Any) -> KnownError:
        """Write a known error and, as a rule, publish it."""
        given = {**FIELDS, **values}
        made: KnownError = self.by(
            "agent", lambda work: service.write(work, given, organisation=self.organisation)
        )
        if publish:
            self.on(made, service.publish)
        return KnownError.objects.get(id=made.id)

    def on(
        self,
        known: KnownError,
        step: Callable[..., Any],
        *args: Any,
        role: str = "problem_manager",
        **more: Any,
    ) -> Any:
        return self.by(role, lambda work: step(work, service.known_error_of(work, known.id), *args, **more))

    def problem(self, **values: Any) -> Problem:
        given = {"title": "Pools run dry", **values}
        made: Problem = self.by(
            "agent", lambda work: service.create(work, given, organisation=self.organisation)
        )
        return Problem.objects.get(id=made.id)

    def move(self, problem: Problem, step: Callable[..., Any], *args: Any, **more: Any) -> Problem:
        self.by("agent", lambda work: step(work, service.problem_of(work, problem.id), *args, **more))
        return Problem.objects.get(id=problem.id)

    def judge(
        self, incident: incidents.Incident, match: KnownErrorMatch, verdict: str, **more: Any
    ) -> KnownErrorMatch:
        def act(work: Work) -> Any:
            held = service.match_of(work, match.id, incident.id)
            return service.judge(work, incidents.get(work, incident.id), held, verdict, **more)

        self.by("agent", act)
        return KnownErrorMatch.objects.get(id=match.id)

    def matches(self, incident: incidents.Incident) -> list[KnownErrorMatch]:
        return list(KnownErrorMatch.objects.filter(record=incident.id).order_by("id"))


@pytest.fixture
def shop(monitor: Monitor) -> Iterator[Shop]:
    published.forget()
    monitor.map(
        [
            {"name": "Shop", "ci_class": "business_service", "criticality": "gold"},
            {"name": "shop-app", "ci_class": "application"},
            {"name": "db", "ci_class": "database"},
            {"name": "leaf"},
        ],
        [("Shop", "shop-app"), ("shop-app", "db")],
    )
    yield Shop(monitor)
    published.forget()
