"""`kill -9` at random instants, while people work in three systems and the partners misbehave."""

from __future__ import annotations

import os
import random
import time

import pytest
from tests.chaos import proof
from tests.chaos.installation import Installation
from tests.chaos.player import Player
from tests.chaos.script import tickets

KILLS = int(os.environ.get("ISTHMUS_CHAOS_KILLS", "4"))
SEED = int(os.environ.get("ISTHMUS_CHAOS_SEED", "0")) or random.randrange(1, 1_000_000)

pytestmark = pytest.mark.chaos


def test_kills_lose_nothing_double_nothing_and_end_as_an_undisturbed_run(town: Installation) -> None:
    """Run one story undisturbed, then the same story under kills and faults, in one installation."""
    count = max(3, KILLS // 3)
    began = time.monotonic()
    print(f"\nseed {SEED} (ISTHMUS_CHAOS_SEED), {KILLS} kills, {count} tickets")
    calm = tickets(SEED, "calm", count)
    undisturbed = Player(town, calm, seed=SEED, kills=0, faults=False).play()
    proof.settle()
    print(f"undisturbed run at rest after {time.monotonic() - began:.0f} s")
    storm = tickets(SEED, "storm", count)
    disturbed = Player(town, storm, seed=SEED, kills=KILLS, faults=True).play()
    print(f"killed: {disturbed.kills}, {time.monotonic() - began:.0f} s")
    proof.settle()
    print(f"at rest after {time.monotonic() - began:.0f} s")
    proof.assert_as_told(calm, undisturbed)
    proof.assert_as_told(storm, disturbed)
    assert proof.rest_of(storm, disturbed) == proof.rest_of(calm, undisturbed)
    # On the scaled store, and on a busy machine, a look and the write after it are far enough apart for a person to
    # write in between, where the vendor cannot be asked to write only what it still holds.
    crossed = proof.assert_contested_kept(calm, undisturbed, late_writes=town.on_postgres)
    print(f"overwritten between a look and the write after it: {crossed}")
    overwritten = proof.assert_contested_kept(storm, disturbed, late_writes=True)
    print(f"overwritten by a late write where the vendor has no conditional one: {overwritten}")
    proof.assert_nothing_twice_nothing_lost(town, [*calm, *storm], [undisturbed, disturbed])
    print(f"{proof.decide_conflicts(town)} conflicts waited for a person")
    proof.settle()
    parked = proof.assert_all_sides_equal(town)
    assert not parked, f"parked although no partner refuses anything: {parked}"
    town.hub.stop()
    print(proof.assert_sound(town))
