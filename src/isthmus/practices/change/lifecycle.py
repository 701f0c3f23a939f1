"""From submitted to closed: what each step needs, and what it leaves behind.

Every step reads what authorises the change from entries (`proof`); the row in the table is never enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import Conflict, Forbidden, Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.change import OUTCOMES
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.approval import rules as approval_rules
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.models import Approval
from isthmus.practices.change import drafting, proof
from isthmus.practices.change.blueprint import Authority, authority_for, microseconds, version_of
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules import states
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash

REVIEW = "change.review"
NOTES_CHARACTERS_MAX = 20_000


def who(work: Work) -> str:
    return work.actor.label or work.actor.id


def why_of(rule: str, text: str) -> list[Reason]:
    return [Reason(rule=f"change.{rule}", text=text)]


def request_approval(work: Work, change: Change) -> Change:
    """Ask the change authority; needs an impact report that still speaks about the map."""
    section = proof.section()
    after = states.after("request_approval", change.state)
    if drafting.outdated(
        change.impact_report, list(change.cis or []), change.organisation, by=section.outdated_by
    ):
        raise Conflict(
            "The impact report is missing or outdated: the map has changed.",
            remedy="Assess the change again.",
        )
    authority = authority_for(section, change.type, change.risk, overdue=_review_overdue(change, work.now))
    content = content_hash({name: getattr(change, name) for name in CONTENT_FIELDS})
    approval.request(
        work,
        subject_kind="change",
        subject=change.id,
        organisation=change.organisation,
        content_hash=content,
        authority=authority.name,
        definition=f"change/{change.type}",
        definition_version=version_of(authority),
        roles=authority.roles,
        count=authority.approvals,
        expires_at=Instant(work.now + microseconds(authority.decide_within)),
        valid_for=microseconds(authority.valid_for),
        requesters={change.requester} - {""},
    )
    return work.change(
        change,
        {"state": after, "authorisation": "requested", "content_hash": content},
        why=why_of("request_approval", _asked(authority)),
        versions={"authority": version_of(authority)},
    )


def _asked(authority: Authority) -> str:
    return f"{authority.approvals} decision{'s' if authority.approvals > 1 else ''} by {authority.name} asked for."


def _review_overdue(change: Change, now: Instant) -> bool:
    """Return whether the same group owes the review of an earlier emergency: the next needs a higher authority."""
    if change.type != "emergency":
        return False
    owed = Change.objects.filter(
        organisation=change.organisation,
        type="emergency",
        assignment_group=change.assignment_group,
        review_due_at__lt=now,
        reviewed_at=None,
    )
    return owed.exclude(id=change.id).exclude(state="cancelled").exists()


def decide(work: Work, change: Change, verdict: str, *, comment: str = "") -> Change:
    """Approve or refuse as the actor: decides the first open decision of this change that they may decide."""
    waiting = list(
        Approval.objects.filter(
            organisation=change.organisation, subject=change.id, state="awaiting"
        ).order_by("id")
    )
    if not waiting:
        raise Conflict(f"No decision about {change.number} is awaited.", remedy="Request approval first.")
    approval.decide(work, waiting[0], verdict, comment=comment)
    return drafting.load(work, change.id)


def decided(work: Work, decision: Approval) -> None:
    """Take note of a decision about a change: all approved opens the way, one refusal or expiry sends it back."""
    change = drafting.load(work, decision.subject)
    if change.state != "authorisation":
        return
    inputs = [(decision.id, decision.version)]
    if decision.state in {approval_rules.State.REFUSED, approval_rules.State.EXPIRED}:
        text = (
            "The approval was refused."
            if decision.state == approval_rules.State.REFUSED
            else "Nobody decided in time."
        )
        work.change(
            change,
            {"state": states.after("refuse", change.state), "authorisation": "refused"},
            why=why_of("refused", text),
            inputs=inputs,
        )
        approval.void(work, change.id, change.organisation, why=text)
        return
    others = approval.facts_about(change.id, change.organisation)
    open_ones = [
        each
        for each in others
        if each.content_hash == decision.content_hash and each.state == "awaiting" and each.id != decision.id
    ]
    if open_ones:
        # The change moves its version with every decision, so that two people deciding at once cannot both be "not the last".
        work.note(
            change, why=why_of("approval", f"Approved in part; {len(open_ones)} more awaited."), inputs=inputs
        )
        return
    values: dict[str, Any] = {
        "state": states.after("approve", change.state),
        "authorisation": "approved",
        "authorised_at": work.now,
    }
    if change.type == "emergency":
        values["authorised_until"] = work.now + microseconds(proof.section().emergency.open_for)
    work.change(change, values, why=why_of("approved", "Every decision asked for was given."), inputs=inputs)


def start(work: Work, change: Change) -> Change:
    """Begin the work; whoever starts, the authority is read from entries."""
    after = states.after("start", change.state)
    told = proof.proven(change.id)
    authority = proof.authority(told, proof.section(), work.now) if told is not None else None
    refusals = [] if authority is None else [*authority.reasons, *authority.model_refusals]
    if (
        told is None
        or authority is None
        or not authority.approved
        or refusals
        or told.values["authorisation"] != "approved"
    ):
        raise Conflict(
            f"{change.number} is not authorised. {' '.join(refusals)}".strip(), remedy="Request approval."
        )
    return work.change(
        change,
        {"state": after, "started_at": work.now},
        why=why_of("start", f"Started by {who(work)}."),
        inputs=[(change.id, told.version)],
    )


def implement(work: Work, change: Change, outcome: str) -> Change:
    """End the work with an outcome; `not_implemented` also where it never began."""
    if outcome not in OUTCOMES:
        raise Rejected(
            f"{outcome!r} is no outcome.",
            problems=(
                Problem(path="/outcome", message="Unknown outcome.", remedy=f"Use {', '.join(OUTCOMES)}."),
            ),
        )
    after = states.after(
        "abandon" if outcome == "not_implemented" and change.state == "scheduled" else "implement",
        change.state,
    )
    return work.change(
        change,
        {"state": after, "outcome": outcome, "finished_at": work.now},
        why=why_of("implement", f"{who(work)} says: {outcome.replace('_', ' ')}."),
    )


def review(work: Work, change: Change, notes: str, *, outcome: str = "") -> Change:
    """Look back; the review task is done with it. A review is a person's, and says something."""
    after = states.after("review", change.state)
    if work.actor.kind is not ActorKind.PERSON:
        raise Forbidden("A review is done by a person.", remedy="Sign in and review it yourself.")
    if not notes.strip() or len(notes) > NOTES_CHARACTERS_MAX:
        raise Rejected(
            "A review says what was learned.",
            problems=(
                Problem(
                    path="/notes", message=f"1 to {NOTES_CHARACTERS_MAX} characters.", remedy="Write it down."
                ),
            ),
        )
    if outcome and outcome not in OUTCOMES:
        raise Rejected(
            f"{outcome!r} is no outcome.",
            problems=(
                Problem(path="/outcome", message="Unknown outcome.", remedy=f"Use {', '.join(OUTCOMES)}."),
            ),
        )
    values: Mapping[str, Any] = {
        "state": after, "reviewed_at": work.now, "reviewer": work.actor.id, "review_notes": notes.strip(), **({"outcome": outcome} if outcome else {}),
    }  # fmt: skip
    due.cancel(work, REVIEW, change.id, organisation=change.organisation)
    return work.change(change, values, why=why_of("review", f"Reviewed by {who(work)}."))


