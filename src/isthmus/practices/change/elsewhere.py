"""Changes that were raised at a partner, where the blueprint names that partner as authority for their type.

Such a change is born here without authority. When a sight shows it approved there, by a known person who is
not the one who asked, its window, items and type are taken together with that decision, in one step; without
it they are not taken at all. A move, a cancellation or a withdrawn approval there follows at the next sight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from isthmus.hub import due
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.rules import Evidence
from isthmus.practices.change import drafting, lifecycle, proof
from isthmus.practices.change.blueprint import authority_for, microseconds, version_of
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules import states
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash

TAKEN = ("window_start", "window_end", "cis", "type")
"""What the partner decides about a change that was raised there, once its authority counts here."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One sight: the whole content there, the decision it shows, the state there, and who asked ("" unknown).

    `shown` is a hash of the part of the content that the partner itself keeps.
    """

    values: Mapping[str, Any]
    shown: str
    evidence: Evidence
    verdict: str
    state: str
    requester: str


def origin_of(work: Work, change: Change, connection: str, observation: Observation) -> str:
    """Return the connection where a change was raised ("" for here); a change born in this Work learns it."""
    pending = work.pending.get(change.id)
    if pending is not None and pending.created and not change.requester:
        kind = observation.evidence.get("type")
        work.change(
            change,
            {"evidence": {"raised_at": connection}, **({"type": kind} if kind in _TYPES else {})},
            why=[],
        )
    return proof.raised_at(proof.with_pending(work, change))


_TYPES = frozenset({"standard", "normal", "emergency"})


def follow(work: Work, change: Change, connection: str, told: Told) -> None:
    """Bring a change in line with what its own system says about its authority."""
    if change.state in states.TERMINAL:
        return
    if told.requester and not change.requester:
        work.change(change, {"requester": told.requester}, why=[])
    if told.state in {"cancelled", "closed"}:
        _ended(work, change, connection, told.state)
    elif told.verdict == "approved":
        _approved(work, change, connection, told)
    elif told.verdict:
        if approval.rests_on(change.id, change.organisation, connection):
            lifecycle.void(work, change, f"{connection} no longer calls it approved.")
        work.change(change, {"evidence": {"raised_at": connection}}, why=[])


def _approved(work: Work, change: Change, connection: str, told: Told) -> None:
    values = proof.with_pending(work, change)
    wanted = {**told.values, "risk": values["risk"]}
    same = content_hash(wanted) == content_hash(values)
    if (
        change.authorisation == "approved"
        and same
        and approval.rests_on(change.id, change.organisation, connection)
    ):
        return
    evidence = structs.replace(told.evidence, content_hash=content_hash(wanted))
    kept = values["evidence"] if isinstance(values["evidence"], dict) else {}
    refusals = _refusals(work, change, connection, wanted, evidence)
    if kept.get("used") == told.shown:
        text = f"It was edited here after that approval; it must be decided anew, here or at {connection}."
        refusals.append(Reason(rule="change.evidence_used", text=text))
    if not refusals:
        _take(work, change, connection, wanted, evidence, told.shown)
        return
    if change.authorisation == "approved" and not same:
        lifecycle.void(
            work, change, f"It was edited at {connection}, and its approval there does not count here."
        )
    seen = {"rules": sorted(each.rule for each in refusals), "content_hash": evidence.content_hash}
    if kept.get("seen") != seen:
        # Kept on the record, so that the same sight at the next poll is no second entry.
        text = f"The approval seen at {connection} does not count here."
        facts = {"partner_actor": evidence.partner_actor, "partner_version": evidence.partner_version}
        why = [Reason(rule="change.evidence", text=text, facts=facts), *refusals]
        work.change(change, {"evidence": {**kept, "seen": seen}}, why=why)


def _refusals(
    work: Work, change: Change, connection: str, wanted: Mapping[str, Any], evidence: Evidence
) -> list[Reason]:
    """Return why the partner's approval of its own change does not count; [] if it does."""
    reasons = approval.judged(
        evidence, requesters={change.requester} - {""}, trusted=proof.trusted(connection, str(wanted["type"])), now=work.now
    )  # fmt: skip

    def no(rule: str, text: str) -> None:
        reasons.append(Reason(rule=f"change.{rule}", text=text))

    if not change.requester:
        no(
            "evidence_requester",
            "Who asked for it there is no person known here, so nobody can tell them from the approver.",
        )
    if not wanted.get("cis"):
        no("evidence_items", "It names no configuration item there.")
    start, end = wanted.get("window_start"), wanted.get("window_end")
    if start is None or end is None or start >= end:
        no("evidence_window", "It has no window there.")
    if wanted["type"] == "emergency" and not wanted.get("incident"):
        no("evidence_incident", "An emergency change must cite an incident; cite it here.")
    if change.state not in states.TRANSITIONS["recognise"]:
        no("state", f"It is in state {change.state!r}.")
    return reasons


