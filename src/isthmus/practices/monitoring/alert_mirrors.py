"""Alerts are mirrored to pagers (`monitoring.alert_mirrors`): raised there, acknowledged when taken, resolved when over.

Before a Work is flushed every alert in it is looked at as it stands then, so that what the pager hears is committed with
what it hears about. Somebody who takes it at the pager takes it here, and its source is told as for everybody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from isthmus.connectors.kit.marks import mark_of
from isthmus.hub import connections
from isthmus.hub.lanes import effects
from isthmus.hub.observing import Outcome, Seen, outcome
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import organisations
from isthmus.practices.monitoring import acts, partner, telling
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules import mirror as rule
from isthmus.practices.monitoring.rules.telling import ASKED, ASTRAY, DONE, KEPT

if TYPE_CHECKING:
    from isthmus.hub.lanes.calls import Result
    from isthmus.hub.lanes.models import Delivery
    from isthmus.ledger.work import Work

LABELS_MAX: Final = 30
LOOKED_AT_MAX: Final = 2_000
_DONE: Final = {"notify": "raised", "acknowledge": "acknowledged", "resolve": "resolved"}


def prepare(work: Work) -> None:
    """Before a Work is flushed: have the pagers hear what has become of its alerts."""
    alerts = [each.record for each in work.pending.values() if type(each.record) is Alert]
    mirrors = plans.current().mirrors if alerts else ()
    for alert in alerts:
        for mirror in rule.concerned(mirrors, alert.told) if mirrors or alert.told else ():
            for verb in rule.decide(mirror, _subject(alert), alert.told):
                if _serves(mirror.connection, alert.organisation):
                    _tell(work, alert, mirror, verb)


def _subject(alert: Alert) -> rule.Subject:
    return rule.Subject(
        connection=alert.connection, severity=alert.severity, state=alert.state, decision=alert.decision,
        taken=alert.taken_at is not None,
    )  # fmt: skip


def _serves(connection: str, organisation: str) -> bool:
    """A pager hears of its own organisation's alerts and of those below it, never of a sibling's."""
    found = connections.in_force().get(connection)
    return found is not None and found.organisation in organisations.lineage(organisation)


def _tell(work: Work, alert: Alert, mirror: rule.Mirror, verb: rule.Verb) -> None:
    name = rule.PREFIX + mirror.connection
    held: dict[str, Any] = dict((alert.told or {}).get(name) or {})
    key = f"{name}:{verb}:{alert.id}:{alert.version}"
    if verb == "notify":
        payload: dict[str, Json] = {"message": _message(alert, mirror)}
    else:
        by = alert.taken_by or telling.SOMEBODY
        text = f"{by} has it." if verb == "acknowledge" else "Its source says that it has cleared."
        about = held.get("ref") or ""
        payload = {"alert": about, "labels": {}, "by": by if verb == "acknowledge" else "", "comment": text}
        if not about:
            return  # The page is not answered yet. When it is, the alert is looked at again (`concluded`).
    effects.once(work, mirror.connection, verb, payload, key=key, record=alert)
    values = {**held, "verb": verb, "key": key, "at": int(work.now), "state": ASKED}
    _remember(work, alert, name, values, f"{mirror.connection} is told: {verb}.")


def _remember(work: Work, alert: Alert, name: str, values: dict[str, Any], text: str) -> None:
    told = {**(alert.told or {}), name: values}
    work.change(alert, partner.told_fields(told), why=[Reason(rule="monitoring.alert_mirror", text=text)])


def _message(alert: Alert, mirror: rule.Mirror) -> dict[str, Json]:
    base: str = settings.ISTHMUS.base_url
    labels = alert.labels if isinstance(alert.labels, dict) else {}
    return {
        "recipient": mirror.recipient or alert.connection,
        "title": alert.summary,
        "text": "",
        "facts": [[str(name), str(value)] for name, value in sorted(labels.items())[:LABELS_MAX]],
        "severity": alert.severity,
        "link": f"{base.rstrip('/')}/alerts/{alert.id}" if base else "",
        "thread": "",
        "about": f"alert:{alert.id}",
        "actions": [],
        "locale": "en",
    }


# What came of it ------------------------------------------------------------------------------------------


def is_ours(delivery: Delivery) -> bool:
    """Return whether an effect about an alert was for a pager."""
    return str(delivery.key).startswith(rule.PREFIX)


def concluded(work: Work, alert: Alert, delivery: Delivery, result: Result) -> None:
    """Keep what a pager answered. What had to wait for the name of the page follows with this Work (`prepare`)."""
    name = rule.PREFIX + delivery.connection
    held: dict[str, Any] = dict((alert.told or {}).get(name) or {})
    fault, written = result.fault, result.written
    if held.get("key") != delivery.key or (fault is not None and fault.passing):
        return
    done = _DONE.get(delivery.verb, delivery.verb)
    if fault is not None:
        why = f"{delivery.connection} could not be told: {fault.cause} {fault.remedy}".strip()
        _remember(work, alert, name, {**held, "state": ASTRAY, "why": why}, why)
        return
    held.pop("why", None)
    read_back = written is not None and bool(written.version)
    held |= {"state": KEPT if read_back else DONE, "done_at": int(work.now)}
    if delivery.verb == "notify" and written is not None:
        held["ref"] = written.ref.key
    _remember(work, alert, name, held, f"{delivery.connection} has it {done}.")


# What people do there -------------------------------------------------------------------------------------


def taken_there(work: Work, seen: Seen, name: str) -> Outcome | None:
    """Take an alert for whoever took it at the pager; None if the pager speaks of no alert of ours."""
    if not any(each.connection == seen.connection for each in plans.current().mirrors):
        return None
    alert = _called(work, seen, name)
    if alert is None:
        return None
    key = rule.PREFIX + seen.connection
    held: dict[str, Any] = dict((alert.told or {}).get(key) or {})
    if alert.taken_at is not None or held.get("verb") != "notify":
        return outcome(seen, "repeat", reason="It is taken already.", records=[alert.id])
    by = seen.observation.partner_actor or seen.connection
    # What the pager said itself it does not hear again.
    _remember(
        work,
        alert,
        key,
        {**held, "verb": "acknowledge", "state": KEPT},
        f"{by} took it at {seen.connection}.",
    )
    telling.tell(
        work, alert, "acknowledge", by=by, text=f"Taken by {by} at {seen.connection}.", cause=alert,
        came_from=seen.connection,
    )  # fmt: skip
    return outcome(seen, "entry", reason=f"{by} took it at {seen.connection}.", records=[alert.id])


def _called(work: Work, seen: Seen, name: str) -> Alert | None:
    home = organisations.descendants([seen.organisation])
    rows = Alert.objects.filter(organisation__in=home, open=True, state="firing", told__isnull=False)
    key = rule.PREFIX + seen.connection
    for found, told in rows.order_by("-id").values_list("id", "told")[:LOOKED_AT_MAX]:
        ref = str(((told or {}).get(key) or {}).get("ref", "")) if isinstance(told, dict) else ""
        if ref and name in {ref, f"#{mark_of(ref)}"}:
            return acts.load(work, [found]).get(found)
    return None
