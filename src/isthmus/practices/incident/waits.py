"""The watchdog of stalled workflows: each wait has its limit, and the partner is asked before anybody is alarmed.

A wait begins and ends with the facts that cause it, in their Work. When its limit is over the watchdog reads the
partner's object through the lane. What that read brings is merged like any other; if it moves the incident, a
message was lost and the workflow goes on. Otherwise the wait is escalated, once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from isthmus import blueprint
from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.hub.sync import service as sync
from isthmus.hub.sync.models import Link, LinkRun
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import rows
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work, register_preparer
from isthmus.practices.incident import desks, hooks, ledger
from isthmus.practices.incident.desk_blueprint import WaitSpec, limit_of
from isthmus.practices.incident.models import Comment, Incident, Wait
from isthmus.practices.incident.rules import states, watching

WHAT = "incident.wait"
OPEN: Final = ("waiting", "asking", "escalated")
PARTNERS: Final = ("partner_acknowledgement", "partner_update")
ASK_WITHIN: Final = 60_000_000
"""How long an answer is awaited where the blueprint says nothing: one minute, in microseconds."""
_HOLDERS: Final = ("customer", "supplier")
_RULE = "incident.wait"

Escalation = Callable[[Work, Wait, str], None]
_escalations: dict[str, Escalation] = {}


def register_escalation(workflow: str, act: Escalation) -> None:
    """Say what else happens when a wait of this workflow is escalated; called once, from `ready`."""
    _escalations[workflow] = act


def _spec(workflow: str, partner: str) -> WaitSpec | None:
    waits: Mapping[str, WaitSpec] = blueprint.current().section("waits")
    found = waits.get(workflow)
    if found is None or (found.only_partners and partner not in found.partners):
        return None
    return found


def begin(
    work: Work, workflow: str, about: str, *, organisation: str, incident: Incident | None, partner: str, owner: str,
    path: str = "", limit_at: Instant | None = None,
) -> Wait | None:  # fmt: skip
    """Begin a wait, or begin it anew. Without `limit_at` the blueprint says how long; if it does not, nobody waits."""
    spec = _spec(workflow, partner)
    if limit_at is None:
        if spec is None:
            return None
        limit_at = Instant(work.now + limit_of(spec, partner))
    path = path or (spec.path if spec is not None else "") or (incident.escalation_path if incident else "")
    values: dict[str, Any] = {
        "partner": partner, "owner": owner, "path": path, "state": "waiting", "since": work.now, "limit_at": limit_at,
        "asked_at": None, "escalated_at": None, "found": "",
    }  # fmt: skip
    waiting = f"Waits for {partner or owner or 'somebody'}: {workflow.replace('_', ' ')}."
    why = [Reason(rule=_RULE, text=waiting, facts={"workflow": workflow, "limit_at": limit_at})]
    held = _open(work, workflow, about)
    if held is None:
        record = incident.id if incident is not None else ""
        held = work.create(
            Wait,
            organisation=organisation,
            values={"workflow": workflow, "record": record, "about": about, **values},
            why=why,
            trace=incident.trace if incident is not None else "",
        )
    else:
        work.change(held, values, why=why)
    due.schedule(work, WHAT, held.id, limit_at, organisation=organisation)
    return held


def _open(work: Work, workflow: str, about: str) -> Wait | None:
    for pending in work.pending.values():
        held = pending.record
        if isinstance(held, Wait) and (held.workflow, held.about) == (workflow, about) and held.state in OPEN:
            return held
    found: Wait | None = Wait.objects.filter(workflow=workflow, about=about, state__in=OPEN).first()
    return None if found is None or found.id in work.pending else found


def end(work: Work, workflow: str, about: str, text: str, incident: Incident | None = None) -> None:
    """End a wait because what it waited for has happened; one that is not open is no error."""
    held = _open(work, workflow, about)
    if held is not None:
        _finish(work, held, text, incident)


def _finish(work: Work, held: Wait, text: str, incident: Incident | None = None) -> None:
    """End a wait. One that the watchdog was asking about has been recovered: the message for it never came."""
    if held.organisation:
        work.reach(held.organisation)
    due.cancel(work, WHAT, held.id, organisation=held.organisation)
    recovered = held.state == "asking"
    rule = f"{_RULE}.recovered" if recovered else f"{_RULE}.ended"
    by_read = work.origin.channel == "hub"
    said = (
        f"Lost event recovered: {text}"
        if recovered and by_read
        else f"Late event: {text}"
        if recovered
        else text
    )
    why = [Reason(rule=rule, text=said, facts={"workflow": held.workflow, "partner": held.partner})]
    state = "recovered" if recovered else "ended"
    work.change(held, {"state": state, "ended_at": work.now, "found": said}, why=why)
    if recovered and held.record:
        found = incident or ledger.incident_of(work, held.record)
        if found is not None:
            work.note(found, why=why)


def partner_moved(work: Work, incident: Incident, connection: str, text: str) -> None:
    """Take a partner's move on its ticket as what was waited for; the wait for its next one begins."""
    if not blueprint.current().section("waits"):
        return
    for held in _of(work, [incident.id]):
        if held.partner == connection and held.workflow in PARTNERS:
            _finish(work, held, text, incident)
    if incident.state in states.OPEN and _spec("partner_update", connection) is not None:
        link = next((each for each in sync.links_of(incident.id) if each.connection == connection), None)
        if link is not None:
            begin(
                work, "partner_update", link.id, organisation=incident.organisation, incident=incident,
                partner=connection, owner=incident.assignment_group,
            )  # fmt: skip


