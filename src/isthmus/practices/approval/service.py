"""What approval can be asked to do: ask for a decision, decide, accept evidence, void, expire.

A process as a record: each asked-for decision is a row with a state table, pinned to the version of its
definition and to the hash of the content that it is about. Kinds of subjects register here, so that approval
knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.identity import permissions
from isthmus.identity.models import ServiceAccount
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Bug, Conflict, Forbidden, NotFound, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.approval import rules
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.rules import Decider, Evidence, Fact, State

EXPIRY = "approval.expire"
COMMENT_CHARACTERS_MAX = 4_000


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a subject is right now, read from its entries: its hash and every person behind the request.

    `blocked` are reasons why nobody may approve at the moment (an outdated impact report, say).
    """

    content_hash: str
    requesters: frozenset[str]
    blocked: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Subject:
    """How a kind of record takes part: `content(id)`, and `decided(work, approval)` after each decision."""

    content: Callable[[str], Content | None]
    decided: Callable[[Work, Approval], None]


class RefusedDecision(Forbidden):
    """Somebody tried to decide who may not: 403, and the attempt stands in the history of the approval."""

    def __init__(self, approval: str, reasons: list[Reason]) -> None:
        super().__init__(
            " ".join(each.text for each in reasons),
            remedy="Ask another person who holds this authority.",
            on_record=lambda work: _note_refusal(work, approval, reasons),
        )


_subjects: dict[str, Subject] = {}


def register_subject(kind: str, subject: Subject) -> None:
    """Let records of `kind` be approved; called once, from `ready` of the practice that owns them."""
    if kind in _subjects and _subjects[kind] is not subject:
        raise Bug(f"Two parts bring {kind!r} to approval.")
    _subjects[kind] = subject


def person_behind(actor: Actor) -> str:
    """Return the person who answers for what `actor` does: themselves, or the owner of a service account."""
    if actor.kind is ActorKind.SERVICE:
        found = ServiceAccount.objects.filter(id=actor.id).values_list("owner", flat=True).first()
        return str(found or actor.id)
    return actor.id


def fact_of(record_id: str) -> Fact | None:
    """Return a decision as its entries tell it; None if no entry knows it, whatever the table says."""
    told = reading.as_of(Approval, record_id)
    if told is None:
        return None
    terms = told["terms"] if isinstance(told["terms"], dict) else {}
    return Fact(
        id=record_id,
        version=told.get("version", 0),
        roles=[str(each) for each in terms.get("roles", [])],
        valid_for=int(terms.get("valid_for", 0)),
        **{
            name: told[name]
            for name in ("subject", "content_hash", "state", "requester", "approver", "authority")
        },
        **{name: told[name] for name in ("definition", "definition_version", "expires_at")},
    )


def facts_about(subject: str, organisation: str) -> list[Fact]:
    """Return every decision about a record, each read from its entries, in the order of asking."""
    ids = (
        Approval.objects.filter(organisation=organisation, subject=subject)
        .order_by("id")
        .values_list("id", flat=True)
    )
    found = [fact_of(record) for record in ids]
    # The table only says where to look: a row whose entries speak of another subject is not about this one.
    return [fact for fact in found if fact is not None and fact.subject == subject]


def request(
    work: Work,
    *,
    subject_kind: str,
    subject: str,
    organisation: str,
    content_hash: str,
    authority: str,
    definition: str,
    definition_version: str,
    roles: Collection[str],
    count: int,
    expires_at: Instant,
    valid_for: int,
    requesters: Collection[str] = (),
) -> list[Approval]:
    """Ask for `count` decisions about exactly this content, by holders of one of `roles`, until `expires_at`.

    `requesters` are persons who stand behind the subject, beside the actor who asks.

    A granted one stays valid for `valid_for` microseconds. Both are pinned: a later edit of the definition
    does not change what was asked.
    """
    if subject_kind not in _subjects:
        raise Bug(f"{subject_kind!r} is not registered for approval.")
    if nameless := rules.nameless({person_behind(work.actor), *requesters}):
        raise Conflict(
            " ".join(each.text for each in nameless),
            remedy="Raise it and ask for its approval signed in to the console, or with a token that a person owns.",
        )
    found: list[Approval] = []
    for _ in range(count):
        approval = work.create(
            Approval,
            organisation=organisation,
            values={
                "subject_kind": subject_kind, "subject": subject, "content_hash": content_hash, "authority": authority,
                "definition": definition, "definition_version": definition_version,
                "terms": {"roles": sorted(roles), "count": count, "valid_for": valid_for}, "requester": person_behind(work.actor),
                "state": State.AWAITING, "expires_at": expires_at,
            },
            why=[Reason(rule="approval.request", text=f"A decision by {authority} is asked for.")],
            versions={"definition": definition_version},
        )  # fmt: skip
        due.schedule(work, EXPIRY, approval.id, expires_at, organisation=organisation)
        found.append(approval)
    return found


