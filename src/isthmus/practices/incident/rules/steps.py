"""Steps that were taken on an incident: what was done and what is still to do, in order."""

from __future__ import annotations

from typing import Any, Final

from isthmus.kernel.errors import Problem

STEPS_MAX: Final = 100
TEXT_MAX: Final = 2_000


def problems(given: Any) -> list[Problem]:
    """Return what is wrong with a list of steps, each `{"text": …, "done": true}`."""
    if given in (None, []):
        return []
    if not isinstance(given, list) or len(given) > STEPS_MAX:
        return [
            Problem(path="/steps", message="not a list of steps", remedy=f"Give at most {STEPS_MAX} steps.")
        ]
    return [
        Problem(
            path=f"/steps/{place}", message="not a step", remedy='Give {"text": "…", "done": true or false}.'
        )
        for place, each in enumerate(given)
        if not _sound(each)
    ]


def _sound(step: Any) -> bool:
    return (
        isinstance(step, dict)
        and step.keys() == {"text", "done"}
        and isinstance(step["text"], str)
        and 0 < len(step["text"].strip()) <= TEXT_MAX
        and isinstance(step["done"], bool)
    )


def in_words(given: Any) -> list[str]:
    """Return each step as a line: `[x] done`, `[ ] still to do`."""
    return [f"[{'x' if each['done'] else ' '}] {each['text']}" for each in given or ()]
