"""Random edits, faults and power cuts over the real book: Work, links, lanes, and two real connectors.

A power cut happens at a chosen durable step: before its commit (nothing of it is there) or right after it
(nobody in the process knows). Afterwards everything in memory is gone, and the hub starts again.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import isthmus.blueprint.running
from isthmus.connectors.kit.faults import Fault
from isthmus.hub import connections, due
from isthmus.hub.sync import loading, service
from isthmus.hub.sync.algorithm.spelling import normal
from isthmus.hub.sync.models import Conflict, Link, LinkRun
from isthmus.kernel.errors import Retryable
from isthmus.kernel.merge import Form, gather
from isthmus.ledger import door, sealer
from isthmus.practices.incident import comments
from isthmus.practices.incident.models import Incident

NAMES = ("snow", "jira")
TEXTS = st.sampled_from(["down", "  padded  ", "up again", "slow", "two\nlines"])
LEVELS = {
    "snow": {"1": "1", "2": "2", "3": "3", "4": "4"},
    "jira": {"1": "Highest", "2": "High", "3": "Medium", "4": "Low"},
}
FAULTS = (
    Fault.RESET_AFTER_COMMIT,
    Fault.RESET_BEFORE_COMMIT,
    Fault.STATUS,
    Fault.BAD_JSON,
    Fault.WEBHOOK_FIRST,
)
STEP_SECONDS_MAX = 30


class PowerCut(BaseException):
    """The process dies here. Not an `Exception`: nothing of ours may catch it."""


class Cutter:
    """Cuts the power at the n-th durable step from now."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: int | None = None
        self.after = False
        flush, tell = door.flush.flush, door._tell

        def flushed(prepared: Any) -> None:
            if self.steps is not None and not prepared.work.empty:
                self.steps -= 1
                if self.steps < 0 and not self.after:
                    self.cut()
            flush(prepared)

        def told(work: Any) -> None:
            if self.steps is not None and self.steps < 0 and not work.empty:
                self.cut()
            tell(work)

        patch.setattr(door.flush, "flush", flushed)
        patch.setattr(door, "_tell", told)

    def cut(self) -> None:
        self.steps = None
        raise PowerCut


