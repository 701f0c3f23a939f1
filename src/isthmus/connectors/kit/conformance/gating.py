"""Gates: allow opens, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from isthmus.connectors.kit.conformance.world import UNREACHABLE_URL, World
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.ports import Gate, GateQuestion, GateVerdict
from isthmus.connectors.kit.simulator import Simulator

ALLOWED, DENIED, WAITING = (GateQuestion(change=f"CHG-{word}") for word in ("allow", "deny", "wait"))
"""Questions that every gate simulator answers by the word in the change's number."""


class Gating:
    """The contract of `change:gate`."""

    world: World

    def test_allow_opens_and_deny_and_wait_do_not(self) -> None:
        for question, expected in ((ALLOWED, 0), (DENIED, 1), (WAITING, 1)):
            verdict = self._ask(question)
            assert verdict.exit_code == expected, question.change
            assert verdict.reached
        assert self._ask(DENIED).reasons, "a denial says why"

    def test_every_fault_keeps_the_gate_shut(self) -> None:
        for status in (301, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504):
            verdict = self._ask(ALLOWED, _planned(Fault.STATUS, status=status))
            assert verdict.exit_code != 0, f"a {status} opened the gate"
            assert verdict.reasons, f"a {status} gives no reason"
        for fault in (Fault.TIMEOUT_AFTER_COMMIT, Fault.RESET_BEFORE_COMMIT, Fault.BAD_JSON, Fault.OVERSIZED):
            verdict = self._ask(ALLOWED, _planned(fault), limits=self.world.limits_under(fault))
            assert verdict.exit_code == 3, f"{fault} gave {verdict}"

    def test_an_answer_in_another_shape_keeps_the_gate_shut(self) -> None:
        shapes: list[Any] = [
            None,
            [],
            "allow",
            {"decision": "ALLOW"},
            {"decision": True},
            {"verdict": "allow"},
        ]
        for drifted in shapes:
            drift = functools.partial(_replaced, drifted)
            verdict = self._ask(ALLOWED, _planned(Fault.SCHEMA_DRIFT, drift=drift))
            assert verdict.exit_code != 0, f"{drifted!r} opened the gate"

    def test_an_unreachable_hub_keeps_the_gate_shut(self) -> None:
        self.world.needs("gate")

        async def act() -> GateVerdict:
            limits = self.world.limits_under(Fault.TIMEOUT_AFTER_COMMIT)
            gate = self._build(self.world.simulator(), UNREACHABLE_URL, limits)
            try:
                return await gate.check(ALLOWED)
            finally:
                await gate.close()

        assert asyncio.run(act()).exit_code == 3

    def test_waiting_ends_with_the_decision_or_with_time(self) -> None:
        self.world.needs("gate")

        async def act() -> list[GateVerdict]:
            async with self._open() as (gate, simulator):
                simulator.faults.plan(Fault.STATUS, status=503, retry_after_seconds=0)
                return [await gate.wait(ALLOWED, seconds=5), await gate.wait(WAITING, seconds=0.5)]

        opened, timed_out = asyncio.run(act())
        assert opened.exit_code == 0, "a passing fault must not end the wait"
        assert timed_out.exit_code == 1

    def test_no_secret_in_any_verdict(self) -> None:
        self.world.needs("gate")
        verdicts = [self._ask(ALLOWED, _planned(Fault.STATUS, status=status)) for status in (401, 403, 500)]
        secrets = self.world.simulator().secrets().values()
        assert not [each for each in secrets if each in repr(verdicts)]

    def _build(self, simulator: Simulator, url: str, limits: Limits | None) -> Gate:
        if self.world.connector.gate is None:
            self.world.fail("declares gate", "give CONNECTOR a gate=…")
        return self.world.connector.gate(self.world.context(simulator, url, limits))

    @contextlib.asynccontextmanager
    async def _open(self, limits: Limits | None = None) -> AsyncIterator[tuple[Gate, Simulator]]:
        simulator = self.world.simulator()
        url = await simulator.start()
        gate = self._build(simulator, url, limits)
        try:
            yield gate, simulator
        finally:
            await gate.close()
            await simulator.stop()

    def _ask(
        self,
        question: GateQuestion,
        prepare: Callable[[Simulator], object] = lambda _: None,
        limits: Limits | None = None,
    ) -> GateVerdict:
        self.world.needs("gate")

        async def act() -> GateVerdict:
            async with self._open(limits) as (gate, simulator):
                prepare(simulator)
                return await gate.check(question)

        return asyncio.run(act())


def _planned(fault: Fault, **how: Any) -> Callable[[Simulator], object]:
    return lambda simulator: simulator.faults.plan(fault, **how)


def _replaced(by: Any, _: Any) -> Any:
    return by
