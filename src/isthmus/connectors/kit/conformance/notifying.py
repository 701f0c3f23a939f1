"""Messages to people: one key is one message, in doubt it is looked for and never sent twice, no secret in any error."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from isthmus.connectors.kit import doubt
from isthmus.connectors.kit.alerting import Notifier
from isthmus.connectors.kit.conformance.sampling import AWKWARD
from isthmus.connectors.kit.conformance.world import Running, World
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.ports import Written
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected, Retryable, UnknownOutcome

_STATUSES: Mapping[int, tuple[type[IsthmusError], ...]] = {
    400: (Rejected,),
    401: (NeedsOperator,),
    403: (NeedsOperator, Rejected),
    429: (Retryable,),
    500: (UnknownOutcome, Retryable),
    503: (Retryable,),
}
"""What each status calls for. After a 500 a client may look at once; then it is known that nothing happened."""


def _message(running: Running, title: str = "Till 4 is down", **more: Any) -> dict[str, Any]:
    plain = {
        "recipient": running.simulator.recipient, "title": title, "text": AWKWARD, "facts": [["Priority", "1"]],
        "severity": "critical", "link": "https://hub.example.test/incidents/1", "thread": "", "locale": "en",
        "actions": [{"id": "acknowledge", "label": "I take it", "url": "https://hub.example.test/a/1"}],
    }  # fmt: skip
    return {**plain, **more}


async def _notify(running: Running, key: str, *, doubtful: bool = False, **more: Any) -> Written:
    client = running.client
    assert isinstance(client, Notifier)
    doubt.raised(happened_perhaps=doubtful)
    return await client.notify(message=_message(running, **more), idempotency_key=key)


class Notifying:
    """The contract of `notification:notify`. The simulator tells with `messages()` what arrived."""

    world: World

    def test_a_message_arrives_and_its_receipt_names_it(self) -> None:
        self.world.needs("notify")

        async def act(running: Running) -> tuple[Written, str]:
            written = await _notify(running, "key-1", title="Till 4 is down")
            return written, str(running.simulator.messages())

        written, shown = self.world.play(act)
        assert written.ref.key, "the receipt must name the message"
        assert written.ref.connection == "under-test"
        assert "Till 4 is down" in shown

    def test_two_keys_are_two_messages(self) -> None:
        self.world.needs("notify")

        async def act(running: Running) -> int:
            for key in ("key-1", "key-2"):
                await _notify(running, key)
            return len(running.simulator.messages())

        assert self.world.play(act) == 2

    def test_a_message_whose_answer_was_lost_is_never_there_twice(self) -> None:
        self.world.needs("notify")
        for fault in (Fault.TIMEOUT_AFTER_COMMIT, Fault.RESET_AFTER_COMMIT):

            async def act(running: Running, fault: Fault = fault) -> int:
                running.simulator.faults.plan(fault, method="WRITE")
                with pytest.raises(UnknownOutcome):
                    await _notify(running, "key-1")
                with contextlib.suppress(Rejected):
                    await _notify(running, "key-1", doubtful=True)
                return len(running.simulator.messages())

            arrived = self.world.play(act, limits=self.world.limits_under(fault))
            assert arrived == 1, f"{fault}: a second message, or none"

    def test_messages_react_to_every_fault(self) -> None:
        self.world.needs("notify")
        for status, expected in _STATUSES.items():
            error = self._provoked(status)
            opaque = not self.world.simulator().answers_are_seen
            assert isinstance(error, UnknownOutcome if opaque else expected), f"{status}: {error!r}"

    def test_a_message_obeys_retry_after(self) -> None:
        self.world.needs("notify")
        if not self.world.simulator().speaks_http:
            pytest.skip("the partner has no Retry-After, or the client does not see it")
        error = self._provoked(429, retry_after_seconds=17)
        assert isinstance(error, Retryable)
        assert error.after_seconds == 17

    def test_a_refused_message_is_one_request(self) -> None:
        self.world.needs("notify")

        async def act(running: Running) -> int:
            running.simulator.faults.plan(Fault.STATUS, status=503, times=50)
            with pytest.raises(IsthmusError):
                await _notify(running, "key-1")
            return len(running.simulator.writes())

        assert self.world.play(act) == 1

    def test_no_secret_and_no_recipient_in_any_error_about_a_message(self) -> None:
        self.world.needs("notify")

        async def act(running: Running) -> str:
            shown = ""
            for status in (400, 401, 403, 404, 429, 500, 503):
                running.simulator.faults.plan(Fault.STATUS, status=status)
                try:
                    await _notify(running, f"key-{status}")
                except IsthmusError as error:
                    shown += "".join(traceback.format_exception(error)) + repr(vars(error))
                running.simulator.faults.clear()
            # Rendered here: a simulator's address, and so a secret that holds it, is known only while it runs.
            return shown + "".join(f"!{value in shown}" for value in running.context.secrets.values())

        shown = self.world.play(act)
        assert "!True" not in shown, "an error shows a secret"
        assert AWKWARD not in shown, "an error quotes the message"

    def test_a_long_message_is_cut_not_refused(self) -> None:
        self.world.needs("notify")

        async def act(running: Running) -> int:
            await _notify(running, "key-1", title="T" * 300, text="long words " * 1_000)
            return len(running.simulator.messages())

        assert self.world.play(act) == 1

    def _provoked(self, status: int, **more: Any) -> IsthmusError | None:
        async def act(running: Running) -> IsthmusError | None:
            running.simulator.faults.plan(Fault.STATUS, status=status, **more)
            try:
                await _notify(running, "key-1")
            except IsthmusError as error:
                return error
            return None

        return self.world.play(act)
