"""Streams: opened, then everything as it stands, then what happens; a break is an error, and nothing is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import pytest

from isthmus.connectors.kit.conformance.polled import poll
from isthmus.connectors.kit.conformance.world import Running, World
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.ports import Page, Streamer
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Retryable

_SECONDS_MAX = 20.0
_REFUSALS: Mapping[int, type[IsthmusError]] = {
    401: NeedsOperator,
    403: NeedsOperator,
    429: Retryable,
    500: Retryable,
    503: Retryable,
}


def _opened(running: Running, kind: str) -> AsyncIterator[Page]:
    assert isinstance(running.client, Streamer)
    return running.client.stream(kind)


class _Heard:
    """What a stream tells, as the hub hears it: a page with news has the kind polled from where the last poll ended."""

    def __init__(self, running: Running, kind: str, watermark: str = "") -> None:
        self._running, self._kind, self.watermark = running, kind, watermark

    async def until(self, pages: AsyncIterator[Page], *wanted: str) -> list[str]:
        """Return the keys that were told, in order, once all of `wanted` are among them."""
        found: list[str] = []
        async with asyncio.timeout(_SECONDS_MAX):
            while not set(wanted) <= set(found):
                page = await anext(pages)
                found += [each.external.key for each in self._running.told(page)]
                if page.news:
                    keys, self.watermark = await poll(self._running, self._kind, self.watermark)
                    found += keys
        return found


class Streamed:
    """What a stream demands."""

    world: World

    def _streamed_kinds(self) -> list[str]:
        self.world.needs("stream")
        return self.world.kinds("stream")

    def test_a_stream_begins_with_everything_as_it_stands_and_goes_on_with_what_happens(self) -> None:
        for kind in self._streamed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                before = running.simulator.seed(kind, 3)
                heard = _Heard(running, kind)
                async with aclosing(_opened(running, kind)) as pages:  # type: ignore[type-var]
                    assert sorted(await heard.until(pages, *before)) == sorted(before), f"{kind} came twice"
                    running.simulator.human_edit(kind, before[1], {})
                    assert set(await heard.until(pages, before[1])) == {before[1]}

            self.world.play(act)

    def test_a_stream_of_nothing_says_that_it_is_open(self) -> None:
        for kind in self._streamed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                async with aclosing(_opened(running, kind)) as pages:  # type: ignore[type-var]
                    async with asyncio.timeout(_SECONDS_MAX):
                        assert not running.told(await anext(pages))

            self.world.play(act)

    def test_a_break_is_an_error_and_the_next_stream_brings_what_was_missed(self) -> None:
        for kind in self._streamed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                heard = _Heard(running, kind)
                async with aclosing(_opened(running, kind)) as pages:  # type: ignore[type-var]
                    await anext(pages)
                    running.simulator.break_streams()
                    with pytest.raises(Retryable):
                        await heard.until(pages, "nothing has this key")
                missed = running.simulator.seed(kind, 2)
                async with aclosing(_opened(running, kind)) as pages:  # type: ignore[type-var]
                    await heard.until(pages, *missed)

            self.world.play(act)

    def test_a_stream_that_cannot_be_opened_says_why(self) -> None:
        for kind in self._streamed_kinds():
            for status, expected in _REFUSALS.items():

                async def act(running: Running, kind: str = kind, status: int = status) -> IsthmusError:
                    running.simulator.faults.plan(Fault.STATUS, status=status)
                    with pytest.raises(IsthmusError) as caught:
                        await anext(_opened(running, kind))
                    return caught.value

                error = self.world.play(act)
                assert type(error) is expected, f"streaming {kind}, {status}: {error!r}"
                shown = f"{error} {error.remedy}"
                assert not [each for each in self.world.simulator().secrets().values() if each in shown]
