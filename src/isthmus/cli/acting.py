"""Acts that are one request: made, and said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.cli.client import Hub
from isthmus.cli.output import Exit, console, emit_json, fail


def say(found: Any, text: str, *, as_json: bool) -> None:
    """Print what was done in a sentence, or the hub's answer as JSON."""
    if as_json:
        emit_json(found)
    else:
        console.print(text, markup=False, soft_wrap=True)


def send(method: str, path: str, body: object, said: str, *, as_json: bool) -> None:
    """Ask the hub to act; print `said`, or the answer as JSON."""
    say(Hub(as_json=as_json).call(method, path, body), said, as_json=as_json)


def post(path: str, body: object, said: str, *, as_json: bool) -> None:
    """Ask the hub to act by POST; print `said`, or the answer as JSON."""
    send("POST", path, body, said, as_json=as_json)


def changes(given: Mapping[str, Any], *, as_json: bool) -> dict[str, Any]:
    """Return what is to change: None leaves a field as it is, and to change nothing at all is a mistake."""
    found = {name: value for name, value in given.items() if value is not None}
    if not found:
        fail("Say what to change.", remedy="--help names what can be.", code=Exit.USAGE, as_json=as_json)
    return found


def whole(given: Sequence[str]) -> list[str] | None:
    """Return the whole list that a repeated option says: None if it is not given, an empty one for ''."""
    return [each for each in given if each] if given else None
