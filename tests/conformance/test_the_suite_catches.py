"""The contract suite itself: a two-way connector broken in one way fails the test that names it."""

import dataclasses
from typing import Any

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance import suite
from isthmus.connectors.kit.ports import Page, Written
from isthmus.kernel.errors import Conflict

WHOLE = registry.find("servicenow")


class Broken:
    """A working ticket system with one fault put in front of it."""

    def __init__(self, context: Any) -> None:
        assert WHOLE.connector.open is not None
        self._whole: Any = WHOLE.connector.open(context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    @property
    def mappings(self):
        return self._whole.mappings

    async def read(self, ref):
        return await self._whole.read(ref)

    async def find(self, correlation, kind):
        return await self._whole.find(correlation, kind)

    async def create(self, kind, values, correlation, idempotency_key):
        return await self._whole.create(kind, values, correlation, idempotency_key)

    async def write(self, ref, patch, set_deltas, expected_version):
        return await self._whole.write(ref, patch, set_deltas, expected_version)

    async def comment(self, ref, body, *, public, correlation):
        return await self._whole.comment(ref, body, public=public, correlation=correlation)

    async def comments(self, ref):
        return await self._whole.comments(ref)

    def changed_since(self, kind, watermark):
        return self._whole.changed_since(kind, watermark)

    def path(self, kind, from_state, to_state):
        return self._whole.path(kind, from_state, to_state)

    async def probe(self):
        return await self._whole.probe()

    async def close(self):
        await self._whole.close()


class DropsUpdates(Broken):
    async def write(self, ref, patch, set_deltas, expected_version):
        return Written(ref=ref)


class AnswersWithAnotherId(Broken):
    _first = None

    async def create(self, kind, values, correlation, idempotency_key):
        made = await super().create(kind, values, correlation, idempotency_key)
        self._first = self._first or made
        return dataclasses.replace(made, ref=self._first.ref)


class IgnoresPaging(Broken):
    async def changed_since(self, kind, watermark):
        async for page in self._whole.changed_since(kind, watermark):
            yield Page(observations=page.observations, watermark=page.watermark)
            return


class SwallowsConflicts(Broken):
    async def write(self, ref, patch, set_deltas, expected_version):
        try:
            return await super().write(ref, patch, set_deltas, expected_version)
        except Conflict:
            return Written(ref=ref)


class LosesCharacters(Broken):
    async def create(self, kind, values, correlation, idempotency_key):
        plain = {
            n: v.encode("ascii", "ignore").decode() if isinstance(v, str) else v for n, v in values.items()
        }
        return await super().create(kind, plain, correlation, idempotency_key)


class FindsNothing(Broken):
    async def find(self, correlation, kind):
        return []


class WritesWholeRecords(Broken):
    async def write(self, ref, patch, set_deltas, expected_version):
        return await super().write(ref, {"description": "", **patch}, set_deltas, expected_version)


class ForgetsCorrelation(Broken):
    async def create(self, kind, values, correlation, idempotency_key):
        return await super().create(kind, values, "", idempotency_key)


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
        (DropsUpdates, "test_a_patch_changes_the_named_fields_only"),
        (AnswersWithAnotherId, "test_each_record_answers_under_its_own_id"),
        (IgnoresPaging, "test_all_objects_come_exactly_once_over_pages"),
        (SwallowsConflicts, "test_writes_react_to_every_fault"),
        (LosesCharacters, "test_a_created_record_reads_back_as_written"),
        (FindsNothing, "test_find_knows_nothing_of_strangers"),
        (WritesWholeRecords, "test_a_patch_changes_the_named_fields_only"),
        (ForgetsCorrelation, "test_find_knows_nothing_of_strangers"),
    ],
)
def test_each_fault_fails_the_test_that_names_it(client, test):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(contract(client), test)()


def test_the_unbroken_connector_passes_the_same_tests():
    whole = contract(Broken)
    for name in (
        "test_a_patch_changes_the_named_fields_only",
        "test_each_record_answers_under_its_own_id",
        "test_all_objects_come_exactly_once_over_pages",
        "test_a_created_record_reads_back_as_written",
    ):
        getattr(whole, name)()
