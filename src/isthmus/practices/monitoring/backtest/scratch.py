"""The scratch installation of the child: empty tables, its own keys, the map, the windows, the silences, the rules."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.core.management import call_command
from django.db import connection

from isthmus.blueprint import plan as planning
from isthmus.blueprint import running
from isthmus.blueprint.models import Generation
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import ids, schema
from isthmus.ledger.door import perform
from isthmus.ledger.models import Organisation
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules.content import content_hash
from isthmus.practices.configuration.models import Ci, Relation
from isthmus.practices.monitoring.backtest.shapes import Handover, Row
from isthmus.practices.monitoring.models import AutomationMode, Silence

MODELS: Final[dict[str, type[RecordModel]]] = {
    "ci": Ci,
    "ci_relation": Relation,
    "change": Change,
    "silence": Silence,
    "automation_mode": AutomationMode,
}
AT_ONCE: Final = 1_000
_WHY = [Reason(rule="backtest.copied", text="Copied for a back-test.")]


class Clock:
    """The child's clock: it stands where the replay is, and moves a microsecond with every look."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._ticks = itertools.count()
        ids.source.now = self._now  # type: ignore[method-assign]

    def _now(self) -> Instant:
        return Instant(self._at + next(self._ticks))

    def forward(self, to: int) -> None:
        """Move to an instant; a clock never goes back."""
        ahead = to - self._now()
        if ahead > 0:
            self._at += ahead


def hurry() -> None:
    """Have the store wait for no disk: what is lost with a scratch book is not missed."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")


def commit(act: Callable[[Work], Any]) -> None:
    """Commit `act` as the child's own doing."""
    perform(act, actor=system("backtest"), origin=Origin(channel="hub"))


def prepare(given: Handover, clock: Clock) -> None:
    """Make the book and copy into it what decisions ask for."""
    hurry()
    call_command("migrate", verbosity=0)
    clock.forward(given.since - SECOND)

    def organisation(work: Work) -> None:
        values = {"name": "Back-test", "parent": "", "state": "active"}
        work.create(
            Organisation,
            organisation=given.organisation,
            record_id=given.organisation,
            values=values,
            why=_WHY,
        )
        schema.publish(work, given.organisation)

    commit(organisation)
    for first in range(0, len(given.rows), AT_ONCE):
        commit(lambda work, first=first: _copy(work, given.organisation, given.rows[first : first + AT_ONCE]))  # type: ignore[misc]


def _copy(work: Work, organisation: str, rows: Sequence[Row]) -> None:
    for row in rows:
        values = row.values
        if row.kind == "change":
            # The approval stands for what was copied: without its sealed texts the content has another hash.
            values = {**values, "content_hash": content_hash(values)}
        work.create(MODELS[row.kind], organisation=organisation, record_id=row.id, values=values, why=_WHY)


def put_in_force(organisation: str, sections: dict[str, Any]) -> None:
    """Make these sections the blueprint. They were checked where all the others are known, not here."""
    content = planning.content_of(sections)
    values = {
        "sequence": 1,
        "content_hash": planning.hash_of(content),
        "content": content,
        "state": "applied",
    }
    commit(lambda work: work.create(Generation, organisation=organisation, values=values, why=_WHY))
    running.forget()
