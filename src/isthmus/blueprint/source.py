"""Reading a blueprint directory: plain YAML files, each value knowing the file and line it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from isthmus.kernel.errors import Problem

FILES_MAX = 500
BYTES_MAX = 5_000_000
DEPTH_MAX = 24


@dataclass(kw_only=True)
class Source:
    """Sections as plain data, where each came from, and what was wrong with the files themselves."""

    sections: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """JSON Pointer (`/connections/0/name`) → `file:line`."""
    problems: list[Problem] = field(default_factory=list)

    def place(self, pointer: str) -> str:
        """Return `file:line` of the pointer or of its nearest ancestor that has one."""
        while pointer and pointer not in self.places:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer, "")


def escape(key: str) -> str:
    """Escape one reference token of a JSON Pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def read_directory(folder: Path) -> Source:
    """Read every `*.yaml`/`*.yml` below `folder`; a section may be spread over files as long as its
    top-level keys (or list items) do not collide."""
    source = Source()
    if not folder.is_dir():
        source.problems.append(
            Problem(
                path=str(folder),
                message="There is no such directory.",
                remedy="Run `isthmus init DIRECTORY` to make a starter blueprint.",
            )
        )
        return source
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file())
    if len(files) > FILES_MAX:
        source.problems.append(
            Problem(
                path=str(folder),
                message=f"More than {FILES_MAX} files.",
                remedy="Merge or split the blueprint.",
            )
        )
        return source
    if not files:
        source.problems.append(
            Problem(
                path=str(folder),
                message="No YAML file found.",
                remedy="Run `isthmus init` to make a starter.",
            )
        )
    for path in files:
        name = str(path.relative_to(folder))
        if path.stat().st_size > BYTES_MAX:
            source.problems.append(
                Problem(path=name, message=f"The file is larger than {BYTES_MAX} bytes.", remedy="Split it.")
            )
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            source.problems.append(
                Problem(path=name, message="The file is not UTF-8.", remedy="Save it as UTF-8.")
            )
            continue
        read_text(text, name, source)
    return source


def read_text(text: str, name: str, source: Source) -> None:
    """Add one YAML document to `source`, or the reason why it cannot be read."""
    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    try:
        document = yaml.load(StringIO(text))
    except MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark is not None else 1
        said = (fault.problem or "not valid YAML").split("\n")[0]
        source.problems.append(
            Problem(
                path=f"{name}:{line}", message=f"YAML: {said}.", remedy="Correct the syntax at this line."
            )
        )
        return
    except (YAMLError, ValueError, RecursionError) as fault:
        source.problems.append(
            Problem(path=name, message=f"YAML: {str(fault).splitlines()[0]}", remedy="Correct the file.")
        )
        return
    if document is None:
        return
    if not isinstance(document, CommentedMap):
        source.problems.append(
            Problem(
                path=f"{name}:1",
                message="A blueprint file holds sections by name.",
                remedy="Start with `connections:` or another section.",
            )
        )
        return
    for key, value in document.items():
        if key == "$schema":
            continue
        pointer = f"/{escape(key)}"
        line = document.lc.key(key)[0] + 1
        try:
            plain = _plain(value, pointer, name, source, line, 0)
        except _Unreadable as fault:
            source.problems.append(
                Problem(path=f"{name}:{fault.line}:{pointer}", message=fault.text, remedy=fault.remedy)
            )
            continue
        _merge(str(key), plain, f"{name}:{line}", source)


class _Unreadable(Exception):
    def __init__(self, line: int, text: str, remedy: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.remedy = remedy


def _plain(value: Any, pointer: str, name: str, source: Source, line: int, depth: int) -> Any:
    source.places.setdefault(pointer, f"{name}:{line}")
    if depth > DEPTH_MAX:
        raise _Unreadable(line, f"Nested deeper than {DEPTH_MAX} levels.", "Flatten it; check YAML anchors.")
    tag = getattr(value, "tag", None)
    if tag is not None and getattr(tag, "value", None):
        raise _Unreadable(line, f"The YAML tag {tag.value} has no meaning here.", "Write a plain value.")
    if isinstance(value, CommentedMap):
        return {
            str(key): _plain(
                item, f"{pointer}/{escape(key)}", name, source, value.lc.key(key)[0] + 1, depth + 1
            )
            for key, item in value.items()
        }
    if isinstance(value, CommentedSeq):
        return [
            _plain(item, f"{pointer}/{index}", name, source, value.lc.item(index)[0] + 1, depth + 1)
            for index, item in enumerate(value)
        ]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)


def _merge(section: str, value: Any, place: str, source: Source) -> None:
    known = source.sections.get(section)
    if known is None:
        source.sections[section] = value
        return
    if isinstance(known, dict) and isinstance(value, dict):
        twice = sorted(set(known) & set(value))
        if twice:
            first = source.place(f"/{escape(section)}/{escape(twice[0])}")
            source.problems.append(
                Problem(
                    path=f"{place}:/{section}/{twice[0]}",
                    message=f"{twice[0]!r} is set twice (first at {first}).",
                    remedy="Keep one.",
                )
            )
            return
        known.update(value)
        return
    if isinstance(known, list) and isinstance(value, list):
        offset = len(known)
        known.extend(value)
        filename = place.rpartition(":")[0]
        for pointer, where in list(source.places.items()):
            # List items of a second file were noted under their own index: shift them behind the first file's.
            head, _, tail = pointer.removeprefix(f"/{section}/").partition("/")
            if pointer.startswith(f"/{section}/") and head.isdigit() and where.startswith(f"{filename}:"):
                source.places[f"/{section}/{int(head) + offset}" + (f"/{tail}" if tail else "")] = where
        return
    source.problems.append(
        Problem(
            path=place,
            message=f"Section {section!r} appears twice with different shapes.",
            remedy="Keep one.",
        )
    )
