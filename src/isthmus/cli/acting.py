"""Acts that are one request: made, and said in one sentence."""

from __future__ import annotations

from isthmus.cli.client import Hub
from isthmus.cli.output import console, emit_json


def post(path: str, body: object, said: str, *, as_json: bool) -> None:
    """Ask the hub to act; print `said`, or the answer as JSON."""
    found = Hub(as_json=as_json).call("POST", path, body)
    if as_json:
        emit_json(found)
    else:
        console.print(said, markup=False)
