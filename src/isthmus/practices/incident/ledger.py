"""The custody ledger of a case, as the store and the Work hold it: whoever asks, from either side, reads the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from isthmus import blueprint
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import Instant
from isthmus.ledger import scope
from isthmus.ledger.work import Work
from isthmus.practices.incident import desks
from isthmus.practices.incident.models import Custody, Incident
from isthmus.practices.incident.rules import custody as rules

WHY = "the custody ledger is one for all desks of a case"
LINES_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Every offer of one case, oldest first. `case`: the incident with which it began."""

    case: Incident
    home: str
    rows: tuple[Custody, ...] = ()

    @property
    def lines(self) -> list[rules.Line]:
        return [line_of(each) for each in self.rows]

    @property
    def moves(self) -> list[tuple[Instant, str]]:
        opened = Instant(self.case.opened_at or self.case.created_at)
        return rules.moves(self.home, opened, self.lines)

    @property
    def holder(self) -> str:
        return self.moves[-1][1]

    @property
    def offered(self) -> Custody | None:
        """Return the offer that nobody has answered."""
        return next((each for each in self.rows if each.state == "offered"), None)

    @property
    def held(self) -> Custody | None:
        """Return the offer under which the holder holds it, None for the home desk."""
        accepted = [each for each in self.rows if each.state == "accepted"]
        return max(accepted, key=lambda each: each.answered_at or 0) if accepted else None

    def intervals(self, now: Instant) -> list[rules.Interval]:
        """Return who held it from when to when: until it was closed, or until now."""
        return rules.intervals(self.moves, Instant(self.case.closed_at or now))


def line_of(row: Custody) -> rules.Line:
    """Return a row as the rules read it."""
    return rules.Line(
        id=row.id,
        giver=row.giver,
        taker=row.taker,
        state=row.state,
        offered_at=Instant(row.offered_at or row.created_at),
        answered_at=None if row.answered_at is None else Instant(row.answered_at),
        returned_at=None if row.returned_at is None else Instant(row.returned_at),
    )


def forwards() -> bool:
    """Return whether any contract is declared: without one, no incident ever leaves its home desk."""
    return bool(blueprint.current().section("forwarding").contracts)


def of(incident: Incident, work: Work | None = None) -> Ledger:
    """Return the ledger of the case that an incident belongs to."""
    with scope.everywhere(WHY):
        joined = Custody.objects.filter(counterpart=incident.id).order_by("id").first()
        case_id = joined.case if joined is not None else incident.id
        found = {each.id: each for each in Custody.objects.filter(case=case_id).order_by("id")[:LINES_MAX]}
        case = incident if case_id == incident.id else Incident.objects.filter(id=case_id).first()
    for pending in work.pending.values() if work is not None else ():
        held = pending.record
        if isinstance(held, Custody) and held.case == case_id:
            found[held.id] = held
        elif isinstance(held, Incident) and held.id == case_id:
            case = held
    rows = tuple(found[each] for each in sorted(found))
    home = rows[0].giver if rows else blueprint.current().section("forwarding").home
    return Ledger(case=case or incident, home=home, rows=rows)


def offer(custody_id: str, work: Work | None = None) -> Custody:
    """Return an offer that the open scope may see, as its giver's or its taker's; `NotFound` otherwise."""
    if work is not None and custody_id in work.pending:
        held = work.pending[custody_id].record
        if isinstance(held, Custody):
            return held
    seen = scope.current()
    with scope.everywhere(WHY):
        found: Custody | None = Custody.objects.filter(id=custody_id).first()
    if found is None or (seen is not None and not seen & {found.organisation, found.receiver}):
        raise NotFound(f"There is no offer {custody_id}.", remedy="List the offers.")
    return found


def offers() -> Any:
    """Return the rows that the open scope may see, as giver or as taker; open a scope over all to read them."""
    seen = scope.current()
    with scope.everywhere(WHY):
        rows = Custody.objects.all()
    return rows if seen is None else rows.filter(Q(organisation__in=seen) | Q(receiver__in=seen))


def incident_of(work: Work, incident_id: str) -> Incident | None:
    """Return an incident of either side, as the Work holds it."""
    pending = work.pending.get(incident_id)
    if pending is not None and isinstance(pending.record, Incident):
        return pending.record
    with scope.everywhere(WHY):
        found: Incident | None = Incident.objects.filter(id=incident_id).first()
    return found


def works_here(incident: Incident, ledger: Ledger, desk: str) -> bool:
    """Return whether a desk works on this very incident, not on one of its own elsewhere."""
    spec = desks.declared().get(desk)
    if spec is not None and spec.connection:
        return False
    return (desks.organisation_of(desk) or ledger.case.organisation) == incident.organisation
