"""Counting anew: when the blueprint's promises or calendars change, or somebody asks for it.

Every open record of a kind is folded again from its history, some at a time, so nothing else waits. Ended
clocks keep the verdict of the rules under which they ended.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from isthmus import blueprint
from isthmus.blueprint.models import Generation
from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.schema import models_by_kind
from isthmus.ledger.work import Work
from isthmus.practices.service_level import definitions, keeping

RECALCULATE: Final = "sla.recalculate"
AT_ONCE: Final = 100
SETTLE: Final = 2 * SECOND
"""Every process has read the new generation by then."""
SECTIONS: Final = ("service_levels", "calendars")
FINISHED: Final = ("resolved", "closed", "cancelled", "stopped", "shown", "decided", "retired", "removed")
"""States after which nothing is promised any more, of whatever kind."""


def after_apply(work: Work) -> None:
    """When a blueprint is applied that changes promises or calendars: count every open clock anew."""
    applied = next(
        (
            each
            for each in work.created_or_changed()
            if isinstance(each, Generation) and each.state == "applied"
        ),
        None,
    )
    if applied is None:
        return
    new = msgspec.json.decode(applied.content) if applied.content else {}
    old = blueprint.current(fresh=True).plain or {}
    if _about_promises(old) != _about_promises(new):
        text = f"generation {applied.sequence} of the blueprint changed promises or calendars"
        begin(work, applied.organisation, because=text, at=Instant(work.now + SETTLE))


def _about_promises(plain: dict[str, Any]) -> Any:
    return [plain.get(name) for name in SECTIONS], (plain.get("incident") or {}).get("targets")


def begin(work: Work, organisation: str, *, because: str, at: Instant | None = None) -> None:
    """Have the open records of every kind with promises folded anew, beginning at `at`."""
    due.schedule(
        work, RECALCULATE, "all", at or work.now, organisation=organisation,
        payload={"kind": "", "after": "", "because": because[:500]},
    )  # fmt: skip


def on_due(work: Work, row: Due, now: Instant) -> None:
    """Fold the next records; the rest follows at once."""
    del now
    asked: dict[str, Any] = row.payload if isinstance(row.payload, dict) else {}
    known = definitions.current()
    kinds = [each for each in sorted(known.kinds()) if each >= str(asked.get("kind", ""))]
    if not kinds:
        return
    kind, after = kinds[0], str(asked.get("after", "")) if kinds[0] == asked.get("kind") else ""
    model = models_by_kind()[kind]
    rows: Any = model.objects.filter(id__gt=after).order_by("id")
    if not _installation_wide(row.organisation):
        rows = rows.filter(organisation=row.organisation)
    if any(each.name == "state" for each in model._meta.fields):  # noqa: SLF001 - Django's documented API
        rows = rows.exclude(state__in=FINISHED)
    records = list(rows[:AT_ONCE])
    if records:
        keeping.recount(work, records, known, because=str(asked.get("because", "")))
    if len(records) == AT_ONCE:
        _go_on(work, row, kind, records[-1].id)
    elif len(kinds) > 1:
        _go_on(work, row, kinds[1], "")


def _go_on(work: Work, row: Due, kind: str, after: str) -> None:
    asked: dict[str, Any] = row.payload if isinstance(row.payload, dict) else {}
    payload = {**asked, "kind": kind, "after": after}
    due.schedule(work, RECALCULATE, row.subject, work.now, organisation=row.organisation, payload=payload)


def _installation_wide(organisation: str) -> bool:
    from isthmus.ledger import organisations

    return organisation == organisations.root()
