"""The door's refusals as `application/problem+json`, in the shape that the whole API uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from isthmus.kernel.errors import Problem

_TYPES = "https://isthmus.dev/problems/"
_TITLES = {
    400: "The request cannot be read", 401: "Who are you?", 403: "Not allowed", 404: "Not found",
    405: "Not possible here", 413: "Too large", 415: "Wrong content type", 422: "Not accepted",
    503: "Not possible right now",
}  # fmt: skip
PROBLEMS_MAX = 20


def encode(
    status: int,
    slug: str,
    detail: str,
    *,
    remedy: str = "",
    trace: str = "",
    problems: Sequence[Problem] = (),
) -> bytes:
    """Return the body of one refusal; `problems` name places in the sender's body by JSON Pointer."""
    body: dict[str, Any] = {
        "type": _TYPES + slug,
        "title": _TITLES.get(status, "Not accepted"),
        "status": status,
        "detail": detail,
        "remedy": remedy,
        "errors": [
            {"pointer": each.path, "message": each.message, "remedy": each.remedy}
            for each in problems[:PROBLEMS_MAX]
        ],
        "trace": trace,
    }
    return msgspec.json.encode(body)
