"""Rules that say what a JSON body means, written in a connection's own configuration: checked when it is saved.

`ruling.py` applies them. Connectors of senders that are known only to whoever configures them (the generic
webhook, CloudEvents) share both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct

from isthmus.kernel.errors import Rejected
from isthmus.kernel.expression import Program
from isthmus.kernel.expression import compile as compile_expression
from isthmus.kernel.kinds import KINDS

Kind = Literal["alert", "ci"]
"""No tickets: one is kept in step by looking at it again, and a sender that only posts cannot be looked at."""
Expression = Annotated[str, Meta(max_length=4_000)]
VARIABLES = {"body": "json", "item": "json", "headers": "labels"}


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one type of body means.

    An expression is a JSON Pointer if it starts with "/" (into the item), else CEL over `body`, `item` and
    `headers`. `items`: a pointer into the body to a list (empty: the body is the only item).
    """

    kind: Annotated[
        Kind,
        Meta(
            description="The record kind that the body speaks of. A ticket cannot come from a sender that only posts, as it "
            "could never be looked at again: send it as an alert, which opens an incident by the rules, or connect the "
            "system itself."
        ),
    ]
    key: Annotated[Expression, Meta(description="The sender's stable key of the thing, e.g. /id.")]
    fields: Annotated[dict[str, Expression], Meta(description="Canonical field → expression.", min_length=1)]
    when: Annotated[Expression, Meta(description="Only items for which this CEL condition holds.")] = ""
    items: Annotated[str, Meta(description="Pointer to the list of items; empty: the body itself.")] = ""
    event_id: Annotated[Expression, Meta(description="What identifies the event, e.g. /delivery.")] = ""
    occurred_at: Annotated[Expression, Meta(description="When it happened at the sender, e.g. /time.")] = ""
    tables: Annotated[
        dict[str, dict[str, str]], Meta(description="Field → the sender's value → ours; others stay unknown.")
    ] = {}

    def __post_init__(self) -> None:
        known = KINDS[self.kind].by_name
        for name in (*self.fields, *self.tables):
            if name not in known:
                raise ValueError(f"{self.kind} has no field {name!r}; known are {', '.join(known)}")
        if self.items and not self.items.startswith("/"):
            raise ValueError("items must be a JSON Pointer, such as /alerts")
        for where, text in self.expressions():
            try:
                program(text)
            except Rejected as cause:
                raise ValueError(f"{where}: {cause}") from cause

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Yield (place, text) of every CEL expression."""
        named = {
            "key": self.key,
            "when": self.when,
            "event_id": self.event_id,
            "occurred_at": self.occurred_at,
        }
        for where, text in (*named.items(), *self.fields.items()):
            if text and not text.startswith("/"):
                yield where, text


def program(text: str) -> Program:
    """Return the compiled program of an expression; the same text compiles once."""
    return compile_expression(text, VARIABLES)