def _take(
    work: Work, change: Change, connection: str, wanted: Mapping[str, Any], evidence: Evidence, shown: str
) -> None:
    """Take window, items and type together with the authority that stands behind them."""
    section = proof.section()
    text = f"Approved at {connection}: its window, items and type are taken with that decision."
    work.change(
        change,
        {name: wanted[name] for name in TAKEN if name in wanted},
        why=[Reason(rule="change.evidence", text=text)],
    )
    drafting.assess(work, change, section)
    content = content_hash({name: getattr(change, name) for name in CONTENT_FIELDS})
    authority = authority_for(section, change.type, change.risk, overdue=False)
    rule = next(each for each in section.evidence if each.system == connection and change.type in each.types)
    granted = approval.recognise(
        work,
        subject_kind="change",
        subject=change.id,
        organisation=change.organisation,
        requester=change.requester,
        evidence=structs.replace(evidence, content_hash=content),
        authority=connection,
        definition=f"change/{change.type} at {connection}",
        definition_version=version_of(rule),
        expires_at=Instant(max(work.now + microseconds(authority.valid_for), change.window_end or 0)),
    )
    values: dict[str, Any] = {
        "state": states.after("recognise", change.state),
        "authorisation": "approved",
        "authorised_at": work.now,
        "content_hash": content,
        # One approval there authorises once: after an edit here it is not taken a second time.
        "evidence": {"raised_at": connection, "used": shown},
    }
    if change.type == "emergency":
        values["authorised_until"] = work.now + microseconds(section.emergency.open_for)
        values["review_due_at"] = work.now + microseconds(section.emergency.review_within)
        due.schedule(
            work,
            lifecycle.REVIEW,
            change.id,
            Instant(values["review_due_at"]),
            organisation=change.organisation,
        )
    work.change(
        change,
        values,
        why=[
            Reason(rule="change.approved", text=f"{connection} is the authority for {change.type} changes.")
        ],
        inputs=[(granted.id, granted.version)],
    )


def _ended(work: Work, change: Change, connection: str, state: str) -> None:
    """Follow a cancellation or closure there. An emergency that had opened the gate still owes its review."""
    moves = states.TRANSITIONS[f"{state}_there"]
    if change.state not in moves:
        return
    owed = change.type == "emergency" and change.authorised_at is not None and change.reviewed_at is None
    after = "review" if owed else moves[change.state]
    text = f"{state.capitalize()} at {connection}."
    approval.void(work, change.id, change.organisation, why=text)
    authorisation = "void" if change.authorisation in {"requested", "approved"} else change.authorisation
    values: dict[str, Any] = {"state": after, "authorisation": authorisation, "authorised_until": None}
    if after in states.TERMINAL:
        values["closed_at"] = work.now
    work.change(change, values, why=[Reason(rule=f"change.{state}_there", text=text)])
