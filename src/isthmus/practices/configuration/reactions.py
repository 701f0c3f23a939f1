"""What configuration does when a source shows items and relations: import them, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from isthmus.hub import observing
from isthmus.hub.observing import Outcome, Seen, What, outcome
from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.configuration.desk import RowResult
from isthmus.practices.configuration.importing import ROWS_MAX, import_rows

_WHAT: dict[str, What] = {
    "accepted": "entry",
    "unchanged": "repeat",
    "parked": "parked",
    "rejected": "ignored",
}
"""A rejected row is not parked: its source must correct it, and will send it again. The reason is kept."""


def react(work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
    """Take the items or relations of one batch into the map of their organisation."""
    del now
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, seen in enumerate(seens):
        places[seen.organisation, seen.connection].append(place)
    found: dict[int, Outcome] = {}
    for (organisation, connection), indexes in places.items():
        for start in range(0, len(indexes), ROWS_MAX):
            part = indexes[start : start + ROWS_MAX]
            report = import_rows(
                work, [_row(seens[each]) for each in part], organisation=organisation, source=connection
            )
            for place, result in zip(part, report.results, strict=True):
                found[place] = _outcome(seens[place], result)
    return [found[place] for place in range(len(seens))]


def _row(seen: Seen) -> dict[str, Any]:
    observation = seen.observation
    row: dict[str, Any] = {**observation.values, "kind": observation.kind}
    if observation.kind == "ci" and observation.deleted:
        row["state"] = "retired"
    elif observation.deleted:
        row["state"] = "removed"
    return row


def _outcome(seen: Seen, result: RowResult) -> Outcome:
    reason = " ".join(f"{each.path}: {each.message} {each.remedy}".strip() for each in result.problems)
    return outcome(seen, _WHAT[result.what], reason=reason, records=[result.record] if result.record else [])


def declare() -> None:
    """Register the reactions; called once from `ready`."""
    observing.register("ci", react)
    observing.register("ci_relation", react)
