"""What people and monitoring do in one run, drawn from a seed: the same seed gives the same story.

Each ticket has its own queue of steps, so that what happens to one ticket happens in order. Every field
belongs to one class: owned (`priority`: ServiceNow decides, others try), disjoint (`description` only in Jira,
`state` only in Roundup, `tags` each side adds its own), contested (`title`: everybody, at about the same time).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SYSTEMS = ("snow", "jira", "tracker")
BIRTHPLACES = ("alert", "snow", "here", "alert", "jira")
PRIORITIES_THERE = {"jira": {"1": "Highest", "2": "High", "3": "Medium", "4": "Low"}}
STATES_THERE = {"in_progress": "in-progress", "on_hold": "deferred"}
RAIN_ALERTS = 10
"""Alerts in one webhook of the rain: informational ones, that open no incident."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Somebody at `where` (a system, or `here`) does `what` with `value`."""

    what: str
    where: str
    value: str


@dataclass(kw_only=True)
class Ticket:
    """One ticket's story. `expected` is what an undisturbed run ends with; `contested` may end as any of its values."""

    name: str
    born: str
    steps: list[Step] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    comments: list[str] = field(default_factory=list)
    contested: list[str] = field(default_factory=list)

    def do(self, what: str, where: str, value: str) -> None:
        self.steps.append(Step(what=what, where=where, value=value))


def tickets(seed: int, prefix: str, count: int) -> list[Ticket]:
    """Return the stories of `count` tickets."""
    rng = random.Random(seed)
    return [
        _ticket(rng, f"{prefix}-{index}", BIRTHPLACES[index % len(BIRTHPLACES)]) for index in range(count)
    ]


def _ticket(rng: random.Random, name: str, born: str) -> Ticket:
    found = Ticket(name=name, born=born)
    moves = [
        lambda: _owned(rng, found),
        lambda: _intrude(rng, found),
        lambda: _described(found, 1),
        lambda: _described(found, 2),
        lambda: _moved(found, "in_progress"),
        lambda: _contested(rng, found),
        *(lambda where=where: _tagged(found, where) for where in ("here", "jira", "tracker")),
        *(lambda where=where: _commented(found, where) for where in ("here", *SYSTEMS)),
    ]
    rng.shuffle(moves)
    for move in moves:
        move()
    _moved(found, "on_hold")
    _owned(rng, found)
    return found


def _owned(rng: random.Random, found: Ticket) -> None:
    value = rng.choice("1234")
    found.do("priority", "snow", value)
    found.expected["priority"] = value


def _intrude(rng: random.Random, found: Ticket) -> None:
    found.do("priority", "jira", PRIORITIES_THERE["jira"][rng.choice("1234")])


def _described(found: Ticket, number: int) -> None:
    text = f"{found.name}, as Jira describes it, draft {number}"
    found.do("description", "jira", text)
    found.expected["description"] = text


def _moved(found: Ticket, state: str) -> None:
    found.do("state", "tracker", STATES_THERE[state])
    found.expected["state"] = state


def _tagged(found: Ticket, where: str) -> None:
    tag = f"{where}-{found.name}"
    found.do("tag", where, tag)
    found.tags.add(tag)


def _commented(found: Ticket, where: str) -> None:
    text = f"Seen at {where}: {found.name}."
    found.do("comment", where, text)
    found.comments.append(text)


def _contested(rng: random.Random, found: Ticket) -> None:
    places = ["here", *SYSTEMS]
    rng.shuffle(places)
    for where in places:
        text = f"{found.name} as named at {where}"
        found.do("title", where, text)
        found.contested.append(text)
