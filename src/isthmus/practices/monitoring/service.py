"""What monitoring and event management can be asked to do. Other parts call this and nothing beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db.models import QuerySet

from isthmus.hub import due
from isthmus.hub.observing import Outcome, Seen
from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, to_rfc3339
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.loading import one
from isthmus.practices.incident.opening import Opening
from isthmus.practices.monitoring import index, partner, reading
from isthmus.practices.monitoring.batch import Batch
from isthmus.practices.monitoring.deciding import Decider, case_of
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.reading import repeats
from isthmus.practices.monitoring.surroundings import Surroundings, matchers_of

SILENCE_EXPIRY = "monitoring.silence"
SILENCE_DAYS_MAX = 90
MATCHERS_MAX = 50


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


def silence(
    work: Work,
    *,
    organisation: str,
    matchers: Sequence[Mapping[str, str]],
    starts_at: Instant,
    ends_at: Instant,
    comment: str,
) -> Silence:
    """Mute alerts that fit all matchers (`{"label", "op", "value"}`) until `ends_at`; the actor owns it."""
    problems = []
    if not 1 <= len(matchers) <= MATCHERS_MAX:
        problems.append(
            Problem(path="/matchers", message="none or too many", remedy=f"Give 1 to {MATCHERS_MAX}.")
        )
    if ends_at <= max(starts_at, work.now) or ends_at - starts_at > SILENCE_DAYS_MAX * DAY:
        problems.append(
            Problem(
                path="/ends_at",
                message="in the past, before the start, or too far",
                remedy=f"At most {SILENCE_DAYS_MAX} days.",
            )
        )
    if not comment.strip():
        problems.append(
            Problem(path="/comment", message="missing", remedy="Say why these alerts may be quiet.")
        )
    for place, each in enumerate(matchers):
        try:
            matchers_of([each])
        except Rejected as refused:
            problems.append(Problem(path=f"/matchers/{place}", message=refused.text, remedy=refused.remedy))
    if problems:
        raise Rejected("The silence was not set.", problems=tuple(problems))
    stored = [
        {"label": each.get("label", ""), "op": each.get("op", "="), "value": each.get("value", "")}
        for each in matchers
    ]
    words = ", ".join(str(each) for each in matchers_of(stored))
    found = work.create(
        Silence,
        organisation=organisation,
        values={
            "matchers": stored, "starts_at": starts_at, "ends_at": ends_at, "owner": work.actor.id, "comment": comment, "state": "active",
        },
        why=[Reason(rule="monitoring.silence", text=f"Silenced {words} until {to_rfc3339(ends_at)}.")],
    )  # fmt: skip
    due.schedule(work, SILENCE_EXPIRY, found.id, ends_at, organisation=organisation)
    return found


def expire_silence(work: Work, found: Silence) -> Silence:
    """End a silence now; what still fires under it is decided anew."""
    if found.state != "active":
        return found
    work.change(
        found, {"state": "expired"}, why=[Reason(rule="monitoring.silence", text="The silence has ended.")]
    )
    due.cancel(work, SILENCE_EXPIRY, found.id, organisation=found.organisation)
    release(work, found.organisation, found.id, work.now, text="Its silence has ended and it still fires.")
    return found


def release(work: Work, organisation: str, suppressed_by: str, now: Instant, *, text: str) -> None:
    """Decide the firing alerts anew that one silence, change or alert kept quiet."""
    rows = Alert.objects.filter(
        organisation=organisation, suppressed_by=suppressed_by, open=True, state="firing"
    )
    held = index.load(work, organisation, rows.values_list("identity", flat=True))
    if held:
        why = [Reason(rule="monitoring.released", text=text)]
        decide_again(work, organisation, held.values(), now, why=why, ended=suppressed_by)


def get(work: Work, alert_id: str) -> Alert:
    """Return an alert or raise `NotFound`."""
    return one(work, Alert, alert_id)


def get_silence(work: Work, silence_id: str) -> Silence:
    """Return a silence or raise `NotFound`."""
    return one(work, Silence, silence_id)
