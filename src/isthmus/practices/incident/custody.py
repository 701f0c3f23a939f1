"""Forwarding between desks: offer, accept, reject, withdraw, hand back. One party is accountable at every instant.

A desk of the same organisation works on the same incident. A desk in another organisation gets an incident of its
own, a desk in a connected system gets a ticket there: each desk has exactly one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus import blueprint
from isthmus.hub import due
from isthmus.hub.sync import service as sync
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.duration import in_words
from isthmus.kernel.errors import Conflict, Forbidden, Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.incident import desk_blueprint, desks, dossier, ledger, major, opening, waits
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.ledger import Ledger
from isthmus.practices.incident.models import Custody, Incident, Wait
from isthmus.practices.incident.rules import custody as rules
from isthmus.practices.incident.rules import states
from isthmus.practices.incident.rules.mirroring import STATE
from isthmus.practices.service_level.service import Custody as Span

WORKFLOW = "custody_offer"
MIRROR = "incident.forward"
TEXT_MAX = 2_000
_RULE = "incident.custody"


def _section() -> desk_blueprint.ForwardingSection:
    found: desk_blueprint.ForwardingSection = blueprint.current().section("forwarding")
    return found


def contracts() -> tuple[rules.Contract, ...]:
    """Return the contracts in force."""
    return desk_blueprint.contracts(_section())


def contract_of(row: Custody) -> rules.Contract | None:
    """Return the contract of an offer, None if the blueprint no longer has it."""
    return next((each for each in contracts() if each.name == row.contract), None)


def offer(work: Work, incident: Incident, *, taker: str, reason: str) -> Custody:
    """Offer an incident to another desk, with everything that the contract carries."""
    if incident.state not in states.OPEN:
        raise Rejected("Only an open incident is forwarded.", remedy="Reopen it first.")
    _said("reason", reason)
    held = ledger.of(incident, work)
    giver = held.holder
    if not ledger.works_here(incident, held, giver):
        raise Conflict(
            f"{giver} holds this incident, on a ticket of its own.",
            remedy=f"Ask {giver}, or record its hand-back.",
        )
    _require_member(work, giver, incident.organisation)
    major.require(work, incident, "forward")
    contract = rules.contract_for(contracts(), giver, taker)
    open_offer = ledger.line_of(held.offered) if held.offered is not None else None
    rules.check_offer(
        holder=giver,
        giver=giver,
        taker=taker,
        open_offer=open_offer,
        contract=contract,
        given=dossier.given(incident),
    )
    spec = desks.declared()[taker]
    receiver = desks.organisation_of(taker) or incident.organisation
    text = f"Offered to {taker} under the contract {contract.name}; to be accepted within {in_words(contract.accept_within)}. {reason}"
    why = [
        Reason(
            rule=f"{_RULE}.offered",
            text=text.strip(),
            facts={"giver": giver, "taker": taker, "contract": contract.name},
        )
    ]
    base = dossier.carried(incident, contract.carries)
    counterpart = ""
    copied: dict[str, str] = {}
    if receiver != incident.organisation:
        counterpart, copied = _counterpart(work, incident, held, taker, receiver, contract, base, why)
    elif spec.connection:
        _ticket(work, incident, spec.connection, taker)
        said = dossier.note(incident, contract.carries, giver=giver, taker=taker, reason=reason)
        comment(work, incident, said, author_label=giver, why=why)
    row = work.create(
        Custody,
        organisation=incident.organisation,
        values={
            "record": incident.id,
            "case": held.case.id,
            "giver": giver,
            "taker": taker,
            "contract": contract.name,
            "state": "offered",
            "reason": reason,
            "offered_at": work.now,
            "accept_by": work.now + contract.accept_within,
            "receiver": receiver,
            "counterpart": counterpart,
            "connection": spec.connection,
            "base": base,
            "copied": copied,
        },
        why=why,
        trace=incident.trace,
        inputs=[(incident.id, incident.version)],
        versions={"blueprint": str(work.generation)},
    )
    waits.begin(
        work, WORKFLOW, row.id, organisation=incident.organisation, incident=incident, partner=taker, owner=giver,
        path=contract.path, limit_at=Instant(work.now + contract.accept_within),
    )  # fmt: skip
    work.note(incident, why=why)
    if counterpart:
        mirror_soon(work, row)
    return row


def _counterpart(
    work: Work, incident: Incident, held: Ledger, taker: str, receiver: str, contract: rules.Contract,
    base: Mapping[str, Any], why: Sequence[Reason],
) -> tuple[str, dict[str, str]]:  # fmt: skip
    """Return the incident of the other organisation's desk (the one it has of this case, or a new one), and the
    comments on it that must not come back."""
    work.reach(receiver)
    earlier = [each.counterpart for each in held.rows if each.receiver == receiver and each.counterpart]
    with scope.everywhere(ledger.WHY):
        known: Incident | None = Incident.objects.filter(id__in=earlier, state__in=states.OPEN).first()
        if known is not None:
            work.note(known, why=why)
            return known.id, {}
        values = {name: value for name, value in base.items() if value and name not in STATE}
        values["title"] = values.get("title") or f"Forwarded by {incident.number}"
        spec = desks.declared()[taker]
        if spec.groups:
            values["assignment_group"] = spec.groups[0]
        if "ci" in contract.carries:
            values["ci"] = dossier.ci_named(receiver, dossier.ci_name(incident))
        made = opening.create(work, receiver, values, why=why)
        lines = dossier.more(incident, contract.carries)
        if not lines:
            return made.id, {}
        said = comment(
            work, made, "\n".join(lines)[: dossier.NOTE_CHARACTERS_MAX], author_label=held.holder, why=why
        )
    return made.id, {said.id: said.id}


def _ticket(work: Work, incident: Incident, connection: str, taker: str) -> None:
    """See to it that the partner's desk has its ticket: the one that follows already, or a new one."""
    if not any(each.connection == connection for each in sync.links_of(incident.id)):
        sync.link(work, incident, connection, why=f"Forwarded to {taker}.", rule=f"{_RULE}.ticket")


