"""From plain data to a typed blueprint, or to a list of problems that name file, line, path and remedy."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
from msgspec.inspect import DictType, ListType, StructType, UnionType, type_info

from isthmus.blueprint import sections
from isthmus.blueprint.sections import Parsed
from isthmus.blueprint.source import Source, escape
from isthmus.kernel.errors import Problem, Rejected

PROBLEMS_MAX = 100
_AT = re.compile(r" - at `(key in )?\$?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def check(source: Source) -> tuple[Parsed | None, list[Problem]]:
    """Return the typed blueprint, or None and everything that is wrong with it."""
    problems = list(source.problems)
    values: dict[str, Any] = {}
    for name, raw in source.sections.items():
        if name not in sections.names():
            near = difflib.get_close_matches(name, sections.names(), n=1)
            remedy = (
                f"Did you mean {near[0]!r}?" if near else f"Known sections: {', '.join(sections.names())}."
            )
            problems.append(_located(source, f"/{escape(name)}", f"There is no section {name!r}.", remedy))
            continue
        value, found = _convert(name, raw, source)
        problems += found
        if not found:
            values[name] = value
    parsed = Parsed(values=values)
    if not problems:
        for name in sections.names():
            section = sections.get(name)
            if section.check is None:
                continue
            for problem in section.check(parsed.section(name), parsed):
                problems.append(
                    _located(source, f"/{escape(name)}{problem.path}", problem.message, problem.remedy)
                )
    return (None if problems else parsed), problems[:PROBLEMS_MAX]


def _convert(name: str, raw: Any, source: Source) -> tuple[Any, list[Problem]]:
    schema = sections.get(name).schema
    try:
        return msgspec.convert(raw, schema, strict=True), []
    except msgspec.ValidationError as fault:
        first = _explain(name, schema, str(fault), source, raw)
    # The converter stops at the first fault; items are tried one by one so that each faulty one is named.
    info = type_info(schema)
    found: list[Problem] = []
    if isinstance(info, ListType) and isinstance(raw, list):
        found = _each(name, schema, [(f"[{i}]", [item]) for i, item in enumerate(raw)], source, raw)
    elif isinstance(info, DictType) and isinstance(raw, dict):
        found = _each(name, schema, [(f".{key}", {key: item}) for key, item in raw.items()], source, raw)
    return None, found or [first]


def _each(name: str, schema: Any, parts: list[tuple[str, Any]], source: Source, raw: Any) -> list[Problem]:
    found = []
    for step, part in parts:
        try:
            msgspec.convert(part, schema, strict=True)
        except msgspec.ValidationError as fault:
            said = str(fault)
            match = _AT.search(said)
            path = match["path"] if match else ""
            inner = _STEP.sub("", path, count=1)
            found.append(
                _explain(
                    name,
                    schema,
                    f"{said[: match.start()] if match else said} - at `${step}{inner}`",
                    source,
                    raw,
                )
            )
    return found


def _explain(name: str, schema: Any, said: str, source: Source, raw: Any) -> Problem:
    match = _AT.search(said)
    path = match["path"] if match else ""
    message = said[: match.start()] if match else said
    steps = [a or b for a, b in _STEP.findall(path)]
    pointer = f"/{escape(name)}"
    cursor = raw
    for step in steps:
        if step == "..." and isinstance(cursor, dict):
            # The converter does not say which key of a mapping it was in: the first one whose value fails is it.
            step = next(iter(cursor), "")  # noqa: PLW2901 - resolving the anonymous step
        pointer += f"/{escape(step)}"
        cursor = (
            cursor.get(step)
            if isinstance(cursor, dict)
            else cursor[int(step)]
            if isinstance(cursor, list) and step.isdigit() and int(step) < len(cursor)
            else None
        )
    unknown = _UNKNOWN.search(message)
    remedy = "Correct the value."
    if unknown:
        known = _fields(type_info(schema), steps)
        near = difflib.get_close_matches(unknown["name"], known, n=1)
        pointer += f"/{escape(unknown['name'])}"
        remedy = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(known)}."
        message = f"Unknown key {unknown['name']!r}."
    elif "missing required field" in message:
        remedy = "Add it."
    return _located(source, pointer, message.rstrip("."), remedy)


def _fields(info: Any, steps: list[str]) -> list[str]:
    """Return the keys that the structure at `steps` knows."""
    for step in steps:
        info = _descend(info, step)
        if info is None:
            return []
    for option in _options(info):
        if isinstance(option, StructType):
            return [each.encode_name for each in option.fields]
    return []


def _options(info: Any) -> list[Any]:
    return list(info.types) if isinstance(info, UnionType) else [info]


def _descend(info: Any, step: str) -> Any:
    for option in _options(info):
        if isinstance(option, StructType):
            for each in option.fields:
                if each.encode_name == step:
                    return each.type
        if isinstance(option, ListType):
            return option.item_type
        if isinstance(option, DictType):
            return option.value_type
    return None


def _located(source: Source, pointer: str, message: str, remedy: str) -> Problem:
    place = source.place(pointer)
    return Problem(
        path=f"{place}:{pointer}" if place else pointer, message=f"{message.rstrip('.')}.", remedy=remedy
    )


class Invalid(Rejected):
    """A blueprint with problems; nothing of it was applied."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            f"The blueprint has {len(problems)} problem(s); nothing was applied.",
            remedy="Mend each and run `isthmus validate`.",
            problems=tuple(problems),
        )
