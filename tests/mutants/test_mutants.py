"""Every mutant of the catalogue is noticed by its killer, which is content with the real code."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from _pytest.outcomes import Failed
from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.surgery import cut, found


def ready(mutant: Mutant, request: pytest.FixtureRequest) -> Any:
    """Return the killer with the fixtures that it asks for."""
    killer = found(mutant.killer)
    names = inspect.signature(killer).parameters
    given = mutant.given | {name: request.getfixturevalue(name) for name in names if name not in mutant.given}
    return lambda: killer(**given)


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    names = {each.name for each in MUTANTS}
    assert len(names) == len(MUTANTS) >= 15


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_the_killer_is_content_with_the_real_code(mutant: Mutant, request: pytest.FixtureRequest) -> None:
    ready(mutant, request)()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_the_mutant_is_killed(mutant: Mutant, request: pytest.FixtureRequest) -> None:
    killer = ready(mutant, request)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, mutant.target, mutant.edits)
        for target, old, new in mutant.also:
            cut(patch, target, ((old, new),))
        try:
            killer()
        except (Failed, Exception) as noticed:
            print(f"{mutant.name}: {type(noticed).__name__}: {str(noticed)[:200]}")
            return
    pytest.fail(f"{mutant.name} survived: {mutant.harm}")
