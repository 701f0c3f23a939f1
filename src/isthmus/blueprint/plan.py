"""The difference between the running blueprint and a candidate, as data that people and `apply` share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from isthmus.blueprint import sections
from isthmus.blueprint.sections import Parsed
from isthmus.blueprint.source import escape


@dataclass(frozen=True, kw_only=True)
class Step:
    """One value that would change. `old`/`new` are None where the value is absent on that side."""

    pointer: str
    action: str  # "add", "change" or "remove"
    old: Any
    new: Any


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What apply would do: the steps, what they touch, and the hash of the content that results."""

    base_generation: int
    content_hash: str
    steps: tuple[Step, ...]
    affects: tuple[str, ...]
    high_tier: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not self.steps


def content_of(plain: dict[str, Any]) -> str:
    """Return the canonical text of plain sections: keys sorted, so equal blueprints have equal hashes."""
    return msgspec.json.encode(plain, order="deterministic").decode()


def hash_of(content: str) -> str:
    """Return the SHA-256 of canonical content, as hex."""
    return hashlib.sha256(content.encode()).hexdigest()


def make(
    old_plain: dict[str, Any], old: Parsed, new_plain: dict[str, Any], new: Parsed, *, base_generation: int
) -> Plan:
    """Compare two blueprints section by section. Lists of named things are compared by name, not by place."""
    steps: list[Step] = []
    for name in sorted(set(old_plain) | set(new_plain)):
        _compare(f"/{escape(name)}", old_plain.get(name), new_plain.get(name), steps)
    changed = {step.pointer.split("/")[1] for step in steps}
    affects: list[str] = []
    for name in sorted(changed):
        section = sections.get(name)
        if section.affects is not None:
            affects += section.affects(old.section(name), new.section(name))
    return Plan(
        base_generation=base_generation,
        content_hash=hash_of(content_of(new_plain)),
        steps=tuple(steps),
        affects=tuple(affects),
        high_tier=tuple(sorted({place for step in steps if (place := _high(step, old_plain, new_plain))})),
    )


def _high(step: Step, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the section or the member of one that a step changes, if it is of the high tier, else ""."""
    name, _, rest = step.pointer.removeprefix("/").partition("/")
    tier = sections.get(name).high_tier
    if not isinstance(tier, frozenset):
        return name if tier else ""
    member = rest.partition("/")[0].removesuffix(" (order)")
    if member:
        return f"{name}/{member}" if member in tier else ""
    # The whole section came or went: what it says about its high members came or went with it.
    held = (old.get(name) or {}, new.get(name) or {})
    return next((f"{name}/{each}" for each in sorted(tier) if any(each in value for value in held)), "")


def _named(value: Any) -> dict[str, Any] | None:
    """Return list items by their `name`, if every item has a distinct one."""
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value):
        return None
    found = {item["name"]: item for item in value}
    return found if len(found) == len(value) else None


def _compare(pointer: str, old: Any, new: Any, steps: list[Step]) -> None:
    if old == new:
        return
    old_named, new_named = _named(old), _named(new)
    if old_named is not None and new_named is not None:
        old, new = old_named, new_named
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            _compare(f"{pointer}/{escape(key)}", old.get(key), new.get(key), steps)
        if (
            old_named is not None
            and new_named is not None
            and list(old) != list(new)
            and set(old) == set(new)
        ):
            steps.append(Step(pointer=f"{pointer} (order)", action="change", old=list(old), new=list(new)))
        return
    action = "add" if old is None else "remove" if new is None else "change"
    steps.append(Step(pointer=pointer, action=action, old=old, new=new))
