"""Wild values: payloads of others that can only be indexed and tamed.

A `Wild` cannot be compared, printed or iterated by accident. `wild["alerts"][0]["labels"].tame(texts)` either
returns a value of the expected type or raises `Rejected` naming the JSON Pointer that was wrong. The value
itself never appears in the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant, from_rfc3339

T = TypeVar("T")
Tamer = Callable[["Wild"], T]
_MISSING = object()
_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class Wild:
    """A value from outside, with the path at which it stands."""

    __slots__ = ("_path", "_value")

    def __init__(self, value: Any, path: str = "") -> None:
        self._value = value
        self._path = path

    def __getitem__(self, key: str | int) -> Wild:
        if isinstance(key, str):
            if not isinstance(self._value, dict):
                self.refuse("must be an object")
            return Wild(self._value.get(key, _MISSING), f"{self._path}/{_escape(key)}")
        if not isinstance(self._value, list):
            self.refuse("must be a list")
        inside = -len(self._value) <= key < len(self._value)
        return Wild(self._value[key] if inside else _MISSING, f"{self._path}/{key}")

    def tame(self, tamer: Tamer[T]) -> T:
        """Return the value in the shape that `tamer` demands."""
        return tamer(self)

    def items(self) -> Iterator[Wild]:
        """Yield the elements of a list, each with its own path."""
        if not isinstance(self._value, list):
            self.refuse("must be a list")
        for index, each in enumerate(self._value):
            yield Wild(each, f"{self._path}/{index}")

    def names(self) -> list[str]:
        """Return the names of an object's members."""
        if not isinstance(self._value, dict):
            self.refuse("must be an object")
        return [str(each) for each in self._value]

    @property
    def missing(self) -> bool:
        """Return whether there is nothing here (absent or null)."""
        return self._value is _MISSING or self._value is None

    @property
    def path(self) -> str:
        """Return the JSON Pointer of this value."""
        return self._path

    def value(self, kind: type[T]) -> T:
        """Return the raw value if it is exactly a `kind` (true is no whole number)."""
        if type(self._value) is not kind:
            self.refuse(f"must be {_NAMES.get(kind, kind.__name__)}")
        return self._value

    def raw(self) -> Any:
        """Return the untouched value, for keeping it as unknown; None if there is none."""
        return None if self._value is _MISSING else self._value

    def refuse(self, message: str, remedy: str = "") -> NoReturn:
        """Raise `Rejected` about this place: `message` completes the sentence "<path> …"."""
        said = "is missing" if self._value is _MISSING else message
        raise Rejected(
            f"{self._path or 'The body'} {said}.",
            remedy=remedy,
            problems=(Problem(path=self._path, message=said, remedy=remedy),),
        )

    def __repr__(self) -> str:
        return f"<wild at {self._path or '/'}>"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("A wild value cannot be compared: tame it first.")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise TypeError("A wild value has no truth: tame it first.")

    def __iter__(self) -> NoReturn:
        raise TypeError("A wild value cannot be iterated: use items().")


def from_json(body: bytes, *, depth_max: int = 60) -> Wild:
    """Return the wild value of a JSON body; `Rejected` at the root if it is not JSON."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise not_json(cause) from cause
    if _depth(value, depth_max) > depth_max:
        Wild(value).refuse(f"is nested deeper than {depth_max} levels")
    return Wild(value)


def not_json(cause: Exception) -> Rejected:
    """Return the refusal of a body that is not JSON; the position is named, the content is not."""
    where = str(cause).rpartition("(byte ")[2].rstrip(")") if "(byte " in str(cause) else ""
    message = f"is not JSON (at byte {where})" if where else "is not JSON"
    remedy = "Send UTF-8 encoded JSON."
    return Rejected(
        f"The body {message}.", remedy=remedy, problems=(Problem(path="", message=message, remedy=remedy),)
    )


def text(wild: Wild) -> str:
    """Tame a text."""
    return wild.value(str)


def named(wild: Wild) -> str:
    """Tame a text that is not blank."""
    found = wild.value(str)
    if not found.strip():
        wild.refuse("must not be blank")
    return found


def integer(wild: Wild) -> int:
    """Tame a whole number."""
    return wild.value(int)


def boolean(wild: Wild) -> bool:
    """Tame true or false."""
    return wild.value(bool)


def texts(wild: Wild) -> dict[str, str]:
    """Tame an object whose members are all texts."""
    return {name: wild[name].tame(text) for name in wild.names()}


def moment(wild: Wild) -> Instant:
    """Tame an RFC 3339 time with a zone."""
    try:
        return from_rfc3339(wild.value(str))
    except Rejected:
        wild.refuse("must be an RFC 3339 time with a zone", "Write it like 2026-11-20T15:02:00Z.")


def scalar(wild: Wild) -> str:
    """Tame a text or a whole number to text (keys that some partners send as either)."""
    raw = wild.raw()
    return str(raw) if type(raw) is int else wild.value(str)


def optional(tamer: Tamer[T], default: T) -> Tamer[T]:
    """Return a tamer that takes `default` where there is nothing."""
    return lambda wild: default if wild.missing else tamer(wild)


def one_of(*allowed: str) -> Tamer[str]:
    """Return a tamer for a text out of a closed list."""

    def tame(wild: Wild) -> str:
        found = wild.value(str)
        if found not in allowed:
            wild.refuse(f"must be one of {', '.join(allowed)}")
        return found

    return tame


def each(tamer: Tamer[T]) -> Tamer[list[T]]:
    """Return a tamer for a list of what `tamer` tames."""
    return lambda wild: [tamer(item) for item in wild.items()]


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _depth(value: Any, limit: int) -> int:
    level, depth = [value], 0
    while level and depth <= limit:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth
