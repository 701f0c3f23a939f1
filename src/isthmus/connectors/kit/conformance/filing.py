"""Files: byte for byte there and back, found again after a lost answer, bounded."""

from __future__ import annotations

import hashlib

import pytest

from isthmus.connectors.kit.attachments import AttachmentSystem, File, find_equal
from isthmus.connectors.kit.conformance.reacting import find_seeded
from isthmus.connectors.kit.conformance.world import Running, World
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import Rejected, UnknownOutcome
from isthmus.kernel.observation import ExternalRef

CONTENT = bytes(range(256)) * 300 + b"\r\n--boundary\r\n\x00\xff"
FILE = File(
    filename="Größe 1.bin",
    content_type="application/octet-stream",
    content=CONTENT,
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)


async def _opened(running: Running, kind: str) -> tuple[AttachmentSystem, ExternalRef]:
    client = running.client
    assert isinstance(client, AttachmentSystem)
    key = running.simulator.seed(kind, 1)[0]
    return client, (await find_seeded(running, kind, key)).external


class Filing:
    """What carrying files between systems demands."""

    world: World

    def _filed_kinds(self) -> list[str]:
        self.world.needs("attach")
        return self.world.kinds("attach")

    def test_a_file_comes_back_byte_for_byte(self) -> None:
        for kind in self._filed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                client, ref = await _opened(running, kind)
                made = await client.attach(ref, FILE)
                (seen,) = await client.attachments(ref)
                assert (seen.key, seen.filename) == (made.key, FILE.filename)
                assert seen.size in {len(CONTENT), -1}
                found = await client.fetch(ref, made.key, bytes_max=len(CONTENT))
                assert found.content == CONTENT, "the content changed on the way"
                assert found.sha256 == FILE.sha256

            self.world.play(act)

    def test_a_file_whose_answer_was_lost_is_found_and_not_added_twice(self) -> None:
        for kind in self._filed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                client, ref = await _opened(running, kind)
                assert await find_equal(client, ref, FILE, known=()) is None
                running.simulator.faults.plan(Fault.RESET_AFTER_COMMIT, method="WRITE")
                with pytest.raises(UnknownOutcome):
                    await client.attach(ref, FILE)
                found = await find_equal(client, ref, FILE, known=()) or await client.attach(ref, FILE)
                assert len(await client.attachments(ref)) == 1, "the file of the lost answer must be found"
                assert await find_equal(client, ref, FILE, known=(found.key,)) is None

            self.world.play(act)

    def test_a_file_larger_than_allowed_is_refused(self) -> None:
        for kind in self._filed_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                client, ref = await _opened(running, kind)
                made = await client.attach(ref, FILE)
                with pytest.raises(Rejected):
                    await client.fetch(ref, made.key, bytes_max=len(CONTENT) - 1)

            self.world.play(act)
