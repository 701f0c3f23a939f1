"""Versions over HTTP: `ETag` on answers, `If-Match` on writes."""

from __future__ import annotations

from typing import Protocol

from django.http import HttpRequest, HttpResponse

from isthmus.hub.http.problems import PreconditionFailed


class Versioned(Protocol):
    id: str
    version: int


def tag(record: Versioned) -> str:
    """Return the entity tag of a record's version, e.g. `"01J…-7"` (with its quotes)."""
    return f'"{record.id}-{record.version}"'


def stamp(response: HttpResponse, record: Versioned) -> None:
    response["ETag"] = tag(record)


def expect(request: HttpRequest, record: Versioned) -> None:
    """Raise `PreconditionFailed` (412) if the caller named another version; naming none is allowed."""
    given = request.headers.get("If-Match", "").strip()
    if not given or given == "*":
        return
    if tag(record) not in {each.strip() for each in given.split(",")}:
        raise PreconditionFailed(
            f"The record is at version {record.version} now.", remedy="Read it again and repeat your change."
        )
