"""Cuts into a function while it runs: its source is edited, compiled, and its code swapped in place.

The function object stays the same, so every module that imported it by name runs the mutated code.
"""

from __future__ import annotations

import importlib
import inspect
import textwrap
from typing import Any

import pytest


def found(target: str) -> Any:
    """Return what `package.module:Name.attribute` names."""
    module, _, path = target.partition(":")
    held: Any = importlib.import_module(module)
    for part in path.split("."):
        held = getattr(held, part)
    return held


def cut(patch: pytest.MonkeyPatch, target: str, edits: tuple[tuple[str, str], ...]) -> None:
    """Replace each text of the function's source, which must stand there exactly once, until `patch` is undone."""
    function = found(target)
    assert function.__closure__ is None, f"{target} is a closure; its code cannot be swapped"
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in edits:
        assert source.count(old) == 1, (
            f"{target} holds {old!r} {source.count(old)} times: name the mutant's place again"
        )
        source = source.replace(old, new)
    room: dict[str, Any] = {}
    # The future import keeps annotations unevaluated, as in the modules that functions are cut from.
    code = compile(f"from __future__ import annotations\n{source}", target, "exec")
    exec(code, dict(function.__globals__), room)  # noqa: S102 - running a changed copy of our own source is the point
    patch.setattr(function, "__code__", room[function.__name__].__code__)
