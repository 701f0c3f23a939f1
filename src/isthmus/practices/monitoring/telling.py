"""Telling the sources of alerts what people do about them: from an incident, or from the alert itself.

When an incident is taken, handed on, resolved or put back, a preparer finds its firing alerts and has each source
told through its lane (`effects.once`): committed with the change that caused it, once, in order per alert. An
alert that joins an incident which somebody has already is told as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from isthmus.hub import connections
from isthmus.hub.lanes import effects
from isthmus.hub.sync import recording
from isthmus.identity import people
from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import HOUR, Instant
from isthmus.kernel.record import Json, Reason
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.models import Incident
from isthmus.practices.monitoring import index, partner
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules import telling
from isthmus.practices.monitoring.rules.groups import HOLDING
from isthmus.practices.monitoring.rules.telling import Standing, Told, Wish

if TYPE_CHECKING:
    from isthmus.hub.lanes.calls import Result
    from isthmus.hub.lanes.models import Delivery
    from isthmus.ledger.records import RecordModel
    from isthmus.ledger.work import Work

ALERTS_MAX: Final = 200
"""Most alerts of one incident whose sources are told, the newest: an incident with more is a storm."""
INCIDENTS_MAX: Final = 200
NAME_MAX: Final = 200
SOMEBODY: Final = "Isthmus"


def able(connection: str) -> frozenset[str]:
    """Return what the source of alerts can be told: the verbs that its connector declares for alerts."""
    found = connections.in_force().get(connection)
    if found is None or found.connector.open is None or not found.config.called:
        return frozenset()
    return frozenset(each.verb for each in found.manifest.able() if each.kind == "alert")


def tell(
    work: Work, alert: Alert, wish: Wish, *, by: str, text: str, cause: RecordModel, came_from: str = ""
) -> Told:
    """Have the source of an alert told, if it may be; return what is sent and why."""
    policy = plans.current().telling(alert.connection)
    standing = Standing(
        connection=alert.connection,
        external_key=alert.external_key,
        state=alert.state,
        view=partner.view_of(alert),
        able=able(alert.connection),
        told=alert.told or {},
    )
    found = telling.decide(wish, standing, policy, came_from=came_from)
    values: dict[str, Any] = {}
    if found.verb:
        # The cause's version makes the key one of this act: run again, it is the same effect.
        key = f"{found.verb}:{cause.id}:{cause.version}"
        name = by[:NAME_MAX] or SOMEBODY
        payload = _payload(work, alert, found.verb, name, text, policy.instead)
        effects.once(work, alert.connection, found.verb, payload, key=key, record=alert)
        values = partner.told_fields(telling.remembered(alert.told, found.verb, key=key, now=work.now))
    if wish == "acknowledge":
        values |= {"taken_by": by[:NAME_MAX], "taken_at": work.now}
    elif wish == "unacknowledge":
        values |= {"taken_by": "", "taken_at": None}
    rule = f"monitoring.telling.{wish}"
    if values:
        work.change(alert, values, why=[Reason(rule=rule, text=found.why)])
    return found


def _payload(work: Work, alert: Alert, verb: str, by: str, text: str, instead: int) -> Mapping[str, Json]:
    labels: dict[str, Json] = dict(alert.labels or {})
    about: dict[str, Json] = {"alert": alert.external_key, "labels": labels, "by": by}
    if verb == "annotate":
        return about | {"text": text}
    if verb == "silence":
        matchers: list[Json] = [{"label": name, "op": "=", "value": value} for name, value in labels.items()]
        return {
            "matchers": matchers, "starts_at": work.now, "ends_at": Instant(work.now + (instead or HOUR)), "by": by,
            "comment": text, "alert": alert.external_key,
        }  # fmt: skip
    return about | {"comment": text}


# From incidents -------------------------------------------------------------------------------------------


def prepare(work: Work) -> None:
    """Before a Work is flushed: tell the sources of alerts what its incidents have come to."""
    changed: list[tuple[Incident, Wish, str]] = []
    joining: list[Alert] = []
    for pending in work.pending.values():
        record = pending.record
        if type(record) is Alert:
            if record.incident and record.state == "firing" and record.decision in HOLDING and (
                "incident" in pending.changes or ("state" in pending.changes and not pending.created)
            ):  # fmt: skip
                joining.append(record)
        elif type(record) is Incident and not pending.created:
            found = _wish(record, pending.changes)
            if found is not None:
                changed.append((record, *found))
    if changed:
        _tell_all(work, changed[:INCIDENTS_MAX])
        for incident, _, _ in changed[INCIDENTS_MAX:]:
            _left_out(work, incident, f"more than {INCIDENTS_MAX} incidents changed at once")
    if joining:
        _tell_joined(work, joining)


def _wish(incident: Incident, changes: Mapping[str, list[Json]]) -> tuple[Wish, str] | None:
    """Return what a change of an incident means for its alerts, and in which words."""
    old, new = changes.get("state", [incident.state, incident.state])
    if new in {"resolved", "closed", "cancelled"} and old not in {"resolved", "closed", "cancelled"}:
        return "resolve", f"{incident.number} was {new}"
    if new not in {"new", "in_progress", "on_hold"}:
        return None
    if "assignee" in changes:
        if incident.assignee:
            return "acknowledge", f"{incident.number} was taken"
        return "unacknowledge", f"{incident.number} was put back"
    if old == "new" and new in {"in_progress", "on_hold"}:
        return "acknowledge", f"{incident.number} is {str(new).replace('_', ' ')}"
    return None


def _tell_all(work: Work, changed: list[tuple[Incident, Wish, str]]) -> None:
    names = people.labels(incident.assignee for incident, _, _ in changed)
    for incident, wish, words in changed:
        rows = Alert.objects.filter(
            organisation=incident.organisation, incident=incident.id, open=True, state="firing"
        )
        wanted = list(rows.order_by("-id").values_list("identity", flat=True)[: ALERTS_MAX + 1])
        if len(wanted) > ALERTS_MAX:
            _left_out(work, incident, f"only the newest {ALERTS_MAX} of its alerts are passed on")
        alerts = index.load(work, incident.organisation, wanted[:ALERTS_MAX])
        by = _who(work, incident, names)
        for alert in sorted(alerts.values(), key=lambda each: each.id):
            if alert.incident != incident.id or alert.state != "firing":
                continue
            came_from = work.origin.connection
            again = wish == "acknowledge" and alert.taken_at is not None
            if again and alert.taken_by != by:
                # Handed on: who has it now is a note where it is acknowledged already.
                tell(
                    work,
                    alert,
                    "annotate",
                    by=by,
                    text=f"{words} by {by}.",
                    cause=incident,
                    came_from=came_from,
                )
                work.change(
                    alert,
                    {"taken_by": by[:NAME_MAX], "taken_at": work.now},
                    why=[Reason(rule="monitoring.telling.handed_on", text="Its incident was handed on.")],
                )
            elif not again:
                tell(work, alert, wish, by=by, text=f"{words} by {by}.", cause=incident, came_from=came_from)


def _left_out(work: Work, incident: Incident, because: str) -> None:
    text = f"Not every source of its firing alerts is told about it: {because}."
    work.note(incident, why=[Reason(rule="monitoring.telling.left_out", text=text)])


def _who(work: Work, incident: Incident, names: Mapping[str, str]) -> str:
    """Return the operator's name as colleagues know it: the assignee, else who did it here, else at the partner."""
    if incident.assignee in names:
        return names[incident.assignee]
    if work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}:
        return work.actor.label or work.actor.id
    there = recording.acted_by(work).get(incident.id, "")
    return there or incident.assignee or work.origin.connection or SOMEBODY