def accept(work: Work, row: Custody, *, answer: str = "", by_partner: bool = False) -> Custody:
    """Take the incident over: from this instant on the taker is accountable."""
    rules.check_answer(ledger.line_of(row))
    incident, held = _case(work, row)
    behalf = "" if by_partner else _require_member(work, row.taker, row.receiver)
    at = rules.next_instant(held.moves, work.now)
    why = [_told("accepted", f"{row.taker} accepts it{behalf}. {answer}", row)]
    changed = _change(work, row, {"state": "accepted", "answered_at": at, "answer": answer}, why)
    waits.end(work, WORKFLOW, row.id, why[0].text, incident)
    groups = desks.declared().get(row.taker, desk_blueprint.DeskSpec()).groups
    here = ledger.works_here(incident, held, row.taker)
    if here and groups and incident.assignment_group not in groups:
        work.change(incident, {"assignment_group": groups[0], "assignee": ""}, why=why)
    else:
        work.note(incident, why=why)
    _tell_counterpart(work, row, why)
    return changed


def reject(work: Work, row: Custody, *, reason: str, by_partner: bool = False) -> Custody:
    """Refuse an offer: the giver stays accountable."""
    rules.check_answer(ledger.line_of(row))
    _said("reason", reason)
    incident, _ = _case(work, row)
    behalf = "" if by_partner else _require_member(work, row.taker, row.receiver)
    return _not_taken(
        work, row, incident, "rejected", f"{row.taker} does not take it{behalf}. {reason}", reason
    )


def withdraw(work: Work, row: Custody, *, reason: str) -> Custody:
    """Take an offer back before it is answered."""
    rules.check_answer(ledger.line_of(row))
    incident, _ = _case(work, row)
    _require_member(work, row.giver, incident.organisation)
    return _not_taken(work, row, incident, "withdrawn", f"{row.giver} withdraws the offer. {reason}", reason)


def _not_taken(work: Work, row: Custody, incident: Incident, state: str, text: str, answer: str) -> Custody:
    why = [_told(state, text, row)]
    changed = _change(work, row, {"state": state, "answered_at": work.now, "answer": answer}, why)
    waits.end(work, WORKFLOW, row.id, why[0].text, incident)
    work.note(incident, why=why)
    other = ledger.incident_of(work, row.counterpart) if row.counterpart else None
    if other is not None:
        work.reach(other.organisation)
        values = {"state": "cancelled"} if other.state in {"new", "on_hold", "in_progress"} else {}
        if values:
            work.change(other, {**values, "closed_at": work.now, "gathering": False}, why=why)
        else:
            work.note(other, why=why)
    return changed


