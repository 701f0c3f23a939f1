"""The bytes of an entry: format 1.

Fields stand in alphabetical order and every nested object is sorted, so the encoding is canonical JSON.
A published format: `docs/reference/book-format.md` describes it for independent verifiers. New facts are a
new `format`; bytes are never rewritten.
"""

from __future__ import annotations

from typing import Any

import msgspec

FORMAT = 1


class Body(msgspec.Struct):
    """Everything that one entry says.

    `changes`: field → [old, new]; sealed values are the base64 of the envelope that the projection stores.
    `inputs`: [record, version] pairs that the decision read. `occurred_at` is the source's time in
    microseconds, `zone` how the source wrote its offset, `assumed_error` how far off (microseconds) its clock
    may be; `recorded_at` is the hub's time.
    """

    actor: str
    actor_kind: str
    assumed_error: int
    cause: str
    changes: dict[str, list[Any]]
    channel: str
    connection: str
    format: int
    generation: int
    inputs: list[list[str | int]]
    kind: str
    occurred_at: int
    organisation: str
    record: str
    recorded_at: int
    synthetic: bool
    trace: str
    version: int
    versions: dict[str, str]
    why: list[dict[str, Any]]
    zone: str


decode_body = msgspec.json.Decoder(Body).decode
"""Return the `Body` of an entry's bytes."""
