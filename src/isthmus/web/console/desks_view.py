"""What pages show about the desks of an incident: who holds it, what is offered, what may be done by this reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from isthmus.identity import people
from isthmus.kernel.actor import Actor
from isthmus.kernel.instant import Instant
from isthmus.practices.incident import (
    custody,
    custody_api,
    desks,
    escalating,
    hooks,
    ledger,
    major,
    merging,
    reviewing,
)
from isthmus.practices.incident.desk_shapes import ledger_out
from isthmus.practices.incident.models import Incident, Wait
from isthmus.practices.incident.rules import custody as rules
from isthmus.practices.incident.rules import trigger
from isthmus.practices.incident.waits import OPEN
from isthmus.web import records

WAITS_MAX: Final = 50


@dataclass(frozen=True, kw_only=True)
class Held:
    """Who is accountable, since when, for how long each party was, and which offer this reader may answer."""

    holder: str
    since: Instant
    shares: list[tuple[str, int]]
    offers: list[dict[str, Any]]
    takers: list[str]
    answerable: str = ""
    withdrawable: str = ""
    returnable: str = ""
    orphan: bool = False


def held(incident: Incident, actor: Actor, now: Instant) -> Held:
    """Return the custody of an incident as one reader sees it."""
    found = ledger.of(incident)
    shown = ledger_out(found, custody_api.mine(found), now)
    moves = found.moves
    open_offer, current = found.offered, found.held

    def mine(desk: str, organisation: str) -> bool:
        return desks.acts_for(actor, desk, organisation)

    may_offer = open_offer is None and ledger.works_here(incident, found, found.holder)
    takers = (
        sorted({desk for each in custody.contracts() if found.holder in each.givers for desk in each.takers})
        if may_offer and mine(found.holder, incident.organisation)
        else []
    )
    orphan = current is not None and current.orphaned_at is not None
    return Held(
        holder=found.holder,
        since=moves[-1][0],
        shares=sorted(rules.held_for(found.intervals(now)).items(), key=lambda each: -each[1]),
        offers=shown["offers"],
        takers=takers,
        answerable=open_offer.id
        if open_offer is not None and mine(open_offer.taker, open_offer.receiver)
        else "",
        withdrawable=open_offer.id
        if open_offer is not None and mine(open_offer.giver, open_offer.organisation)
        else "",
        returnable=current.id
        if current is not None
        and open_offer is None
        and (mine(current.taker, current.receiver) or (orphan and mine(current.giver, current.organisation)))
        else "",
        orphan=orphan,
    )


@dataclass(frozen=True, kw_only=True)
class Room:
    """The procedure of a major incident: triggers by owner, parts, refused triggers. `enforced`: somebody is known
    to belong to one of the owners, so that others can be refused."""

    procedure: Any
    triggers: list[tuple[str, str, str, bool]]
    people: list[tuple[str, str]]
    asked: list[Any]
    names: dict[str, str]
    enforced: bool


def room(incident: Incident, actor: Actor) -> Room | None:
    """Return the procedure of an incident, None if it never was a major one."""
    procedure = major.latest(incident)
    if procedure is None:
        return None
    table = procedure.triggers or {}
    asked = [each for each in major.handovers(incident) if each.state == "offered"]
    return Room(
        procedure=procedure,
        triggers=[
            (
                name,
                words,
                table.get(name, procedure.owner),
                _mine(actor, table.get(name, procedure.owner), incident),
            )
            for name, words in trigger.TRIGGERS.items()
        ],
        people=[(name, (procedure.people or {}).get(name, "")) for name in major.PARTS],
        asked=asked,
        names=people.labels(each.asked_by for each in asked),
        enforced=any(desks.closed(each) for each in {procedure.owner, *table.values()}),
    )


def _mine(actor: Actor, desk: str, incident: Incident) -> bool:
    return desks.closed(desk) and desks.acts_for(actor, desk, incident.organisation)


def waits_of(incident: Incident) -> list[Wait]:
    """Return what an incident waits for, the oldest first."""
    return list(records.of("wait").filter(record=incident.id, state__in=OPEN).order_by("since")[:WAITS_MAX])


def _offered(known: Sequence[hooks.KnownError]) -> str:
    """Return the workaround of the known error that was confirmed, as notes of a resolution to begin with."""
    found = next((each for each in known if each.verdict == "confirmed" and each.workaround), None)
    return f"Known error {found.number}: {found.workaround}" if found is not None else ""


def context(incident: Incident, actor: Actor, now: Instant) -> dict[str, Any]:
    """Return what the page of an incident shows of its desks."""
    merges = merging.merges_of(incident)
    known = hooks.known_errors(incident)
    others = {each.record for each in merges} | {each.other for each in merges} | {incident.merged_into}
    return {
        "hold": held(incident, actor, now),
        "room": room(incident, actor),
        "waits": waits_of(incident),
        "known_errors": known,
        "offered_notes": _offered(known),
        "problem": records.of("problem").filter(id=incident.problem).first() if incident.problem else None,
        "path": escalating.path(incident),
        "review": reviewing.of(incident),
        "merges": merges,
        "merged_with": records.by_ids("incident", others - {incident.id}),
    }
