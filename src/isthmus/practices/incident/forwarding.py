"""What goes on by itself between the incidents of one case: edits and comments follow, a partner's moves count,
an end on one side that leaves nobody in charge is held up, or flagged where it cannot be held up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.work import Work, register_preparer
from isthmus.practices.incident import custody, dossier, guards, ledger, lifecycle, waits
from isthmus.practices.incident.comments import BODY_CHARACTERS_MAX
from isthmus.practices.incident.models import Comment, Custody, Incident
from isthmus.practices.incident.rules import custody as rules
from isthmus.practices.incident.rules import mirroring, states
from isthmus.practices.service_level import service as service_levels

COMMENTS_MAX = 50
"""Most comments that one look carries over; the next look takes the rest."""
ORPHANS_MAX = 200
_RULE = "incident.forward"
_OPEN = ("offered", "accepted", "returned")


def mirror(work: Work, row: Due, now: Instant) -> None:
    """Bring both incidents of a case together once; nothing is owed when they agree."""
    found: Custody | None = Custody.objects.filter(id=row.subject).first()
    if found is None or found.state not in _OPEN or not found.counterpart:
        return
    ours, theirs = ledger.incident_of(work, found.record), ledger.incident_of(work, found.counterpart)
    contract = custody.contract_of(found)
    if ours is None or theirs is None or contract is None:
        return
    names = dossier.fields_of(contract.carries)
    taker_holds = ledger.of(ours, work).held is not None and found.state == "accepted"
    fields = tuple(name for name in names if name not in mirroring.STATE)
    outcome = mirroring.mirror(
        fields, base=found.base or {}, giver=_values(ours, fields), taker=_values(theirs, fields), taker_holds=taker_holds
    )  # fmt: skip
    _take(work, ours, outcome.to_giver, f"{found.taker} ({theirs.number})", outcome, "giver")
    _take(work, theirs, outcome.to_taker, f"{found.giver} ({ours.number})", outcome, "taker")
    base = {**outcome.base}
    if "resolution" in contract.carries:
        _follow_state(work, found, ours, theirs, base, taker_holds=taker_holds)
    copied, more = _comments(work, found, ours, theirs) if "comments" in contract.carries else ({}, False)
    if base != found.base or copied:
        why = [Reason(rule=_RULE, text=f"{ours.number} and {theirs.number} agree.")]
        work.change(found, {"base": base, "copied": {**(found.copied or {}), **copied}}, why=why)
    if more:
        due.schedule(work, custody.MIRROR, found.id, Instant(now + SECOND), organisation=found.organisation)


def _values(incident: Incident, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(incident, name) for name in names}


def _take(
    work: Work,
    incident: Incident,
    values: Mapping[str, Any],
    said_by: str,
    outcome: mirroring.Mirrored,
    side: str,
) -> None:
    lost = [(name, value) for where, name, value in outcome.overruled if where == side]
    if not values:
        return
    text = f"{', '.join(name.replace('_', ' ') for name in values)}: as {said_by} has it."
    why = [Reason(rule=_RULE, text=text)]
    why += [
        Reason(
            rule=f"{_RULE}.overruled",
            text=f"Both desks changed {name.replace('_', ' ')}; the one that holds the incident decides. The other value stands in this entry.",
        )
        for name, _ in lost
    ]
    lifecycle.update(work, incident, values, why=why)


def _follow_state(
    work: Work, found: Custody, ours: Incident, theirs: Incident, base: dict[str, Any], *, taker_holds: bool
) -> None:
    """Let the giver's incident follow the state of the desk that holds it, as far as the state table goes."""
    if not taker_holds or theirs.state == (found.base or {}).get("state"):
        return
    wanted = {name: getattr(theirs, name) for name in mirroring.STATE}
    base |= wanted
    if (
        theirs.state == ours.state
        or theirs.state in states.FINAL
        or not states.legal(ours.state, theirs.state)
    ):
        return
    text = (
        f"{found.taker} holds it and moved its incident {theirs.number} to {theirs.state.replace('_', ' ')}."
    )
    if theirs.state != "resolved":
        wanted = {"state": theirs.state}
    lifecycle.update(work, ours, wanted, why=[Reason(rule=_RULE, text=text)])