def decide(work: Work, approval: Approval, verdict: str, *, comment: str = "") -> Approval:
    """Approve or refuse as the actor of this Work; `RefusedDecision` (403) if they may not."""
    if verdict not in {State.APPROVED, State.REFUSED}:
        raise Rejected("The verdict must be 'approved' or 'refused'.", remedy="Send one of the two.")
    if len(comment) > COMMENT_CHARACTERS_MAX:
        raise Rejected(
            f"The comment is longer than {COMMENT_CHARACTERS_MAX} characters.", remedy="Shorten it."
        )
    subject, fact, content, deciders = _situation(approval)
    actor = work.actor
    who = Decider(
        kind=actor.kind,
        person=person_behind(actor),
        roles=sorted(_roles_in(actor, approval.organisation)),
        permitted=actor.kind is ActorKind.PERSON
        and permissions.allowed(actor, "approval:decide", approval.organisation),
    )
    reasons = rules.may_decide(
        fact,
        who,
        requesters=content.requesters,
        deciders=deciders,
        current_hash=content.content_hash,
        now=work.now,
    )
    forbidden = [each for each in reasons if each.rule in _FORBIDDEN]
    if forbidden:
        raise RefusedDecision(approval.id, forbidden)
    if verdict == State.APPROVED:
        reasons = [*reasons, *content.blocked, *rules.nameless({*content.requesters, fact.requester})]
    if reasons:
        raise Conflict(
            " ".join(each.text for each in reasons),
            remedy="Read the record again; ask for a new decision if needed.",
        )
    why = [
        Reason(
            rule="approval.decide",
            text=f"{actor.label or actor.id} decided: {verdict}.",
            facts={"content_hash": fact.content_hash},
        )
    ]
    return _settle(
        work, approval, subject, fact, {"state": verdict, "approver": who.person, "comment": comment}, why
    )


_FORBIDDEN = frozenset(
    {"approval.person", "approval.permission", "approval.authority", "approval.self", "approval.twice"}
)


def accept_evidence(work: Work, approval: Approval, evidence: Evidence, *, trusted: bool) -> list[Reason]:
    """Take a decision seen at another system, or journal why it does not count; return those reasons."""
    subject, fact, content, deciders = _situation(approval)
    reasons = rules.may_accept(
        fact, evidence, requesters=content.requesters, deciders=deciders, trusted=trusted,
        current_hash=content.content_hash, now=work.now,
    )  # fmt: skip
    if evidence.verdict == State.APPROVED:
        reasons = [*reasons, *content.blocked, *rules.nameless({*content.requesters, fact.requester})]
    told = _told(evidence)
    if reasons:
        # Kept on the record, so that the same sight at the next poll is no second entry.
        why = [
            Reason(
                rule="approval.evidence",
                text=f"A decision seen at {evidence.system} does not count here.",
                facts=told,
            ),
            *reasons,
        ]
        work.change(approval, {"evidence": {**told, "counts": False}}, why=why)
        return reasons
    why = [
        Reason(
            rule="approval.evidence",
            text=f"Decided at {evidence.system}, which the blueprint names as authority.",
            facts=told,
        )
    ]
    _settle(
        work,
        approval,
        subject,
        fact,
        {"state": evidence.verdict, "approver": evidence.approver, "evidence": told},
        why,
    )
    return []


def recognise(
    work: Work,
    *,
    subject_kind: str,
    subject: str,
    organisation: str,
    requester: str,
    evidence: Evidence,
    authority: str,
    definition: str,
    definition_version: str,
    expires_at: Instant,
) -> Approval:
    """Record a decision that was asked for and given at another system; whoever asks has judged it.

    What was open or granted before is void: it was about other content.
    """
    void(work, subject, organisation, why=f"{evidence.system} has decided about its present content.")
    told = _told(evidence)
    return work.create(
        Approval,
        organisation=organisation,
        values={
            "subject_kind": subject_kind, "subject": subject, "content_hash": evidence.content_hash, "authority": authority,
            "definition": definition, "definition_version": definition_version, "terms": {"roles": [], "count": 1},
            "requester": requester, "approver": evidence.approver, "state": State.APPROVED, "evidence": told,
            "decided_at": work.now, "expires_at": expires_at,
        },
        why=[Reason(rule="approval.evidence", facts=told,
                    text=f"Decided at {evidence.system}, which the blueprint names as authority.")],
        versions={"definition": definition_version},
    )  # fmt: skip


