"""What monitoring does when a wait is over: settle, retire, look again, time out."""

from __future__ import annotations

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.loading import many
from isthmus.practices.monitoring import (
    accuracy,
    expecting,
    group_wait,
    index,
    service,
    silences,
    watch,
    windows,
)
from isthmus.practices.monitoring.batch import SUPPRESSED, TIMER
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.rules import stability
from isthmus.practices.monitoring.surroundings import Surroundings

STALE_AT_ONCE = 500


def alert_timer(work: Work, row: Due, now: Instant) -> None:
    """An alert's wait is over: it was kept quiet for a time, or has been clear for long enough."""
    identity = Alert.objects.filter(id=row.subject, open=True).values_list("identity", flat=True).first()
    alert = index.load(work, row.organisation, [identity]).get(identity) if identity else None
    if alert is None:
        return
    if alert.state == "firing":
        if alert.decision.startswith(SUPPRESSED):
            _look_again(work, alert, now)
        return
    times = current_plan().times
    cleared_at = _cleared_at(alert)
    settles = stability.settles_at(cleared_at, alert.state_changes or [], now, times)
    if settles > now:
        due.schedule(work, TIMER, alert.id, settles, organisation=row.organisation)
        return
    settle(work, row.organisation, [alert])
    retires = stability.retires_at(cleared_at, times)
    if retires > now:
        due.schedule(work, TIMER, alert.id, retires, organisation=row.organisation)
        return
    work.change(
        alert,
        {"open": False},
        why=[Reason(rule="monitoring.retired", text="Clear for so long that a new event is a new alert.")],
    )


def _look_again(work: Work, alert: Alert, now: Instant) -> None:
    text = (
        "The window is over and the grace time too, and it still fires."
        if "maintenance" in alert.decision
        else "It still fires."
    )
    why = [Reason(rule="monitoring.released", text=text)]
    if "maintenance" in alert.decision and (late := windows.overrunning(work, alert.suppressed_by, now)):
        why.append(Reason(rule="monitoring.overrun", text=late, facts={"change": alert.suppressed_by}))
    service.decide_again(work, alert.organisation, [alert], now, why=why)


def _cleared_at(alert: Alert) -> Instant:
    """Return when the hub learned that the alert cleared: its last change of state, by the hub's own clock."""
    changes = alert.state_changes or []
    return Instant(changes[-1] if changes else alert.ends_at or alert.updated_at)


def settle(work: Work, organisation: str, alerts: list[Alert]) -> None:
    """Resolve the incidents of alerts that stayed clear, where no other alert of them is left."""
    mine = {alert.id for alert in alerts}
    wanted = {alert.incident for alert in alerts if alert.incident}
    if not wanted:
        return
    busy = set()
    times = current_plan().times
    others = Alert.objects.filter(organisation=organisation, incident__in=wanted, open=True).exclude(
        id__in=mine
    )
    for alert in others.only("id", "state", "incident", "ends_at", "state_changes"):
        settles = stability.settles_at(_cleared_at(alert), alert.state_changes or [], work.now, times)
        if alert.state == "firing" or settles > work.now:
            busy.add(alert.incident)
    found = incidents.load(work, wanted - busy)
    if found:
        why = [
            Reason(
                rule="monitoring.settled",
                text="All its alerts have cleared and stayed clear.",
                facts={"alerts": [*sorted(mine)]},
            )
        ]
        incidents.settle(work, list(found.values()), why=why)


def wait_over(work: Work, row: Due, now: Instant) -> None:
    """The time for causes to arrive is over: alerts join what explains them, or open their incidents."""
    around = Surroundings(current_plan(), row.organisation, now)
    waited = group_wait.ended(work, row, now, around)
    for alert in waited:
        if alert.state != "firing":
            work.change(alert, group_wait.CLEARED.values, why=[group_wait.CLEARED.reason])
    firing = [each for each in waited if each.state == "firing"]
    if firing:
        service.decide_again(work, row.organisation, firing, now, around=around)


def expire_silence(work: Work, row: Due, _now: Instant) -> None:
    """A silence has reached its end."""
    found = many(work, Silence, [row.subject]).get(row.subject)
    if found is not None:
        silences.expire(work, found)


def sweep_stale(work: Work, row: Due, now: Instant) -> None:
    """Take firing alerts for stale whose source has been silent for too long, and come again.

    Senders lose "resolved" messages; nobody but the receiver can notice. The hub's own alerts end when it says so.
    """
    times = current_plan().times
    if times.stale > 0:
        rows = Alert.objects.filter(
            organisation=row.organisation,
            state="firing",
            open=True,
            last_seen_at__lte=now - times.stale,
        ).exclude(connection=expecting.OWN)
        found = index.load(
            work,
            row.organisation,
            rows.order_by("last_seen_at").values_list("identity", flat=True)[:STALE_AT_ONCE],
        )
        text = f"Nothing was heard of it for {in_words(times.stale)}: it is not believed to fire any more."
        for alert in found.values():
            changes = stability.remember(alert.state_changes or [], now)
            work.change(
                alert,
                {"state": "stale", "ends_at": now, "state_changes": changes},
                why=[Reason(rule="monitoring.stale", text=text)],
            )
            due.schedule(work, TIMER, alert.id, Instant(now + times.stable), organisation=row.organisation)
    watch.again(work, row.organisation)


def register() -> None:
    """Make the handlers known; called when the app is ready."""
    due.register(TIMER, alert_timer)
    due.register(group_wait.WAIT, wait_over)
    due.register(silences.SILENCE_EXPIRY, expire_silence)
    due.register(watch.STALE_SWEEP, sweep_stale)
    due.register(watch.SAMPLE, accuracy.sample)