def _of(work: Work, incident_ids: Collection[str]) -> list[Wait]:
    stored = rows.instances(Wait, "record", list(incident_ids), state=OPEN)
    held = {each.id: each for each in stored if each.id not in work.pending}
    for pending in work.pending.values():
        record = pending.record
        if isinstance(record, Wait) and record.record in incident_ids and record.state in OPEN:
            held[record.id] = record
    return [held[each] for each in sorted(held)]


# The watchdog --------------------------------------------------------------------------------------------


def look(work: Work, row: Due, now: Instant) -> None:
    """Look at a wait whose limit is over: ask, look again, or escalate."""
    held: Wait | None = Wait.objects.filter(id=row.subject).first()
    if held is None or held.limit_at is None or held.since is None:
        return
    link = _link(held)
    run = LinkRun.objects.filter(link=link.id).first() if link is not None else None
    spec = _spec(held.workflow, held.partner)
    ask_within = microseconds(spec.ask_within) if spec is not None else ASK_WITHIN
    step, text = watching.decide(
        watching.Waiting(
            state=held.state,
            since=Instant(held.since),
            limit_at=Instant(held.limit_at),
            askable=link is not None,
            asked_at=None if held.asked_at is None else Instant(held.asked_at),
            seen_at=Instant(run.last_seen_at) if run is not None and run.last_seen_at is not None else None,
            ask_within=ask_within,
        ),
        now,
    )
    why = [
        Reason(rule=f"{_RULE}.{step}", text=text, facts={"workflow": held.workflow, "partner": held.partner})
    ]
    match step:
        case "ask":
            assert link is not None  # noqa: S101 - only what can be read is asked
            sync.compare(work, link)
            work.change(held, {"state": "asking", "asked_at": now}, why=why)
            _again(work, held, Instant(now + min(watching.LOOK_AGAIN_AFTER, ask_within)))
        case "look_again":
            at = min(now + watching.LOOK_AGAIN_AFTER, (held.asked_at or now) + ask_within)
            _again(work, held, Instant(max(at, now + 1)))
        case "escalate":
            _escalate(work, held, text, why)
        case "nothing":
            if held.state == "waiting":
                _again(work, held, Instant(held.limit_at))


def _again(work: Work, held: Wait, at: Instant) -> None:
    due.schedule(work, WHAT, held.id, at, organisation=held.organisation)


