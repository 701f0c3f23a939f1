"""When a decision counts. Pure; what goes in was read from entries, never from a projection column alone.

Worked example: Ada asks for an approval of content `9f…` that needs one approver. Ada deciding: refused
(requester). Ben deciding: approved. Somebody edits the content: its hash is `31…` now, so Ben's approval
says nothing about it any more and `standing` answers no.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec

from isthmus.kernel.actor import ActorKind
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason


class State(StrEnum):
    """States of an asked-for decision; all but `AWAITING` are final, except that a content edit voids."""

    AWAITING = "awaiting"
    APPROVED = "approved"
    REFUSED = "refused"
    VOID = "void"
    EXPIRED = "expired"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.AWAITING: frozenset({State.APPROVED, State.REFUSED, State.VOID, State.EXPIRED}),
    State.APPROVED: frozenset({State.VOID}),
    State.REFUSED: frozenset(),
    State.VOID: frozenset(),
    State.EXPIRED: frozenset(),
}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One asked-for decision as its entries tell it."""

    id: str
    version: int
    subject: str
    content_hash: str
    state: str
    requester: str
    approver: str
    authority: str
    definition: str
    definition_version: str
    expires_at: int | None
    roles: list[str]
    valid_for: int = 0


class Decider(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to decide. `person` is who stands behind the actor, `permitted` what permissions say."""

    kind: str
    person: str
    roles: list[str]
    permitted: bool


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """An approval seen at another system: who decided there, about which content, read at which version.

    `approver` is the person of ours behind the partner's name ("" if there is none), `named_by` who said so.
    """

    system: str
    verdict: str
    approver: str
    content_hash: str
    named_by: str = ""
    partner_actor: str = ""
    partner_version: str = ""
    at: int | None = None


def _no(rule: str, text: str) -> Reason:
    return Reason(rule=f"approval.{rule}", text=text)


def nameless(requesters: Collection[str]) -> list[Reason]:
    """Return why a request cannot be approved at all: a part of the hub or the local operator made it.

    Neither is a person here, so nobody can be told apart from them: whoever sits at the machine would
    approve their own request from the console.
    """
    unknown = sorted(each for each in requesters if _PART in each)
    return [
        _no("requester", f"{each!r} asks for it, which is no person: nobody can be told apart from them.")
        for each in unknown
    ]


_PART = ":"
"""Stands in the ids of what is no record: `local:<user>`, `system:<part>`."""


def _open(fact: Fact, current_hash: str, now: Instant) -> list[Reason]:
    reasons: list[Reason] = []
    if fact.state != State.AWAITING:
        reasons.append(_no("state", f"This decision is {fact.state} already."))
    if fact.expires_at is not None and now >= fact.expires_at:
        reasons.append(_no("expired", "The time to decide has passed; ask again."))
    if fact.content_hash != current_hash:
        reasons.append(_no("content", "The content was edited since the decision was asked for; ask again."))
    return reasons


def may_decide(
    fact: Fact,
    who: Decider,
    *,
    requesters: Collection[str],
    deciders: Collection[str],
    current_hash: str,
    now: Instant,
) -> list[Reason]:
    """Return why `who` may not decide; [] if they may.

    `requesters` are all persons who stand behind the request, `deciders` those who already decided another
    part of the same request: two approvals are two persons.
    """
    reasons: list[Reason] = []
    if who.kind != ActorKind.PERSON:
        reasons.append(_no("person", "Only a person decides; tokens, systems and partners do not."))
    if not who.permitted:
        reasons.append(_no("permission", "This needs the permission approval:decide."))
    if fact.roles and not set(fact.roles) & set(who.roles):
        reasons.append(
            _no("authority", f"The authority {fact.authority!r} is held by: {', '.join(sorted(fact.roles))}.")
        )
    if who.person in {*requesters, fact.requester}:
        reasons.append(_no("self", "Nobody approves their own request."))
    if who.person in deciders:
        reasons.append(_no("twice", "This person has decided another part of the same request."))
    return reasons + _open(fact, current_hash, now)


def may_accept(
    fact: Fact,
    evidence: Evidence,
    *,
    requesters: Collection[str],
    deciders: Collection[str],
    trusted: bool,
    current_hash: str,
    now: Instant,
) -> list[Reason]:
    """Return why an approval seen elsewhere does not count here; [] if it does.

    `trusted`: the blueprint names the system as authority for this type of subject.
    """
    reasons: list[Reason] = []
    if not trusted:
        reasons.append(
            _no(
                "evidence_system",
                f"The blueprint does not name {evidence.system!r} as authority for this type.",
            )
        )
    if evidence.verdict not in {State.APPROVED, State.REFUSED}:
        reasons.append(_no("evidence_verdict", f"{evidence.verdict!r} is no decision."))
    if not evidence.approver:
        reasons.append(
            _no("evidence_person", f"{evidence.partner_actor or 'Nobody named'!r} is no person known here.")
        )
    if evidence.approver and evidence.approver in {*requesters, fact.requester}:
        reasons.append(_no("self", "Nobody approves their own request."))
    if evidence.approver and evidence.named_by in {*requesters, fact.requester} - {""}:
        reasons.append(
            _no(
                "evidence_named",
                "Who asks has said themselves who that is at the partner; somebody else must.",
            )
        )
    if evidence.approver and evidence.approver in deciders:
        reasons.append(_no("twice", "This person has decided another part of the same request."))
    if not evidence.content_hash or evidence.content_hash != current_hash:
        reasons.append(_no("evidence_content", "The content seen there is not the current content here."))
    return reasons + _open(fact, current_hash, now)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of decisions amounts to: `approved`, `awaiting` or neither, and why."""

    approved: bool
    awaiting: bool
    refused: bool
    reasons: list[str]


def standing(
    facts: Sequence[Fact], *, content_hash: str, requesters: Collection[str], now: Instant
) -> Standing:
    """Return what these decisions mean for content `content_hash`.

    Approved only if at least one decision was asked for about exactly this content, all of those approved,
    by persons that differ from each other and from every requester, and none of them has run out.
    """
    about = [fact for fact in facts if fact.content_hash == content_hash and fact.state != State.VOID]
    reasons: list[str] = []
    if not about:
        stale = any(fact.state in {State.APPROVED, State.VOID} for fact in facts)
        reasons.append(
            "The content was edited after the approval." if stale else "No approval was asked for."
        )
        return Standing(approved=False, awaiting=False, refused=False, reasons=reasons)
    waiting = [
        fact
        for fact in about
        if fact.state == State.AWAITING and (fact.expires_at is None or now < fact.expires_at)
    ]
    granted = [fact for fact in about if fact.state == State.APPROVED]
    refused = [fact for fact in about if fact.state == State.REFUSED]
    if refused:
        reasons.append("The approval was refused.")
    if waiting:
        reasons.append(f"{len(waiting)} of {len(about)} decisions are awaited.")
    if any(
        fact.state == State.EXPIRED or (fact.state == State.AWAITING and fact not in waiting)
        for fact in about
    ):
        reasons.append("The time to decide has passed.")
    if any(fact.expires_at is not None and now >= fact.expires_at for fact in granted):
        reasons.append("The approval has run out.")
    reasons += [each.text for each in nameless({*requesters, *(fact.requester for fact in granted)})]
    if any(fact.approver in {*requesters, fact.requester} for fact in granted):
        reasons.append("An approval by the requester does not count.")
    if any(not fact.approver for fact in granted):
        reasons.append("An approval by nobody does not count.")
    if len({fact.approver for fact in granted}) != len(granted):
        reasons.append("Two approvals by one person count once.")
    return Standing(
        approved=not reasons, awaiting=bool(waiting) and not refused, refused=bool(refused), reasons=reasons
    )