def _tell_joined(work: Work, joining: list[Alert]) -> None:
    """An alert that joins an incident which somebody has already is theirs too."""
    takers = {
        name for name in {each.connection for each in joining}
        if plans.current().telling(name).acknowledge and able(name)
    }  # fmt: skip
    wanted = {
        each.incident for each in joining
        if each.connection in takers and not (each.incident in work.pending and work.pending[each.incident].created)
    }  # fmt: skip
    held = incidents.load(work, wanted)
    taken = {
        key: each for key, each in held.items() if each.assignee or each.state in {"in_progress", "on_hold"}
    }
    names = people.labels(each.assignee for each in taken.values()) if taken else {}
    for alert in joining:
        incident = taken.get(alert.incident)
        if incident is not None:
            by = names.get(incident.assignee) or incident.assignee or SOMEBODY
            tell(work, alert, "acknowledge", by=by, text=f"{incident.number} is in hand.", cause=alert)


# What came of it ------------------------------------------------------------------------------------------

_others: list[tuple[Callable[[Delivery], bool], Callable[[Work, Alert, Delivery, Result], None]]] = []
"""Who else has effects about alerts: which are theirs, and who hears of them."""


def share(mine: Callable[[Delivery], bool], hear: Callable[[Work, Alert, Delivery, Result], None]) -> None:
    """Have `hear` called with what came of the effects about alerts that are `mine`; called once, from `ready`."""
    if (mine, hear) not in _others:
        _others.append((mine, hear))


def concluded(work: Work, delivery: Delivery, result: Result) -> bool:
    """A source has been told, or cannot be: remember which, and believe what it shows more than what it answers."""
    written, fault = result.written, result.fault
    alert = _alert(work, delivery.record)
    for mine, hear in _others:
        if alert is not None and mine(delivery):
            hear(work, alert, delivery, result)
            return False
    if alert is None or not alert.told or (fault is not None and fault.passing):
        return False
    why = (
        "" if fault is None else f"{alert.connection} could not be told: {fault.cause} {fault.remedy}".strip()
    )
    told = telling.concluded(alert.told, delivery.verb, delivery.key, now=work.now, fault=why)
    if told is None:
        return False
    values = partner.told_fields(told)
    text = why or f"{alert.connection} was told: {delivery.verb}."
    if written is not None and written.observation is not None and fault is None:
        view = _view(written.observation.values)
        after = None if view is None else telling.seen(told, view, alert.connection, Instant(work.now + 1))
        if view is not None:
            values |= {name: getattr(view, name) for name in view.__struct_fields__}
        if after is not None:
            values |= partner.told_fields(after)
            text = after.get(delivery.verb, {}).get("why") or f"{text} It shows so."
    work.change(alert, values, why=[Reason(rule="monitoring.telling.concluded", text=text)])
    return False


def _alert(work: Work, record_id: str) -> Alert | None:
    row = Alert.objects.filter(id=record_id).values_list("organisation", "identity", "open").first()
    if row is None:
        return None
    organisation, identity, is_open = row
    if is_open:
        return index.load(work, organisation, [identity]).get(identity)
    found: Alert | None = Alert.objects.filter(id=record_id).first()
    return found


def _view(values: Mapping[str, Json]) -> Any:
    from isthmus.practices.monitoring.reading import view

    try:
        return view(values)
    except IsthmusError:
        return None
