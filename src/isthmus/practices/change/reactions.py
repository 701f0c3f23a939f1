"""What change does by itself: keeps content and approval in step, wakes waiting gates, judges partners' evidence."""

from __future__ import annotations

from isthmus.hub import due
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work, register_preparer
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.service import Content, Subject
from isthmus.practices.change import drafting, evidence, gate, lifecycle, proof
from isthmus.practices.change.models import CalendarRevision, Change, Freeze
from isthmus.practices.change.rules.states import TERMINAL
from isthmus.practices.incident import service as incidents


def content_of(change: str) -> Content | None:
    """Return what a change is right now, for whoever decides about it: read from its entries."""
    told = proof.proven(change)
    if told is None:
        return None
    section = proof.section()
    blocked: list[Reason] = []
    organisation, references = str(told.values["organisation"]), list(told.values["cis"] or [])
    if drafting.outdated(told.values["impact_report"], references, organisation, by=section.outdated_by):
        blocked.append(
            Reason(
                rule="change.assessment",
                text="The impact report is missing or outdated: the map has changed. Assess the change again.",
            )
        )
    if told.values["state"] != "authorisation":
        blocked.append(
            Reason(
                rule="change.state",
                text=f"The change is in state {told.values['state']!r}, not up for approval.",
            )
        )
    if proof.raised_at(told.values) and not told.requesters:
        blocked.append(
            Reason(
                rule="change.requester",
                text="Who asked for it at its own system is no person known here: nobody can tell them from the approver.",
            )
        )
    return Content(content_hash=told.content_hash, requesters=told.requesters, blocked=tuple(blocked))


SUBJECT = Subject(content=content_of, decided=lifecycle.decided)


def emergencies_of(incident: incidents.Incident, entering: str) -> list[Reason]:
    """Return the emergency changes that hold an incident open: not closed yet, or never reviewed."""
    del entering
    found = Change.objects.filter(organisation=incident.organisation, type="emergency", incident=incident.id)
    return [
        Reason(
            rule="change.emergency_open",
            text=f"Its emergency change {each.number} is {each.state} and not verified.",
            facts={"change": each.id, "state": each.state},
        )
        for each in found.order_by("id")
        if each.state not in TERMINAL or (each.authorised_at is not None and each.reviewed_at is None)
    ]


def prepare(work: Work) -> None:
    """Before a flush: void what an edit has outdated, count the calendar on, wake the gates that wait."""
    organisations: set[str] = set()
    for record in list(work.created_or_changed()):
        if isinstance(record, Change):
            lifecycle.keep_content_true(work, record)
            gate.wake(work, record.id, record.organisation)
            organisations.add(record.organisation)
        elif isinstance(record, Freeze):
            organisations.add(record.organisation)
    for each in sorted(organisations):
        work.bump(CalendarRevision, {"organisation": each}, {"revision": 1})


def declare() -> None:
    """Register everything; called once from `ready`."""
    register_preparer(prepare)
    approval.register_subject("change", SUBJECT)
    due.register(lifecycle.REVIEW, lifecycle.review_overdue)
    due.register(gate.WAIT, gate.look_again)
    evidence.declare()
    incidents.register_guard("emergency_changes", emergencies_of)