def _comments(work: Work, found: Custody, ours: Incident, theirs: Incident) -> tuple[dict[str, str], bool]:
    """Copy comments that the other side lacks; return which stands for which, and whether there are more."""
    known = found.copied or {}
    copied: dict[str, str] = {}
    left = COMMENTS_MAX
    for source, target, desk in ((ours, theirs, found.giver), (theirs, ours, found.taker)):
        rows = Comment.objects.filter(record=source.id, state="shown", created_at__gte=found.offered_at or 0)
        held = {each.id: each for each in rows.order_by("id")}
        for comment_id in mirroring.new_comments(known | copied, list(held))[:left]:
            said = held[comment_id]
            copied[comment_id] = _copy(work, said, target, f"{said.author_label or said.author} ({desk})").id
        left = COMMENTS_MAX - len(copied)
    return copied, left <= 0


def _copy(work: Work, said: Comment, target: Incident, label: str) -> Comment:
    why = [Reason(rule=f"{_RULE}.comment", text=f"Written by {label}.")]
    return work.create(
        Comment,
        organisation=target.organisation,
        values={
            "record_kind": target.kind, "record": target.id, "body": said.body[:BODY_CHARACTERS_MAX],
            "public": said.public, "author": "", "author_label": label, "state": "shown", "written_at": said.written_at,
        },
        why=why,
    )  # fmt: skip


# What starts it ------------------------------------------------------------------------------------------


def prepare(work: Work) -> None:
    """Owe a look to both sides of an open case that this Work touches."""
    if not ledger.forwards():
        return
    touched = set()
    for record in work.created_or_changed():
        pending = work.pending[record.id]
        if isinstance(record, Incident) and not pending.created and pending.changes:
            touched.add(record.id)
        elif isinstance(record, Comment) and record.record_kind == "incident":
            touched.add(record.record)
    if not touched:
        return
    with scope.everywhere(ledger.WHY):
        rows = Custody.objects.exclude(counterpart="").filter(state__in=_OPEN)
        found = [*rows.filter(record__in=touched), *rows.filter(counterpart__in=touched)]
    for each in {each.id: each for each in found}.values():
        custody.mirror_soon(work, each)


def partner_said(work: Work, incident: Incident, connection: str, values: Mapping[str, Any]) -> None:
    """Take a partner's move on its ticket as its answer to an offer: work begun is an acceptance."""
    if not ledger.forwards() or "state" not in values:
        return
    offered = ledger.of(incident, work).offered
    if offered is None or offered.connection != connection:
        return
    if values["state"] in {"in_progress", "on_hold", "resolved"}:
        custody.accept(work, offered, answer=f"Its ticket went to {values['state']}.", by_partner=True)
    elif values["state"] == "cancelled":
        custody.reject(work, offered, reason="It cancelled its ticket.", by_partner=True)


def guard(incident: Incident, entering: str) -> list[Reason]:
    """Hold up an end that would leave nobody in charge."""
    if not ledger.forwards():
        return []
    text = _orphan(incident, ledger.of(incident), ends=True)
    return [Reason(rule="incident.custody.orphan", text=text, facts={"entering": entering})] if text else []


def told(work: Work, incident: Incident, _reasons: Sequence[Reason]) -> None:
    """Flag the orphan that a partner's end has made: it could not be held up."""
    held = ledger.of(incident, work)
    row = held.held
    if row is None or row.orphaned_at is not None:
        return
    text = _orphan(incident, held, ends=True)
    if text:
        work.reach(row.organisation)
        why = [Reason(rule="incident.custody.orphan", text=f"Orphan: {text}")]
        work.change(row, {"orphaned_at": work.now}, why=why)


def _orphan(incident: Incident, held: ledger.Ledger, *, ends: bool) -> str:
    row = held.held
    if row is None or (not row.counterpart and not row.connection):
        return ""  # the home desk holds it, or a desk that works on this very incident
    is_case, is_theirs = incident.id == held.case.id, incident.id == row.counterpart
    with scope.everywhere(ledger.WHY):
        other = Incident.objects.filter(id=row.counterpart).values_list("state", flat=True).first()
    holder_open = not (ends and is_theirs) and (other is None or other not in states.FINAL)
    case_open = not (ends and is_case) and held.case.state not in states.FINAL
    return rules.orphaned(holder=held.holder, home=held.home, case_open=case_open, holder_open=holder_open)


def orphans() -> list[Custody]:
    """Return the flagged orphans that the open scope may see."""
    seen = ledger.offers().filter(orphaned_at__isnull=False, state="accepted")
    with scope.everywhere(ledger.WHY):
        return list(seen.order_by("orphaned_at")[:ORPHANS_MAX])


def register() -> None:
    """Make the reactions known; called when the app is ready."""
    due.register(custody.MIRROR, mirror)
    waits.register_escalation(custody.WORKFLOW, custody.unanswered)
    guards.register_guard("custody", guard, told=told)
    register_preparer(prepare)
    service_levels.register_custody(custody.for_service_levels)
