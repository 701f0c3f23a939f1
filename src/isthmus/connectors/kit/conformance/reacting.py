"""Reactions: for every status and fault the error that calls for the right reaction, and no secret in any."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from isthmus.connectors.kit.conformance.sampling import text_patch
from isthmus.connectors.kit.conformance.world import Running, World
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import (
    Conflict,
    IsthmusError,
    NeedsOperator,
    NotFound,
    Rejected,
    Retryable,
    UnknownOutcome,
)

Act = Callable[[Running], Awaitable[Any]]
Reactions = Mapping[tuple[str, int], type[IsthmusError]]

_READ: Reactions = {
    ("status", 401): NeedsOperator,
    ("status", 403): NeedsOperator,
    ("status", 429): Retryable,
    ("status", 500): Retryable,
    ("status", 502): Retryable,
    ("status", 503): Retryable,
    ("status", 504): Retryable,
    ("status", 302): NeedsOperator,
    ("timeout_after_commit", 0): Retryable,
    ("reset_after_commit", 0): Retryable,
    ("bad_json", 0): Retryable,
    ("oversized", 0): NeedsOperator,
}
_WRITE: Reactions = {
    ("status", 400): Rejected,
    ("status", 401): NeedsOperator,
    ("status", 403): NeedsOperator,
    ("status", 404): NotFound,
    ("status", 409): Conflict,
    ("status", 412): Conflict,
    ("status", 422): Rejected,
    ("status", 429): Retryable,
    ("status", 500): UnknownOutcome,
    ("status", 502): UnknownOutcome,
    ("status", 503): Retryable,
    ("status", 504): UnknownOutcome,
    ("timeout_after_commit", 0): UnknownOutcome,
    ("reset_after_commit", 0): UnknownOutcome,
}


class Reacting:
    """Rows 7, 8 and 14 of the contract."""

    world: World

    def test_reads_react_to_every_fault(self) -> None:
        self.world.needs("read")
        for kind in self.world.kinds("read"):

            async def read(running: Running, kind: str = kind) -> None:
                async for _ in running.poller.changed_since(kind, ""):
                    return

            for (fault, status), expected in _READ.items():
                error = self._provoke(read, Fault(fault), status, "", kind)
                assert type(error) is expected, f"reading {kind}, {fault} {status}: {error!r}"

    def test_writes_react_to_every_fault(self) -> None:
        self.world.needs("write")
        for kind in self.world.kinds("write"):
            for (fault, status), expected in _WRITE.items():
                error = self._provoke(self._write(kind), Fault(fault), status, "WRITE", kind)
                assert type(error) is expected, f"writing {kind}, {fault} {status}: {error!r}"

    def test_retry_after_is_passed_on(self) -> None:
        self.world.needs("read")
        if not self.world.simulator().speaks_http:
            pytest.skip("a protocol that has no Retry-After")
        kind = self.world.kinds("read")[0]

        async def act(running: Running) -> None:
            running.simulator.faults.plan(Fault.STATUS, status=429, retry_after_seconds=17)
            async for _ in running.poller.changed_since(kind, ""):
                return

        with pytest.raises(Retryable) as caught:
            self.world.play(act)
        assert caught.value.after_seconds == 17

    def test_one_fault_is_one_request(self) -> None:
        """Retries belong to the lane: a client that repeats by itself defeats rate limits and breakers."""
        self.world.needs("read")
        kind = self.world.kinds("read")[0]

        async def act(running: Running) -> int:
            running.simulator.faults.plan(Fault.STATUS, status=503, times=50)
            with pytest.raises(Retryable):
                async for _ in running.poller.changed_since(kind, ""):
                    pass
            return len(running.simulator.calls)

        assert self.world.play(act) == 1

    def test_a_revoked_credential_stops_with_a_remedy_and_without_a_storm(self) -> None:
        self.world.needs("read", "write")

        async def act(running: Running) -> int:
            running.simulator.revoked = True
            with pytest.raises(NeedsOperator) as caught:
                await running.client.probe()
            assert caught.value.remedy
            return len(running.simulator.calls)

        assert self.world.play(act) <= 2

    def test_no_secret_in_any_error(self) -> None:
        self.world.needs("read", "write")

        async def act(running: Running) -> str:
            shown = ""
            for status in (400, 401, 403, 404, 429, 500, 503):
                running.simulator.faults.plan(Fault.STATUS, status=status)
                try:
                    await running.client.probe()
                except IsthmusError as error:
                    shown += "".join(traceback.format_exception(error)) + repr(vars(error))
                running.simulator.faults.clear()
            return shown

        shown = self.world.play(act)
        secrets = self.world.simulator().secrets().values()
        assert not [each for each in secrets if each in shown], "an error shows a secret"

    def _write(self, kind: str) -> Act:
        async def write(running: Running) -> None:
            key = running.simulator.seed(kind, 1)[0]
            ref = (await find_seeded(running, kind, key)).external
            running.simulator.calls.clear()
            await running.tickets.write(ref, text_patch(running, kind, "written"), {}, "")

        return write

    def _provoke(self, act: Act, fault: Fault, status: int, method: str, kind: str) -> IsthmusError | None:
        async def run(running: Running) -> IsthmusError | None:
            if not method:
                running.simulator.seed(kind, 2)
            running.simulator.faults.plan(fault, status=status or 503, method=method)
            try:
                await act(running)
            except IsthmusError as error:
                return error
            return None

        return self.world.play(run, limits=self.world.limits_under(fault))


async def find_seeded(running: Running, kind: str, key: str) -> Any:
    """Return the observation of a seeded object, found by polling."""
    async for page in running.poller.changed_since(kind, ""):
        for each in running.told(page):
            if each.external.key == key:
                return each
    return pytest.fail(f"The seeded {kind} {key} is not polled.")
