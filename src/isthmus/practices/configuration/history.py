"""The map as it was: built from the entries of relations, on either time axis."""

from __future__ import annotations

from collections.abc import Iterator

from isthmus.kernel.graph import Edge, EdgeFact, Graph, as_of
from isthmus.kernel.instant import Instant
from isthmus.ledger.body import decode_body
from isthmus.ledger.models import Entry
from isthmus.practices.configuration.models import Relation

_AT_ONCE = 900


def graph_as_of(organisation: str, *, occurred: Instant, recorded: Instant | None = None) -> Graph:
    """Return the graph that held at `occurred`; `recorded` limits it to what the hub knew by then."""
    return as_of(_facts(organisation, recorded), occurred)


def _facts(organisation: str, recorded: Instant | None) -> Iterator[EdgeFact]:
    edited: dict[str, Edge] = {}
    rows = Relation.objects.filter(organisation=organisation).values_list(
        "id", "source_ci", "target_ci", "type", "version", "occurred_at", "created_at"
    )
    for record, source, target, kind, version, occurred_at, created_at in rows.iterator(5000):
        edge = Edge(source, target, kind)
        if version > 1:
            edited[record] = edge
        elif recorded is None or created_at <= recorded:
            # Never edited since it was made: the row says all that its one entry says.
            yield EdgeFact(edge=edge, at=Instant(occurred_at), present=True)
    wanted = sorted(edited)
    for start in range(0, len(wanted), _AT_ONCE):
        entries = Entry.objects.filter(record__in=wanted[start : start + _AT_ONCE])
        if recorded is not None:
            entries = entries.filter(recorded_at__lte=recorded)
        for entry in entries.order_by("record", "version"):
            change = decode_body(bytes(entry.body)).changes.get("state")
            if change is not None:
                yield EdgeFact(
                    edge=edited[entry.record], at=Instant(entry.occurred_at), present=change[1] == "live"
                )
