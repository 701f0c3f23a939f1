"""The contract of messages to people: a notifier broken in one way fails the test that names it."""

import dataclasses
from typing import Any

import pytest

from isthmus.connectors.kit import doubt, registry
from isthmus.connectors.kit.conformance import suite
from isthmus.connectors.kit.ports import Written
from isthmus.kernel.errors import NeedsOperator, Retryable
from isthmus.kernel.observation import ExternalRef

WHOLE = registry.find("slack")


class Broken:
    def __init__(self, context: Any) -> None:
        self._context = context
        self._whole: Any = WHOLE.connector.open(context)

    async def close(self):
        await self._whole.close()

    async def probe(self):
        return await self._whole.probe()

    async def notify(self, *, message, idempotency_key):
        return await self._whole.notify(message=message, idempotency_key=idempotency_key)


class RepeatsInDoubt(Broken):
    async def notify(self, *, message, idempotency_key):
        doubt.raised(happened_perhaps=False)
        return await super().notify(message=message, idempotency_key=idempotency_key)


class NamesNothing(Broken):
    async def notify(self, **asked):
        await super().notify(**asked)
        return Written(ref=ExternalRef(connection="under-test", kind="message", key=""))


class SendsNothing(Broken):
    async def notify(self, **asked):
        return Written(ref=ExternalRef(connection="under-test", kind="message", key="invented"))


class ForgetsRetryAfter(Broken):
    async def notify(self, **asked):
        try:
            return await super().notify(**asked)
        except Retryable as fault:
            raise Retryable(fault.text, remedy="Later.") from None


class ShowsTheToken(Broken):
    async def notify(self, **asked):
        try:
            return await super().notify(**asked)
        except NeedsOperator as fault:
            raise NeedsOperator(f"{fault.text} {self._context.secret('token')}", remedy="x") from None


class TriesTwice(Broken):
    async def notify(self, **asked):
        try:
            return await super().notify(**asked)
        except Retryable:
            return await super().notify(**asked)


class CanBeAsked(Broken):
    async def changed_since(self, kind, watermark):
        for page in ():
            yield page


class CannotBeProbed:
    close, notify = Broken.close, Broken.notify

    def __init__(self, context: Any) -> None:
        del context


def contract(client: Any) -> Any:
    broken = suite(WHOLE.folder)()
    connector = dataclasses.replace(WHOLE.connector, open=client)
    broken.world.__class__ = type(
        "BrokenWorld", (type(broken.world),), {"connector": property(lambda _: connector)}
    )
    return broken


@pytest.mark.parametrize(
    ("client", "test"),
    [
        (RepeatsInDoubt, "test_a_message_whose_answer_was_lost_is_never_there_twice"),
        (NamesNothing, "test_a_message_arrives_and_its_receipt_names_it"),
        (SendsNothing, "test_two_keys_are_two_messages"),
        (ForgetsRetryAfter, "test_a_message_obeys_retry_after"),
        (ShowsTheToken, "test_no_secret_and_no_recipient_in_any_error_about_a_message"),
        (TriesTwice, "test_a_refused_message_is_one_request"),
    ],
)
def test_each_fault_fails_the_test_that_names_it(client, test):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(contract(client), test)()
    getattr(contract(Broken), test)()


@pytest.mark.parametrize(
    ("client", "says"), [(CanBeAsked, ":read is declared"), (CannotBeProbed, "probed and closed")]
)
def test_a_client_has_the_ports_that_its_manifest_declares_and_no_others(client, says, monkeypatch):
    with pytest.raises(AssertionError, match=says):
        contract(client).test_constructing_a_client_performs_no_io(monkeypatch)
    contract(Broken).test_constructing_a_client_performs_no_io(monkeypatch)
