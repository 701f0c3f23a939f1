"""Writes: nothing lost, nothing twice, nobody overwritten, ours recognised when it comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from isthmus.connectors.kit import answered
from isthmus.connectors.kit.conformance.reacting import find_seeded
from isthmus.connectors.kit.conformance.sampling import AWKWARD, sample, text_patch
from isthmus.connectors.kit.conformance.world import SILENCE_SECONDS, Running, World
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.ports import SetDelta, Written
from isthmus.kernel.errors import Conflict, IsthmusError, UnknownOutcome
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import FieldType

_LINK = "isthmus-link-0001"


class Writing:
    """Rows 10, 11 and 13 of the contract, and the connector facts that synchronisation demands."""

    world: World

    def _written_kinds(self) -> list[str]:
        self.world.needs("write")
        return self.world.kinds("write")

    def test_a_created_record_reads_back_as_written(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                values = sample(running, kind)
                made = await running.tickets.create(kind, values, _LINK, "key-1")
                seen = await running.tickets.read(made.ref)
                assert_shows(running, kind, values, seen)
                assert seen.external.key == made.ref.key
                assert seen.correlation == _LINK, "a read must show our link correlation id"

            self.world.play(act)

    def test_each_record_answers_under_its_own_id(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                refs = [
                    (
                        await running.tickets.create(
                            kind, sample(running, kind, f"number {n}"), f"{_LINK}-{n}", f"key-{n}"
                        )
                    ).ref
                    for n in range(3)
                ]
                mapping = running.context.mappings[kind]
                for n, ref in enumerate(refs):
                    seen = await running.tickets.read(ref)
                    assert seen.values["title"] == mapping.normal("title", f"number {n}"), (
                        "the wrong record answered"
                    )

            self.world.play(act)

    def test_a_patch_changes_the_named_fields_only(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
                before = await running.tickets.read(ref)
                patch = text_patch(running, kind, f"patched {AWKWARD}")
                await running.tickets.write(ref, patch, {}, "")
                after = await running.tickets.read(ref)
                assert_shows(running, kind, patch, after)
                rest = {name: value for name, value in before.values.items() if name not in patch}
                assert rest == {name: after.values[name] for name in rest}, "a patch touched other fields"

            self.world.play(act)

    def test_a_crash_between_write_and_receipt_is_repaired_by_looking(self) -> None:
        for kind in self._written_kinds():
            for fault in (Fault.TIMEOUT_AFTER_COMMIT, Fault.RESET_AFTER_COMMIT):

                async def act(running: Running, kind: str = kind, fault: Fault = fault) -> list[str]:
                    running.simulator.faults.plan(fault, method="WRITE")
                    values = sample(running, kind)
                    with pytest.raises(UnknownOutcome):
                        await running.tickets.create(kind, values, _LINK, "key-1")
                    if not await running.tickets.find(_LINK, kind):
                        await running.tickets.create(kind, values, _LINK, "key-1")
                    return running.simulator.find_all(kind, _LINK)

                made = self.world.play(act, limits=self.world.limits_under(fault))
                assert len(made) == 1, f"{kind}: {fault} made a twin, or nothing"

    def test_a_commit_after_the_timeout_is_found_later(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> int:
                running.simulator.faults.plan(
                    Fault.COMMIT_AFTER_TIMEOUT, method="WRITE", delay_seconds=SILENCE_SECONDS + 0.2
                )
                with pytest.raises(UnknownOutcome):
                    await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")
                await running.simulator.settled()
                return len(running.simulator.find_all(kind, _LINK))

            # One request of a create in several steps may have been the late one: none or one, never two.
            limits = self.world.limits_under(Fault.COMMIT_AFTER_TIMEOUT)
            assert self.world.play(act, limits=limits) <= 1

    def test_a_write_that_cannot_be_looked_at_is_known_to_be_answered(self) -> None:
        """Else the hub believes that nothing was done, and does it again."""
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> None:
                key = running.simulator.seed(kind, 1)[0]
                ref = (await find_seeded(running, kind, key)).external
                tickets, patch = running.tickets, text_patch(running, kind, "patched")
                acts: dict[str, Callable[[], Awaitable[Written]]] = {
                    "create": lambda: tickets.create(kind, sample(running, kind), _LINK, "key-1"),
                    "write": lambda: tickets.write(ref, patch, {}, ""),
                }
                if kind in self.world.kinds("comment"):
                    acts["comment"] = lambda: tickets.comment(ref, "said", public=True, correlation="c-1")
                for name, verb in acts.items():
                    running.simulator.after_write.append(
                        lambda: running.simulator.faults.plan(Fault.STATUS, method="GET", times=500)
                    )
                    noted = answered.watch()
                    try:
                        assert (await verb()).ref.key
                    except IsthmusError:
                        assert noted.write, f"{name}: it wrote, failed, and says nothing of it"
                    running.simulator.faults.clear()

            self.world.play(act)

    def test_the_same_idempotency_key_makes_one_record(self) -> None:
        kinds = self._written_kinds()
        if not self.world.manifest.idempotent_create:
            pytest.skip("the manifest declares no idempotent create")
        for kind in kinds:

            async def act(running: Running, kind: str = kind) -> list[str]:
                for _ in range(2):
                    await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")
                return running.simulator.find_all(kind, _LINK)

            assert len(self.world.play(act)) == 1

    def test_find_knows_nothing_of_strangers(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> Any:
                running.simulator.seed(kind, 3)
                ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
                return (
                    ref,
                    await running.tickets.find(_LINK, kind),
                    await running.tickets.find(_LINK + "0", kind),
                )

            ref, found, strangers = self.world.play(act)
            assert [each.key for each in found] == [ref.key]
            assert strangers == [], "a look-up must match the whole correlation id"

    def test_a_stale_version_is_refused(self) -> None:
        kinds = self._written_kinds()
        if not self.world.manifest.conditional_writes:
            pytest.skip("the manifest declares no conditional writes")
        for kind in kinds:

            async def act(running: Running, kind: str = kind) -> None:
                ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
                version = (await running.tickets.read(ref)).version
                running.simulator.human_edit(kind, ref.key, text_patch(running, kind, "edited by a person"))
                with pytest.raises(Conflict):
                    await running.tickets.write(ref, text_patch(running, kind, "ours"), {}, version)
                fresh = (await running.tickets.read(ref)).version
                assert fresh != version, "an edit must change the version"
                await running.tickets.write(ref, text_patch(running, kind, "ours"), {}, fresh)

            self.world.play(act)

    def test_sets_are_written_as_deltas(self) -> None:
        for kind in self._written_kinds():
            mapping = self.world.mapping(kind)
            for name in mapping.written():
                if KINDS[kind].by_name[name].type is FieldType.SET:
                    self.world.play(lambda running, kind=kind, name=name: _set_delta(running, kind, name))  # type: ignore[misc]

    def test_a_write_of_ours_is_proven_to_be_ours(self) -> None:
        proof = self.world.manifest.proof_of_own
        for kind in self._written_kinds():
            if proof.kind == "none":
                self.world.fail(f"cannot prove its writes of {kind}", "declare proof_of_own in manifest.toml")

            async def act(running: Running, kind: str = kind) -> None:
                ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
                before = await running.tickets.read(ref)
                patch = text_patch(running, kind, "ours")
                written = await running.tickets.write(ref, patch, {}, "")
                after = await running.tickets.read(ref)
                assert_proof(running, proof.kind, kind, patch, written, before, after)

            self.world.play(act)

    def test_a_lying_success_is_seen_by_reading_back(self) -> None:
        for kind in self._written_kinds():

            async def act(running: Running, kind: str = kind) -> bool:
                ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
                running.simulator.faults.plan(Fault.LYING_200, method="WRITE")
                await running.tickets.write(ref, text_patch(running, kind, "never stored"), {}, "")
                seen = await running.tickets.read(ref)
                return seen.values["title"] == text_patch(running, kind, "never stored")["title"]

            assert not self.world.play(act), "the read shows what was never stored"

    def test_our_comments_are_recognised_and_complete(self) -> None:
        self.world.needs("comment")
        for kind in self.world.kinds("comment"):

            async def act(running: Running, kind: str = kind) -> None:
                key = running.simulator.seed(kind, 1)[0]
                ref = (await find_seeded(running, kind, key)).external
                for public in (True, False):
                    await running.tickets.comment(
                        ref, f"{AWKWARD} {public}", public=public, correlation=f"c-{public}"
                    )
                seen = {
                    each.correlation: each for each in await running.tickets.comments(ref) if each.correlation
                }
                assert set(seen) == {"c-True", "c-False"}, f"recognised {sorted(seen)}"
                for public in (True, False):
                    assert AWKWARD in seen[f"c-{public}"].body, "a comment lost characters"
                    assert seen[f"c-{public}"].public is public
                assert len({each.key for each in seen.values()}) == 2

            self.world.play(act)

    def test_state_paths_lead_where_they_say(self) -> None:
        for kind in self._written_kinds():
            mapping = self.world.mapping(kind)
            if "state" not in mapping.written():
                continue
            states = [str(mapping.outward("state", each)) for each in KINDS[kind].by_name["state"].choices]

            async def act(running: Running, kind: str = kind, states: list[str] = states) -> None:
                for start in states:
                    assert running.tickets.path(kind, start, start) == []
                    for end in states:
                        way = running.tickets.path(kind, start, end)
                        assert way is None or way == [] or way[-1] == end

            self.world.play(act)


async def _set_delta(running: Running, kind: str, name: str) -> None:
    ref = (await running.tickets.create(kind, sample(running, kind), _LINK, "key-1")).ref
    running.simulator.human_edit(kind, ref.key, {name: ["theirs"]})
    await running.tickets.write(ref, {}, {name: SetDelta(add=("ours",))}, "")
    seen = await running.tickets.read(ref)
    assert {"ours", "theirs"} <= set(_texts(seen.values[name])), "the full set was written over theirs"
    await running.tickets.write(ref, {}, {name: SetDelta(remove=("ours",))}, "")
    seen = await running.tickets.read(ref)
    assert set(_texts(seen.values[name])) >= {"theirs"}
    assert "ours" not in _texts(seen.values[name])


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value]


def assert_shows(running: Running, kind: str, sent: dict[str, Any], seen: Observation) -> None:
    """Assert that a read shows the normal form of everything sent (and that it is listened to)."""
    mapping = running.context.mappings[kind]
    for name, value in sent.items():
        if name in mapping.read():
            expected = mapping.normalised(name, value)
            assert seen.values.get(name) == expected, (
                f"{kind}.{name}: sent {value!r}, read {seen.values.get(name)!r}"
            )


def assert_proof(
    running: Running,
    proof: str,
    kind: str,
    patch: dict[str, Any],
    written: Written,
    before: Observation,
    after: Observation,
) -> None:
    """Assert that the declared proof of own holds for one write."""
    match proof:
        case "response_returns_record":
            assert written.observation is not None, "the response must return the record"
            assert_shows(running, kind, patch, written.observation)
        case "exact_version":
            assert written.version, "the response must give the version"
            assert written.version == after.version != before.version
        case "last_modifier":
            assert after.partner_actor == running.simulator.integration_user
        case _:
            assert_shows(running, kind, patch, after)