def judged(evidence: Evidence, *, requesters: Collection[str], trusted: bool, now: Instant) -> list[Reason]:
    """Return why a decision that was asked for at another system does not count here; [] if it does."""
    asked = Fact(
        id="", version=0, subject="", content_hash=evidence.content_hash, state=State.AWAITING, requester="", approver="",
        authority="", definition="", definition_version="", expires_at=None, roles=[],
    )  # fmt: skip
    return rules.may_accept(
        asked, evidence, requesters=requesters, deciders=(), trusted=trusted, current_hash=evidence.content_hash, now=now
    )  # fmt: skip


def rests_on(subject: str, organisation: str, system: str) -> bool:
    """Return whether a decision seen at `system` is what a record's approval rests on, as entries tell it."""
    ids = Approval.objects.filter(organisation=organisation, subject=subject, state=State.APPROVED)
    told = (reading.as_of(Approval, each) for each in ids.values_list("id", flat=True))
    return any(
        isinstance(each["evidence"], dict) and each["evidence"].get("system") == system
        for each in told
        if each is not None
    )


def void(work: Work, subject: str, organisation: str, *, why: str) -> list[Approval]:
    """Void every open or granted decision about a record: its content is not what was asked about."""
    found: dict[str, Approval] = {
        each.id: each for each in Approval.objects.filter(organisation=organisation, subject=subject)
    }
    for each in work.created_or_changed():
        if isinstance(each, Approval) and each.subject == subject:
            found[each.id] = each
    voided = [each for each in found.values() if State.VOID in rules.TRANSITIONS[State(each.state)]]
    for each in voided:
        work.change(each, {"state": State.VOID}, why=[Reason(rule="approval.void", text=why)])
        due.cancel(work, EXPIRY, each.id, organisation=organisation)
    return voided


def expire(work: Work, row: Due, now: Instant) -> None:
    """End a decision whose time has passed; the handler of its due time."""
    approval = Approval.objects.filter(id=row.subject).first()
    if approval is None or approval.state != State.AWAITING or now < (approval.expires_at or 0):
        return
    work.change(
        approval,
        {"state": State.EXPIRED},
        why=[Reason(rule="approval.expired", text="Nobody decided in time.")],
    )
    _subjects[approval.subject_kind].decided(work, approval)


def _note_refusal(work: Work, approval: str, reasons: list[Reason]) -> None:
    text = f"{work.actor.label or work.actor.id} may not decide this."
    work.note(of(approval), why=[Reason(rule="approval.refused_actor", text=text), *reasons])


def of(record_id: str) -> Approval:
    """Return an approval by id, within the open scope."""
    found = Approval.objects.filter(id=record_id).first()
    if not isinstance(found, Approval):
        raise NotFound("There is no such approval, or none that you may see.")
    return found


def _told(evidence: Evidence) -> dict[str, Any]:
    return {
        name: value for name in Evidence.__struct_fields__ if (value := getattr(evidence, name)) is not None
    }


def _situation(approval: Approval) -> tuple[Subject, Fact, Content, set[str]]:
    fact = fact_of(approval.id)
    subject = _subjects.get(approval.subject_kind)
    content = subject.content(fact.subject) if subject is not None and fact is not None else None
    if fact is None or subject is None or content is None:
        raise NotFound("No entry of the book knows this approval.", remedy="Run `isthmus audit verify`.")
    others = facts_about(fact.subject, approval.organisation)
    deciders = {
        each.approver
        for each in others
        if each.approver and each.content_hash == fact.content_hash and each.id != fact.id
    }
    return subject, fact, content, deciders


def _settle(
    work: Work, approval: Approval, subject: Subject, fact: Fact, values: Mapping[str, Any], why: list[Reason]
) -> Approval:
    # Until now the clock was for deciding; from now on it is for using what was decided.
    work.change(
        approval,
        {**values, "decided_at": work.now, "expires_at": work.now + fact.valid_for},
        why=why,
        inputs=[(fact.id, fact.version)],
        versions={"definition": fact.definition_version},
    )
    due.cancel(work, EXPIRY, approval.id, organisation=approval.organisation)
    subject.decided(work, approval)
    return approval


def _roles_in(actor: Actor, organisation: str) -> frozenset[str]:
    if actor.grants is None:
        return actor.roles
    return frozenset(role for role, where in actor.grants if where == organisation)
