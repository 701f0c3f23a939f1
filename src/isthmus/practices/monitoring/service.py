"""What monitoring and event management can be asked to do. Other parts call this and nothing beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db.models import QuerySet

from isthmus.hub import due
from isthmus.hub.observing import Outcome, Seen
from isthmus.kernel.errors import Conflict
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.loading import one
from isthmus.practices.incident.opening import Opening
from isthmus.practices.monitoring import index, partner, reading
from isthmus.practices.monitoring.batch import TIMER, Batch
from isthmus.practices.monitoring.deciding import Decider, case_of
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.reading import repeats
from isthmus.practices.monitoring.surroundings import Surroundings


def take(work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
    """Take a batch of alert observations and return one outcome per observation, in their order.

    Alerts of different organisations never meet. The number of queries does not depend on the number of alerts.
    """
    by_organisation: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(seens):
        by_organisation[each.organisation].append(place)
    outcomes: dict[int, Outcome] = {}
    for organisation, places in by_organisation.items():
        found = Batch(work, organisation, now).take([seens[place] for place in places])
        outcomes.update(zip(places, found, strict=True))
    return [outcomes[place] for place in range(len(seens))]


def count_repeats(work: Work, seens: Sequence[Seen], now: Instant) -> None:
    """Count notifications of events that were taken before, and look again at alerts that were kept quiet.

    A source that repeats itself says that the alert still fires: if the ground for the quiet is gone by now
    (a change cancelled, a silence expired), the alert gets its incident.
    """
    plan = current_plan()
    by_organisation: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    shown: dict[tuple[str, str], Seen] = {}
    for each in seens:
        identity = repeats.identity_of(plan, each)
        by_organisation[each.organisation][identity] += 1
        values = each.observation.values
        if "acknowledged" in values or "silenced" in values:
            shown[each.organisation, identity] = each
    for organisation, counts in by_organisation.items():
        held = index.load(work, organisation, counts)
        for identity, alert in held.items():
            work.bump(Alert, {"id": alert.id}, {"notifications": counts[identity]}, {"last_seen_at": now})
            seen = shown.get((organisation, identity)) if shown else None
            view = reading.view(seen.observation.values) if seen is not None else None
            if seen is not None and view is not None:
                partner.shown(work, alert, view, seen.received_at)
        quiet = [
            each
            for each in held.values()
            if each.state == "firing" and each.decision.startswith("suppressed_")
        ]
        if quiet:
            decide_again(work, organisation, quiet, now)


def decide_again(
    work: Work,
    organisation: str,
    alerts: Iterable[Alert],
    now: Instant,
    *,
    why: Sequence[Reason] = (),
    ended: str = "",
    around: Surroundings | None = None,
) -> None:
    """Decide recorded alerts anew: the ground for an earlier decision may be gone."""
    plan = current_plan()
    decider = Decider(work, plan, around or Surroundings(plan, organisation, now, ended=[ended]))
    known = list(alerts)
    decider.decide([case_of(each) for each in known])
    for alert in known:
        verdict = decider.verdicts[alert.id]
        work.change(alert, verdict.values, why=[*why, *verdict.why])
        if verdict.look_again is not None:
            grace = plan.times.grace if alert.decision == "suppressed_maintenance" else 0
            at = Instant(verdict.look_again + grace)
            due.schedule(work, TIMER, alert.id, at, organisation=organisation)
    decider.finish()


def alerts_of(incident_id: str) -> QuerySet[Alert]:
    """Return the alerts of an incident, the oldest first."""
    return Alert.objects.filter(incident=incident_id).order_by("starts_at", "id")


def confirm_draft(work: Work, alert: Alert) -> Alert:
    """Open the incident that the automation only drafted. A person does this."""
    if alert.decision not in {"drafted", "recorded_only"} or alert.incident:
        raise Conflict("There is no draft to confirm.", remedy="Look at the alert again.")
    reason = Reason(rule="monitoring.draft", text=f"Draft confirmed by {work.actor.label or work.actor.id}.")
    incident = incidents.open_from_alerts(
        work,
        [
            Opening(
                organisation=alert.organisation, title=alert.summary or "Alert", severity=alert.severity, ci=alert.ci,
                service=alert.service, correlation_key=f"identity:{alert.identity}", correlation_reason=reason.text,
                why=(reason,), occurred_at=Instant(alert.starts_at or work.now), trace=alert.trace,
            )
        ],
    )[0]  # fmt: skip
    values = {
        "decision": "opened",
        "decision_reason": reason.text,
        "incident": incident.id,
        "group_key": incident.correlation_key,
    }
    return work.change(alert, values, why=[reason])


def release(
    work: Work, organisation: str, suppressed_by: str, now: Instant, *, text: str, ended: bool = True
) -> None:
    """Decide the firing alerts anew that one silence, change or alert kept quiet; `ended`: it mutes nothing more."""
    rows = Alert.objects.filter(
        organisation=organisation, suppressed_by=suppressed_by, open=True, state="firing"
    )
    held = index.load(work, organisation, rows.values_list("identity", flat=True))
    if held:
        why = [Reason(rule="monitoring.released", text=text)]
        decide_again(work, organisation, held.values(), now, why=why, ended=suppressed_by if ended else "")


def get(work: Work, alert_id: str) -> Alert:
    """Return an alert or raise `NotFound`."""
    return one(work, Alert, alert_id)
