"""Who is accountable for an incident at every instant: a pure reading of the custody ledger.

The ledger is a list of offers. An incident begins with its home desk; an accepted offer moves it to the taker, a
return moves it back to the giver. Nothing else moves it: an offer that nobody answered leaves it where it is, so
there is never a moment without exactly one accountable party.

Worked example: home `service-desk`, opened at 0; offered to `vendor` at 10, accepted at 15, returned at 40.
`service-desk` holds it 0-15 and from 40 on, `vendor` 15-40.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.kernel.instant import Instant

Interval = tuple[str, Instant, Instant]
"""(party, from, to): from is inside, to is not."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One offer as the ledger knows it; instants are None where that has not happened."""

    id: str
    giver: str
    taker: str
    state: str
    offered_at: Instant
    answered_at: Instant | None = None
    returned_at: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Who may forward to whom, what travels, and within how many microseconds it must be accepted."""

    name: str
    givers: tuple[str, ...]
    takers: tuple[str, ...]
    carries: tuple[str, ...]
    requires: tuple[str, ...] = ()
    accept_within: int = 0
    path: str = ""


def moves(home: str, opened_at: Instant, lines: Sequence[Line]) -> list[tuple[Instant, str]]:
    """Return (instant, who holds it from then on), oldest first; it begins with the home desk."""
    found: list[tuple[Instant, str]] = []
    for line in lines:
        if line.state in {"accepted", "returned"} and line.answered_at is not None:
            found.append((line.answered_at, line.taker))
            if line.returned_at is not None:
                found.append((line.returned_at, line.giver))
    return [(opened_at, home), *sorted(found, key=lambda each: each[0])]


def holder_at(moved: Sequence[tuple[Instant, str]], at: Instant) -> str:
    """Return the one accountable party at an instant; "" before the incident was opened."""
    held = ""
    for since, party in moved:
        if since > at:
            break
        held = party
    return held


def intervals(moved: Sequence[tuple[Instant, str]], until: Instant) -> list[Interval]:
    """Return who held it from when to when, without gap or overlap, from the opening to `until`."""
    found: list[Interval] = []
    for place, (since, party) in enumerate(moved):
        ends = moved[place + 1][0] if place + 1 < len(moved) else until
        ends = min(ends, until)
        if ends <= since:
            continue
        if found and found[-1][0] == party:
            found[-1] = (party, found[-1][1], ends)
        else:
            found.append((party, since, ends))
    return found


def held_for(found: Sequence[Interval]) -> dict[str, int]:
    """Return microseconds per party; their sum is the time that has passed since the opening."""
    totals: dict[str, int] = {}
    for party, since, until in found:
        totals[party] = totals.get(party, 0) + until - since
    return totals


def next_instant(moved: Sequence[tuple[Instant, str]], now: Instant) -> Instant:
    """Return an instant for the next move: never at or before the last one, whatever clocks do."""
    return Instant(max(now, moved[-1][0] + 1))


def contract_for(contracts: Sequence[Contract], giver: str, taker: str) -> Contract:
    """Return the contract under which `giver` may forward to `taker`, or refuse and say what may be done."""
    for each in contracts:
        if giver in each.givers and taker in each.takers:
            return each
    possible = sorted({taker for each in contracts if giver in each.givers for taker in each.takers})
    raise Rejected(
        f"No contract lets {giver} forward to {taker}.",
        remedy=f"{giver} may forward to: {', '.join(possible)}."
        if possible
        else "Declare a contract in `forwarding` of the blueprint.",
    )


def check_offer(
    *,
    holder: str,
    giver: str,
    taker: str,
    open_offer: Line | None,
    contract: Contract,
    given: Mapping[str, object],
) -> None:
    """Refuse an offer by somebody who does not hold it, a second open one, and one that lacks required facts."""
    if holder != giver:
        raise Conflict(f"{holder} holds this incident, not {giver}.", remedy=f"Ask {holder} to forward it.")
    if taker == giver:
        raise Conflict(f"{giver} holds this incident already.", remedy="Choose another desk.")
    if open_offer is not None:
        raise Conflict(
            f"It is offered to {open_offer.taker} already.",
            remedy="Withdraw that offer first, or wait for its answer.",
        )
    missing = [name for name in contract.requires if not given.get(name)]
    if missing:
        raise Conflict(
            f"The contract {contract.name} asks for {' and '.join(name.replace('_', ' ') for name in missing)}.",
            remedy="Write it on the incident, then forward.",
        )


def check_answer(line: Line) -> None:
    """Refuse an answer to an offer that is not open any more."""
    if line.state != "offered":
        raise Conflict(f"This offer is {line.state} already.", remedy="Look at the ledger again.")


def check_return(line: Line, *, holder: str, open_offer: Line | None) -> None:
    """Refuse a hand-back by somebody who does not hold it, or who has offered it on."""
    if line.state != "accepted" or holder != line.taker:
        raise Conflict(
            f"{line.taker} does not hold this incident; {holder} does.", remedy="Look at the ledger again."
        )
    if open_offer is not None:
        raise Conflict(
            f"It is offered to {open_offer.taker}.", remedy="Withdraw that offer before you hand it back."
        )


def orphaned(*, holder: str, home: str, case_open: bool, holder_open: bool) -> str:
    """Return why nobody takes care of an incident although its ledger names a holder; "" if somebody does."""
    if holder == home:
        return ""
    if not case_open and holder_open:
        return f"It is closed here while {holder} still holds it."
    if not case_open and not holder_open:
        return f"It is closed on both sides, and {holder} never handed it back."
    if not holder_open:
        return f"{holder} closed its own incident while it holds this one."
    return ""