def hand_back(work: Work, row: Custody, *, reason: str) -> Custody:
    """Give an incident back to the desk it came from. An orphan may be taken back by that desk itself."""
    _said("reason", reason)
    incident, held = _case(work, row)
    open_offer = ledger.line_of(held.offered) if held.offered is not None else None
    rules.check_return(ledger.line_of(row), holder=held.holder, open_offer=open_offer)
    orphan = row.orphaned_at is not None and desks.acts_for(work.actor, row.giver, incident.organisation)
    behalf = "" if orphan else _require_member(work, row.taker, row.receiver)
    text = (
        f"{row.giver} takes the orphan back. {reason}"
        if orphan
        else f"{row.taker} hands it back to {row.giver}{behalf}. {reason}"
    )
    why = [_told("returned", text, row)]
    at = rules.next_instant(held.moves, work.now)
    changed = _change(
        work, row, {"state": "returned", "returned_at": at, "answer": reason, "orphaned_at": None}, why
    )
    work.note(incident, why=why)
    _tell_counterpart(work, row, why)
    return changed


# Inside --------------------------------------------------------------------------------------------------


def _case(work: Work, row: Custody) -> tuple[Incident, Ledger]:
    """Return the giver's incident of an offer and its ledger."""
    incident = ledger.incident_of(work, row.record)
    if incident is None:
        raise Conflict("The incident of this offer is gone.")
    work.reach(incident.organisation)
    return incident, ledger.of(incident, work)


def _change(work: Work, row: Custody, values: Mapping[str, Any], why: Sequence[Reason]) -> Custody:
    work.reach(row.organisation)
    return work.change(row, values, why=why)


def _tell_counterpart(work: Work, row: Custody, why: Sequence[Reason]) -> None:
    other = ledger.incident_of(work, row.counterpart) if row.counterpart else None
    if other is not None:
        work.reach(other.organisation)
        work.note(other, why=why)
        mirror_soon(work, row)


def mirror_soon(work: Work, row: Custody) -> None:
    """Owe both incidents of an offer a look at each other."""
    due.schedule(work, MIRROR, row.id, work.now, organisation=row.organisation)


def _told(what: str, text: str, row: Custody) -> Reason:
    facts = {"offer": row.id, "giver": row.giver, "taker": row.taker}
    return Reason(rule=f"{_RULE}.{what}", text=text.strip(), facts=facts)


def _said(name: str, text: str) -> None:
    if not text.strip() or len(text) > TEXT_MAX:
        raise Rejected(
            "Say why, in a sentence.",
            problems=(
                Problem(path=f"/{name}", message="empty or too long", remedy=f"1 to {TEXT_MAX} characters."),
            ),
        )


def _require_member(work: Work, desk: str, organisation: str) -> str:
    """Refuse whoever does not belong to the desk; return the words for an answer given on a partner's behalf."""
    if not desks.acts_for(work.actor, desk, organisation):
        raise Forbidden(f"Only {desk} can do this.", remedy=f"Ask somebody of {desk}.")
    spec = desks.declared().get(desk)
    person = work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}
    if spec is not None and spec.connection and person and not desks.closed(desk):
        return f" (recorded by {work.actor.label or work.actor.id} on its behalf)"
    return ""


def unanswered(work: Work, wait: Wait, text: str) -> None:
    """Escalate an offer that nobody answered in time: once, with its age; it stays open."""
    found: Custody | None = Custody.objects.filter(id=wait.about, state="offered", escalated_at=None).first()
    incident = ledger.incident_of(work, found.record) if found is not None else None
    if found is None or incident is None:
        return
    said = f"{found.taker} has not answered the offer of {incident.number}; {found.giver} is still accountable. {text}"
    why = [_told("unaccepted", said, found)]
    work.change(found, {"escalated_at": work.now}, why=why)


def custody_intervals(record: Incident, now: Instant | None = None) -> list[rules.Interval]:
    """Return who was accountable from when to when, for either side's incident: both read the same ledger."""
    return ledger.of(record).intervals(source.now() if now is None else now)


def for_service_levels(record_kind: str, record_id: str) -> list[Span]:
    """Return the custody of a record as service level management reads it; [] for what desks never hold."""
    found = Incident.objects.filter(id=record_id).first() if record_kind == Incident.kind else None
    if found is None:
        return []
    held = ledger.of(found)
    spans = held.intervals(source.now())
    last = len(spans) - 1 if held.case.closed_at is None else len(spans)
    return [
        Span(party=party, start=since, end=None if place == last else until)
        for place, (party, since, until) in enumerate(spans)
    ]
