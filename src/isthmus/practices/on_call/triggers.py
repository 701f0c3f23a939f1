"""What begins and ends ladders: policies of the blueprint against incidents, decisions and clocks of service levels.

Nothing is decided on the hot path: a change of an incident sets a due time, and the wait's handler looks whether
the policy fits the incident as it is then. So a ladder begins once, whatever happened in between, and after a
restart as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import Instant
from isthmus.practices.approval import service as approvals
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import escalating, integrations, subjects
from isthmus.practices.on_call.blueprint import PolicySpec
from isthmus.practices.on_call.directory import section

if TYPE_CHECKING:
    from isthmus.ledger.records import RecordModel
    from isthmus.ledger.work import Work

LOOK = "on_call.look"
END = "on_call.end"
OPEN = frozenset({"new", "in_progress", "on_hold"})
_NOW = frozenset({"priority", "major"})
_SAYS_NOW = frozenset({"state", "priority", "major", "assignment_group", "service", "ci"})


def prepare(work: Work) -> None:
    """Before a flush: set the waits that the touched records ask for."""
    records = [
        each for each in work.created_or_changed() if each.kind in {"incident", "approval", "generation"}
    ]
    if not records:
        return
    policies = section().policies
    for each in records:
        if each.kind == "generation":
            integrations.begin(work, each.organisation)
        elif each.kind == "incident" and policies:
            _incident(work, each, policies)
        elif each.kind == "approval" and policies:
            _approval(work, each, policies)


def _incident(work: Work, record: RecordModel, policies: list[PolicySpec]) -> None:
    incident: Any = record
    changed = work.pending[record.id].changes
    if incident.state not in OPEN:
        if "state" in changed:
            due.schedule(work, END, incident.id, work.now, organisation=incident.organisation)
        return
    for policy in policies:
        at: int | None = None
        if policy.trigger in _NOW and changed.keys() & _SAYS_NOW and fits(policy, incident):
            at = work.now
        elif policy.trigger == "age" and "state" in changed and policy.after is not None:
            at = (incident.opened_at or work.now) + microseconds(policy.after)
        elif policy.trigger == "stall" and policy.after is not None:
            at = work.now + microseconds(policy.after)
        if at is not None:
            at = Instant(max(at, work.now))
            due.schedule(
                work,
                LOOK,
                incident.id,
                at,
                organisation=incident.organisation,
                key=policy.name,
                payload={"at": at},
            )


def _approval(work: Work, record: RecordModel, policies: list[PolicySpec]) -> None:
    approval: Any = record
    if approval.state != "awaiting":
        due.schedule(work, END, approval.id, work.now, organisation=approval.organisation)
        return
    for policy in policies:
        if policy.trigger == "approval" and policy.after is not None:
            at = Instant(approval.created_at + microseconds(policy.after))
            due.schedule(
                work,
                LOOK,
                approval.id,
                at,
                organisation=approval.organisation,
                key=policy.name,
                payload={"at": at},
            )


def fits(policy: PolicySpec, incident: Any) -> bool:
    """Return whether a policy speaks of an incident as it is."""
    if policy.trigger == "major" and not incident.major:
        return False
    if policy.priorities and incident.priority not in policy.priorities:
        return False
    if policy.groups and incident.assignment_group not in policy.groups:
        return False
    return not policy.services or bool(set(policy.services) & set(subjects.names_of(incident)))


def look(work: Work, row: Due, now: Instant) -> None:
    """Begin the ladder of a policy if it fits its subject as it is now; the handler of the wait."""
    policy = next((each for each in section().policies if each.name == row.key), None)
    if policy is None:
        return
    if policy.trigger == "approval":
        _look_at_approval(work, row, policy)
        return
    try:
        incident = incidents.get(work, row.subject)
    except IsthmusError:
        return
    if incident.state not in OPEN or not fits(policy, incident):
        return
    since = incident.opened_at or incident.created_at
    if policy.trigger == "stall" and policy.after is not None:
        since = incident.updated_at
        if now < since + microseconds(policy.after):
            return  # touched since; that touch has set a wait of its own
    escalating.start(
        work, key=f"{policy.trigger}:{policy.name}:{incident.id}", policy=policy.name, trigger=policy.trigger,
        ladder=policy.ladder, subject_kind="incident", subject=incident.id, organisation=incident.organisation,
        facts={"since": int(since)}, started_at=_asked_at(row),
    )  # fmt: skip


def _asked_at(row: Due) -> Instant | None:
    """Return when the wait was to end: a hub that was down then begins as if it had not been."""
    found = row.payload.get("at") if isinstance(row.payload, dict) else None
    return None if found is None else Instant(int(found))


def _look_at_approval(work: Work, row: Due, policy: PolicySpec) -> None:
    try:
        found = approvals.of(row.subject)
    except IsthmusError:
        return
    if found.state == "awaiting":
        escalating.start(
            work, key=f"approval:{policy.name}:{found.id}", policy=policy.name, trigger="approval", ladder=policy.ladder,
            subject_kind="approval", subject=found.id, organisation=found.organisation, facts={"since": int(found.created_at)},
            started_at=_asked_at(row),
        )  # fmt: skip


def end(work: Work, row: Due, now: Instant) -> None:
    """Stop every ladder about a subject that needs nobody any more; one that was taken up again goes on."""
    del now
    for kind in ("incident", "approval"):
        seen = subjects.view(work, kind, row.subject, row.organisation)
        if seen is not None and seen.open:
            return
    escalating.stop_about(work, row.organisation, row.subject, "It needs nobody any more.")


# Service levels -------------------------------------------------------------------------------------------------


def threshold(
    work: Work,
    *,
    clock: str,
    organisation: str,
    subject_kind: str,
    subject: str,
    target: str,
    percent: int,
    deadline: int | None,
) -> None:
    """A clock has used `percent` of its target: take the steps that wait for that share, once each."""
    for policy in section().policies:
        if policy.trigger != "sla" or policy.target not in {"", target}:
            continue
        spec = section().ladders.get(policy.ladder)
        if spec is None or not any(each.percent == percent for each in spec.steps):
            continue
        if subject_kind == "incident" and not _fits_incident(work, policy, subject):
            continue
        key = f"sla:{policy.name}:{clock}"
        facts = {"target": target, "percent": percent, "deadline": deadline}
        held = escalating.open_one(work, organisation, key)
        if held is None:
            held = escalating.start(
                work, key=key, policy=policy.name, trigger="sla", ladder=policy.ladder, subject_kind=subject_kind,
                subject=subject, organisation=organisation, facts=facts,
            )  # fmt: skip
        if held is not None:
            escalating.at_share(work, held, percent, facts)


def _fits_incident(work: Work, policy: PolicySpec, subject: str) -> bool:
    try:
        return fits(policy, incidents.get(work, subject))
    except IsthmusError:
        return False
