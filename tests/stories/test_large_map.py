"""G1 as it is written: 10,000 items and 20,000 relations from the tester's own files, through the real door; what
depends on what, now and at a past moment, is what the tester's own search says.

In one process with the clock in the test's hand (`world.py`), so that "a past moment" is exact.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from tests.stories import world as worlds

from isthmus.hub.http import limits
from isthmus.hub.models import ParkedMessage
from isthmus.identity import local
from isthmus.kernel.instant import to_rfc3339
from isthmus.practices.configuration.models import Ci, Relation

ITEMS, RELATIONS = 10_000, 20_000
EDITS = 400
"""Relations of the second file: as many taken away as added."""
LANDSCAPE = 400
"""Items that may depend on each other: below the 500 that an answer lists."""
STARTS = 12
TOKEN = "the-word-of-the-inventory"
Edge = tuple[str, str]


class Oracle:
    """ORC: the graph as the tester wrote it, and a search that knows nothing of the product's."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges = set(edges)
        self.on: dict[str, set[str]] = defaultdict(set)
        self.under: dict[str, set[str]] = defaultdict(set)
        for source, target in self.edges:
            self.on[source].add(target)
            self.under[target].add(source)

    def reached(self, start: str, ways: dict[str, set[str]]) -> dict[str, int]:
        found, waiting = {start: 0}, deque([start])
        while waiting:
            here = waiting.popleft()
            for following in ways.get(here, ()):
                if following not in found:
                    found[following] = found[here] + 1
                    waiting.append(following)
        del found[start]
        return found

    def around(self, start: str, hops: int) -> set[Edge]:
        """The relations among an item, what it depends on and what depends on it, at most `hops` away."""
        ways = (self.reached(start, self.on), self.reached(start, self.under))
        near = {start, *(name for found in ways for name, far in found.items() if far <= hops)}
        return {edge for edge in self.edges if near.issuperset(edge)}


class Map:
    """The world with the tester's files in it, and the API as a client reads it."""

    def __init__(self, world: worlds.World) -> None:
        self.world, self.random = world, random.Random(world.book.organisation)
        self.names = [f"item-{at:05d}-{self.random.randrange(10**6)}" for at in range(ITEMS)]
        self.client = Client(
            SERVER_NAME="localhost", headers={"authorization": f"Bearer {local.issue('tester')}"}
        )

    def edges(self, count: int, without: set[Edge]) -> set[Edge]:
        """New random relations; each goes to a later item, so that nothing depends on itself."""
        found: set[Edge] = set()
        while len(found) < count:
            at = self.random.randrange(ITEMS)
            if (at + 1) % LANDSCAPE == 0:
                continue
            # Inside its landscape, so that no answer is longer than what the API lists of one.
            end = at - at % LANDSCAPE + LANDSCAPE
            edge = (self.names[at], self.names[self.random.randrange(at + 1, end)])
            if edge not in without:
                found.add(edge)
        return found

    def send(self, header: str, lines: Iterable[str]) -> None:
        body = "\n".join([header, *lines]).encode()
        assert self.world.post("/csv/inventory", body, token=TOKEN, kind="text/csv") == 202
        while self.world.pump.round():
            pass
        assert not ParkedMessage.objects.exists()

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        limits.limiter.__init__()  # type: ignore[misc]
        if method == "get":
            answer = self.client.get(f"/api/v1{path}", query)
        else:
            answer = self.client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def around(self, start: str, **query: str) -> set[Edge]:
        found = self.ask("get", "/graph", ci=start, **query)
        names = {each["id"]: each["name"] for each in found["nodes"]}
        return {(names[each["source"]], names[each["target"]]) for each in found["edges"]}


@pytest.fixture
def map_of_the_tester(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Map]:
    monkeypatch.setenv("STORY_INVENTORY", TOKEN)
    with worlds.opened(book, monkeypatch, systems=()) as world:
        inventory = {"connector": "csv", "config": {"token": {"secret": "env:STORY_INVENTORY"}}}
        world.apply(
            connections={"inventory": {**inventory, "polling": {"enabled": False}}}, sync={}, routes=[]
        )
        assert settings.ISTHMUS.data_dir == book.directory
        yield Map(world)


def hops(items: Iterable[dict[str, Any]]) -> dict[str, int]:
    return {each["name"]: each["hops"] for each in items}


def test_ten_thousand_items_and_twenty_thousand_relations_are_searched_as_the_tester_does(
    map_of_the_tester: Map,
) -> None:
    at, began = map_of_the_tester, time.perf_counter()
    edges = at.edges(RELATIONS, set())
    at.send("name,ci_class", (f"{name},application" for name in at.names))
    at.send("source_ci,target_ci,type", (f"{source},{target},depends_on" for source, target in edges))
    assert Ci.objects.filter(state="live").count() == ITEMS
    assert Relation.objects.filter(state="live").count() == RELATIONS
    print(f"imported in {time.perf_counter() - began:.1f} s")

    then = Oracle(edges)
    starts = at.random.sample(at.names, STARTS)
    widest = max(starts, key=lambda start: len(then.reached(start, then.under)))
    assert len(then.reached(widest, then.under)) > 5, "a walk worth comparing"
    for start in starts:
        told = at.ask("post", "/impact", {"cis": [start]})
        assert hops(told["dependants"]) == then.reached(start, then.under)
        assert hops(told["upstream"]) == then.reached(start, then.on)

    # The second file, an hour later: as many relations go as come.
    moment = to_rfc3339(at.world.book.clock.now())
    at.world.book.clock.forward(seconds=3_600)
    gone = set(at.random.sample(sorted(edges), EDITS // 2))
    come = at.edges(EDITS // 2, edges)
    states = [*((each, "removed") for each in gone), *((each, "live") for each in come)]
    at.send("source_ci,target_ci,type,state", (f"{s},{t},depends_on,{state}" for (s, t), state in states))
    now = Oracle((edges - gone) | come)
    touched = [source for source, _ in [*sorted(gone)[:4], *sorted(come)[:4]]]
    differ = 0
    for start in [*touched, *starts[:4]]:
        assert at.around(start, hops="2") == now.around(start, 2)
        assert at.around(start, hops="2", at=moment) == then.around(start, 2)
        differ += then.around(start, 2) != now.around(start, 2)
        told = at.ask("post", "/impact", {"cis": [start]})
        assert hops(told["dependants"]) == now.reached(start, now.under)
    assert differ >= len(touched), "the twin: were both moments alike, the past would prove nothing"