def _link(held: Wait) -> Link | None:
    """Return the link whose partner can be asked about a wait, None if there is none."""
    if not held.record:
        return None
    found = sync.links_of(held.record)
    desk = desks.declared().get(held.partner)
    wanted = desk.connection if desk is not None and desk.connection else held.partner
    return next(
        (
            each
            for each in found
            if each.connection == wanted and each.state == "active" and each.external_key
        ),
        None,
    )


def _escalate(work: Work, held: Wait, text: str, why: Sequence[Reason]) -> None:
    incident = ledger.incident_of(work, held.record) if held.record else None
    work.change(held, {"state": "escalated", "escalated_at": work.now, "found": text}, why=why)
    if incident is not None:
        work.note(incident, why=why)
    act = _escalations.get(held.workflow)
    if act is not None:
        act(work, held, text)
    found = hooks.Stalled(
        workflow=held.workflow, incident=incident, wait=held, partner=held.partner, owner=held.owner, path=held.path,
        since=Instant(held.since or held.created_at), text=text,
    )  # fmt: skip
    hooks.stalled(work, found)


# What begins and ends waits ------------------------------------------------------------------------------


def prepare(work: Work) -> None:
    """Begin and end the waits that follow from the records of this Work."""
    if not blueprint.current().section("waits"):
        return
    ended: dict[str, Incident] = {}
    for record in work.created_or_changed():
        if isinstance(record, Link):
            _ticket(work, record)
        elif isinstance(record, Incident):
            if "state" in _changed(work, record) and record.state not in states.OPEN:
                ended[record.id] = record
            else:
                _held(work, record)
        elif isinstance(record, Comment) and record.connection and work.pending[record.id].created:
            _remark(work, record)
        elif record.kind == "approval":
            _approval(work, record)
    for held in _of(work, ended) if ended else ():
        if held.workflow not in {"review", "custody_offer"}:
            incident = ended[held.record]
            _finish(work, held, f"The incident is {incident.state}.", incident)


def _changed(work: Work, record: RecordModel) -> Mapping[str, Any]:
    return work.pending[record.id].changes


def _ticket(work: Work, link: Link) -> None:
    changes = _changed(work, link)
    if link.record_kind != "incident":
        return
    if link.state != "active":
        if "state" in changes:
            for workflow in PARTNERS:
                end(work, workflow, link.id, f"{link.connection} is no longer followed.")
        return
    ours = not work.pending[link.id].created  # one created with its key was opened at the partner
    if ours and "external_key" in changes and link.external_key:
        incident = ledger.incident_of(work, link.record)
        if incident is not None and incident.state in states.OPEN:
            begin(
                work, "partner_acknowledgement", link.id, organisation=link.organisation, incident=incident,
                partner=link.connection, owner=incident.assignment_group,
            )  # fmt: skip


def _held(work: Work, incident: Incident) -> None:
    changes = _changed(work, incident)
    state, reason = (changes.get(name, [getattr(incident, name)])[0] for name in ("state", "hold_reason"))
    before = reason if state == "on_hold" else ""
    after = incident.hold_reason if incident.state == "on_hold" else ""
    if before == after:
        return
    if before in _HOLDERS:
        end(work, f"pending_{before}", incident.id, "It no longer waits for them.", incident)
    if after in _HOLDERS:
        begin(
            work, f"pending_{after}", incident.id, organisation=incident.organisation, incident=incident,
            partner=after, owner=incident.assignment_group,
        )  # fmt: skip


def _remark(work: Work, said: Comment) -> None:
    if said.record_kind == "incident":
        incident = ledger.incident_of(work, said.record)
        if incident is not None:
            partner_moved(work, incident, said.connection, f"{said.connection} commented on it.")


def _approval(work: Work, record: Any) -> None:
    if record.state == "awaiting":
        if "state" in _changed(work, record):
            begin(
                work, "approval", record.id, organisation=record.organisation, incident=None, partner="",
                owner=record.authority,
            )  # fmt: skip
    else:
        end(work, "approval", record.id, f"It is {record.state}.")


def register() -> None:
    """Make the watchdog known; called when the app is ready."""
    due.register(WHAT, look)
    register_preparer(prepare)
