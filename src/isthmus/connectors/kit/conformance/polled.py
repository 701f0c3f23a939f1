"""Polling: N objects over pages give exactly N, in bounded requests, also when rows shift between pages."""

from __future__ import annotations

from collections import Counter

import msgspec

from isthmus.connectors.kit.conformance.world import Running, World
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.simulator import Call

_PAGE, _COUNT = 5, 13


async def poll(running: Running, kind: str, watermark: str = "") -> tuple[list[str], str]:
    """Return the keys of all polled objects, as often as they came, and the last watermark."""
    keys: list[str] = []
    async for page in running.poller.changed_since(kind, watermark):
        keys += [each.external.key for each in running.told(page)]
        watermark = page.watermark
    return keys, watermark


class Polled:
    """Row 9 of the contract."""

    world: World

    def _limits(self) -> Limits:
        self.world.needs("read")
        return msgspec.structs.replace(self.world.manifest.limits, page_size_max=_PAGE)

    def test_a_probe_names_product_and_version(self) -> None:
        self.world.needs("read", "write")
        probe = self.world.play(lambda running: running.client.probe())
        assert probe.product
        assert probe.version
        assert probe.missing_scopes == ()

    def test_all_objects_come_exactly_once_over_pages(self) -> None:
        limits = self._limits()
        for kind in self.world.kinds("read"):

            async def act(running: Running, kind: str = kind) -> tuple[list[str], list[str], list[Call]]:
                seeded = running.simulator.seed(kind, _COUNT)
                keys, _ = await poll(running, kind)
                return seeded, keys, running.simulator.calls

            seeded, keys, calls = self.world.play(act, limits=limits)
            counted = Counter(keys)
            assert set(keys) == set(seeded), f"{kind}: missing {sorted(set(seeded) - set(keys))[:3]}"
            assert not [key for key, times in counted.items() if times > 1], f"{kind} came twice"
            assert len(calls) <= _COUNT * 3 + 5, f"{kind}: {len(calls)} requests for {_COUNT} objects"

    def test_no_object_is_missed_when_rows_shift_between_pages(self) -> None:
        limits = self._limits()
        for kind in self.world.kinds("read"):

            async def act(running: Running, kind: str = kind) -> tuple[list[str], list[str]]:
                seeded = running.simulator.seed(kind, _COUNT)
                edit = {"title": "shifted"} if kind in running.context.mappings else {}
                running.simulator.after_read.append(
                    lambda: running.simulator.human_edit(kind, seeded[0], edit)
                )
                keys, _ = await poll(running, kind)
                return seeded, keys

            seeded, keys = self.world.play(act, limits=limits)
            assert set(seeded) <= set(keys), f"{kind}: missed {sorted(set(seeded) - set(keys))[:3]}"

    def test_the_next_poll_brings_what_changed_since(self) -> None:
        limits = self._limits()
        for kind in self.world.kinds("read"):

            async def act(running: Running, kind: str = kind) -> tuple[str, list[str]]:
                seeded = running.simulator.seed(kind, 3)
                _, watermark = await poll(running, kind)
                edit = {"title": "changed"} if kind in running.context.mappings else {}
                running.simulator.human_edit(kind, seeded[1], edit)
                keys, _ = await poll(running, kind, watermark)
                return seeded[1], keys

            changed, keys = self.world.play(act, limits=limits)
            assert changed in keys, f"{kind}: the edit after the watermark was missed"

    def test_reading_writes_nothing(self) -> None:
        self._limits()
        for kind in self.world.kinds("read"):

            async def act(running: Running, kind: str = kind) -> dict[str, object]:
                running.simulator.seed(kind, 2)
                before = {
                    key: item
                    for name in running.simulator.state
                    for key, item in running.simulator.shelf(name).all()
                }
                await poll(running, kind)
                after = {
                    key: item
                    for name in running.simulator.state
                    for key, item in running.simulator.shelf(name).all()
                }
                return {"before": before, "after": after}

            shown = self.world.play(act)
            assert shown["before"] == shown["after"], f"polling {kind} changed the partner"
