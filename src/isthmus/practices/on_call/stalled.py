"""What stalls reaches people: a path of the watchdog that names a ladder begins that ladder, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import escalating
from isthmus.practices.on_call.directory import section

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


def stalled(work: Work, found: incidents.Stalled) -> None:
    """Begin the ladder that a stalled workflow's path names; a path of groups only is kept on the incident."""
    subject_kind, subject = ("incident", found.incident.id) if found.incident is not None else _other(found)
    if found.path in section().ladders and subject:
        whose = f" {found.partner} owes the move." if found.partner else ""
        # Names of desks and spans of time, no words of people: the message may say it anywhere.
        _begin(work, found.path, f"stalled:{found.workflow}:{found.wait_id}:{found.since}", subject_kind, subject,
               organisation=found.organisation, policy=found.workflow.replace("_", " "),
               trigger="watchdog", facts={"failure": f"{found.text}{whose}", "since": int(found.since)})  # fmt: skip


def escalated(work: Work, found: incidents.Escalated) -> None:
    """Begin the ladder that an incident's path names when somebody escalates it to more authority."""
    if found.kind == "hierarchical" and found.path in section().ladders:
        _begin(work, found.path, f"escalated:{found.incident.id}:{found.level}", "incident", found.incident.id,
               organisation=found.incident.organisation, policy=f"escalated to {found.to}",
               trigger="manual", comment=found.reason)  # fmt: skip


def _other(found: incidents.Stalled) -> tuple[str, str]:
    return (
        ("approval", found.wait.about)
        if found.workflow == "approval" and found.wait is not None
        else ("", "")
    )


def _begin(
    work: Work, ladder: str, key: str, subject_kind: str, subject: str, *, organisation: str, policy: str,
    trigger: str, facts: dict[str, str | int] | None = None, comment: str = "",
) -> None:  # fmt: skip
    escalating.start(
        work, key=key, policy=policy, trigger=trigger, ladder=ladder, subject_kind=subject_kind, subject=subject,
        organisation=organisation, facts=facts, comment=comment,
    )  # fmt: skip


def declare() -> None:
    """Subscribe to what incident management reports; called once from `ready`."""
    incidents.register_stalled(stalled)
    incidents.register_escalated(escalated)