def close(work: Work, change: Change) -> Change:
    """Close a change whose work is done; an emergency only after its review."""
    after = states.after("close", change.state)
    if not change.outcome:
        raise Conflict(f"{change.number} has no outcome yet.", remedy="Say how it went.")
    if change.type == "emergency" and change.reviewed_at is None:
        raise Conflict(
            f"{change.number} was an emergency: it must be reviewed first.", remedy="Write the review."
        )
    return work.change(
        change, {"state": after, "closed_at": work.now}, why=why_of("close", f"Closed by {who(work)}.")
    )


def cancel(work: Work, change: Change, why: str) -> Change:
    """Give a change up. An authorised emergency cannot vanish: it ends through its review."""
    after = states.after("cancel", change.state)
    if not why.strip():
        raise Rejected(
            "A reason is needed.",
            problems=(Problem(path="/reason", message="Empty.", remedy="Say why it is given up."),),
        )
    if change.type == "emergency" and change.authorised_at is not None:
        raise Conflict(
            f"{change.number} had opened the gate.",
            remedy="End it as not implemented, then review and close it.",
        )
    approval.void(work, change.id, change.organisation, why=f"{change.number} was cancelled.")
    due.cancel(work, REVIEW, change.id, organisation=change.organisation)
    authorisation = "void" if change.authorisation in {"requested", "approved"} else change.authorisation
    return work.change(
        change,
        {"state": after, "authorisation": authorisation, "closed_at": work.now},
        why=why_of("cancel", why.strip()[:1000]),
    )


def keep_content_true(work: Work, change: Change) -> None:
    """Void what was approved if the content is no longer what it was, whoever edited it and through which door."""
    content = content_hash({name: getattr(change, name) for name in CONTENT_FIELDS})
    if content == change.content_hash:
        return
    values: dict[str, Any] = {"content_hash": content}
    asked = change.authorisation in {"requested", "approved"}
    pinned = change.evidence if isinstance(change.evidence, dict) else {}
    if asked and pinned.get("content_hash") != content:
        values |= {"authorisation": "void", "authorised_until": None}
        move = "withdraw" if change.type == "standard" else "void"
        if change.state in states.TRANSITIONS[move]:
            values["state"] = states.after(move, change.state)
        approval.void(
            work, change.id, change.organisation, why="The content was edited after it was asked about."
        )
    text = (
        "The content was edited: what was asked for or approved is void."
        if asked
        else "The content was edited."
    )
    work.change(change, values, why=why_of("content", text))


def void(work: Work, change: Change, why: str) -> Change:
    """End what was asked for or approved, for a reason that lies outside the content."""
    approval.void(work, change.id, change.organisation, why=why)
    if change.authorisation not in {"requested", "approved"}:
        return change
    values: dict[str, Any] = {"authorisation": "void", "authorised_until": None}
    if change.state in states.TRANSITIONS["void"]:
        values["state"] = states.after("void", change.state)
    return work.change(change, values, why=why_of("void", why))


def review_overdue(work: Work, row: Due, now: Instant) -> None:
    """The consequence of a review that nobody did: it is in the journal, and the group's next emergency
    needs the higher authority (see `_review_overdue`). The handler of its due time."""
    change = Change.objects.filter(id=row.subject).first()
    if change is None or change.reviewed_at is not None or change.state == "cancelled":
        return
    work.note(
        change,
        why=[
            Reason(
                rule="change.review_overdue",
                text=f"The review of emergency {change.number} is overdue; the next emergency of {change.assignment_group or 'this group'!r} needs the higher authority.",
                facts={"review_due_at": change.review_due_at, "now": now},
            )
        ],
    )