class RealBook(RuleBasedStateMachine):
    """One incident per example, in a book that all examples share."""

    hub: Any
    loop: asyncio.AbstractEventLoop
    cutter: Cutter

    def _stored(self, call: Callable[[], Any]) -> Any:
        """Read or write in the thread that may use the store."""

        async def act() -> Any:
            return await self.hub.store(call)

        return self._run(act())

    def _run(self, story: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(story, STEP_SECONDS_MAX))

    @initialize(title=TEXTS, priority=st.sampled_from("1234"))
    def open(self, title: str, priority: str) -> None:
        self.written = 0
        self.said: Counter[str] = Counter()
        self.old: list[tuple[str, Any]] = []
        self.record = self._run(self.hub.opened(title=title.strip(), priority=priority))

    # What people do

    @rule(title=TEXTS)
    def rename_here(self, title: str) -> None:
        self._run(self.hub.edit(self.record, title=title.strip()))

    @rule(text=TEXTS)
    def describe_here(self, text: str) -> None:
        self._run(self.hub.edit(self.record, description=text.strip()))

    @rule(tag=st.sampled_from("xyz"))
    def tag_here(self, tag: str) -> None:
        async def act() -> None:
            held = await self.hub.incident(self.record)
            await self.hub.edit(self.record, tags=sorted({*(held.tags or [])} ^ {tag}))

        self._run(act())

    @rule()
    def comment_here(self) -> None:
        self.written += 1
        text = f"{self.record} says {self.written}"
        self.said[text] += 1
        self._run(
            self.hub.perform(
                lambda work: comments.comment(work, Incident.objects.get(id=self.record), text, public=True)
            )
        )

    @rule(name=st.sampled_from(NAMES), title=TEXTS)
    def rename_there(self, name: str, title: str) -> None:
        for key in self._keys(name):
            self.hub.human(name, key, title=" ".join(title.split()))

    @rule(name=st.sampled_from(NAMES), level=st.sampled_from("1234"))
    def rank_there(self, name: str, level: str) -> None:
        for key in self._keys(name):
            self.hub.human(name, key, priority=LEVELS[name][level])

    @rule(tag=st.sampled_from("xyzw"))
    def tag_there(self, tag: str) -> None:
        for key in self._keys("jira"):
            labels = self.hub.simulators["jira"].project.issue(key)["fields"]["labels"]
            kept = {each for each in labels if not each.startswith("isthmus-")}
            self.hub.human("jira", key, tags=sorted(kept ^ {tag}))

    @rule(name=st.sampled_from(NAMES))
    def comment_there(self, name: str) -> None:
        for key in self._keys(name):
            self.written += 1
            text = f"{name} says {self.written} about {self.record}"
            self.said[text] += 1
            self.hub.simulators[name].human_comment("incident", key, text)

    # What arrives, and what goes wrong

    @rule(name=st.sampled_from(NAMES), kept=st.booleans())
    def hear(self, name: str, *, kept: bool) -> None:
        for key in self._keys(name):
            try:
                seen = self._run(self.hub.shown(name, key))
            except Retryable:
                continue  # a planned fault met the reader of this test: nothing was heard this time
            if kept:
                self.old.append((name, seen))
            else:
                self._survive(self.hub.observe(name, seen))

    @rule(index=st.integers(0, 9))
    def hear_something_old(self, index: int) -> None:
        if self.old:
            name, seen = self.old[index % len(self.old)]
            self._survive(self.hub.observe(name, seen))

    @rule(name=st.sampled_from(NAMES), fault=st.sampled_from(FAULTS), method=st.sampled_from(["WRITE", ""]))
    def plan_a_fault(self, name: str, fault: Fault, method: str) -> None:
        self.hub.simulators[name].faults.plan(fault, method=method)

    @rule(name=st.sampled_from(NAMES), rounds=st.integers(1, 4))
    def work(self, name: str, rounds: int) -> None:
        async def act() -> None:
            for _ in range(rounds):
                if not await self.hub.lanes[name].round():
                    return

        self._survive(act())

    @rule(steps=st.integers(0, 4), after=st.booleans())
    def power_will_fail(self, steps: int, *, after: bool) -> None:
        self.cutter.steps, self.cutter.after = steps, after
        for name in NAMES:
            self.work(name, 4)
        self.cutter.steps = None

    @rule(seconds=st.sampled_from([1, 20, 90, 400]))
    def time_passes(self, seconds: int) -> None:
        self.hub.book.clock.forward(seconds=seconds)

    def _survive(self, story: Any) -> None:
        try:
            self._run(story)
        except PowerCut:
            self._run(self._restart())

    async def _restart(self) -> None:
        """Everything in memory is gone; whatever was called may still have happened."""
        for lane in self.hub.lanes.values():
            for task in lane._tasks:
                task.cancel()
            await asyncio.gather(*lane._tasks, return_exceptions=True)
            lane._tasks.clear()
            await lane.close()
        isthmus.blueprint.running.forget()
        connections.forget()
        self.hub.lanes = await self.hub.runner.lanes()
        await self.hub.store(lambda: due.release(self.hub.book.clock.now()))

    def _keys(self, name: str) -> list[str]:
        """All objects there that carry this link's correlation, whether or not the hub knows them."""
        link = self._run(self.hub.link(self.record, name))
        return list(self.hub.simulators[name].find_all("incident", link.correlation))

    # What must hold in the end

    def teardown(self) -> None:
        if not hasattr(self, "record"):
            return
        self.cutter.steps = None
        for simulator in self.hub.simulators.values():
            simulator.faults.clear()
        assert self._rests(), "it never came to rest"
        for name in NAMES:
            assert len(self._keys(name)) == 1, f"{name} holds {len(self._keys(name))} objects"
            self._run(self._compare(name))
        before = [len(each.writes()) for each in self.hub.simulators.values()]
        self._settle()
        assert before == [len(each.writes()) for each in self.hub.simulators.values()], "an echo was written"

    def _rests(self) -> bool:
        last = None
        for _ in range(15):
            self._settle()
            now = self._stored(self._state)
            if now == last:
                return True
            last = now
        return False

    def _settle(self) -> None:
        self.hub.book.clock.forward(seconds=120)
        self._run(self.hub.settle())
        for name in NAMES:
            for key in self._keys(name):
                self._run(self.hub.observe(name, self._run(self.hub.shown(name, key)), door="poll"))
        self._stored(self._decide)
        self._run(self.hub.settle())

    def _decide(self) -> None:
        for each in Conflict.objects.filter(record=self.record, state="open", winner="undecided"):
            if Conflict.objects.get(id=each.id).state == "open":
                self.hub.book.perform(
                    lambda work, c=each: service.decide(work, Conflict.objects.get(id=c.id), "ours")
                )

    def _state(self) -> Any:
        runs = LinkRun.objects.filter(record=self.record).order_by("connection")
        incident = Incident.objects.get(id=self.record)
        parts = list(
            Link.objects.filter(record=self.record).order_by("connection").values_list("version", flat=True)
        )
        return incident.version, parts, [(each.operation_state, each.version) for each in runs]

    async def _conflicts(self) -> list[Any]:
        def read() -> list[Any]:
            return list(
                Conflict.objects.filter(record=self.record).values_list("field", "state", "winner", "rule")
            )

        return list(await self.hub.store(read))

    async def _compare(self, name: str) -> None:
        link = await self.hub.link(self.record, name)
        loaded = (await self.hub.perform(lambda work: loading.load(work, [link.id])))[link.id]
        assert loaded.state.operation is None
        seen = await self.hub.shown(name, link.external_key)
        for part, shape in loaded.context.shapes.items():
            state = loaded.state.parts.get(part)
            known = all(each in seen.values for each in shape.members)
            if (
                not known
                or not loaded.context.policy(part).outbound
                or (state is not None and state.flag == "divergent")
            ):
                continue
            ours = normal(shape, loaded.context.spelling, loaded.view.fields[part].value)
            theirs = gather(shape, seen.values)
            theirs = sorted(theirs or []) if shape.form is Form.SET else theirs
            assert theirs == ours, (
                f"{part} is {theirs!r} at {name} and {ours!r} here, not parked: {state}, {await self._conflicts()}"
            )
        here = await self.hub.store(
            lambda: loading.comments_of({self.record})[self.record] if self.said else {}
        )
        assert Counter(each.body for each in here.values()) == self.said
        client: Any = await self.hub.store(lambda: connections.open(name).client)
        try:
            there = Counter(each.body.strip() for each in await client.comments(seen.external))
        finally:
            await client.close()
        assert there == self.said, name


@pytest.mark.timeout(240)
def test_the_real_book_comes_to_rest_equal_everywhere_whatever_happens(
    desk: Any, book: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.new_event_loop()
    room = desk()
    hub = loop.run_until_complete(room.__aenter__())
    cutter = Cutter(monkeypatch)
    machine = type("Machine", (RealBook,), {"hub": hub, "loop": loop, "cutter": cutter})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=20,
                stateful_step_count=25,
                deadline=None,
                phases=[Phase.explicit, Phase.reuse, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        sealer.seal_all(book.clock.now())
    finally:
        loop.run_until_complete(room.__aexit__(None, None, None))
        loop.close()
    findings = verified(book)
    assert not findings, findings


def verified(book: Any) -> list[Any]:
    """What the standalone verifier finds, projections against the replay included."""
    if not book.path.exists():  # another store than the embedded one
        return []
    done = subprocess.run(
        [sys.executable, "-m", "isthmus.ledger.verify", str(book.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [] if done.returncode == 0 else [done.stdout[-2000:]]
