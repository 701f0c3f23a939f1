"""Sampled accuracy: draws alerts at random, takes people's verdicts, and keeps what each class has earned.

The draw is a wait of its own, away from the pump: it looks at the alerts of a stretch of time whose decisions have
settled, those kept quiet included, so that nothing is asked of a person that is still moving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from django.db.models import Count, Q

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import Reason
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident.loading import chunks, many, one
from isthmus.practices.monitoring.models import AccuracySample, Alert, AutomationMode
from isthmus.practices.monitoring.plan import current as current_plan
from isthmus.practices.monitoring.rules import accuracy
from isthmus.practices.monitoring.watch import SAMPLE

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

EVERY: Final = 5 * MINUTE
FIRST_LOOK: Final = 15 * MINUTE
"""How far the first draw looks back: the wait begins with the first alert, not before it."""
SETTLED: Final = 2 * MINUTE
"""A decision is judged no earlier: alerts wait for their cause, and move to it."""
LOOKED_AT_MAX: Final = 20_000
DRAWN_MAX: Final = 500
NOTE_MAX: Final = 2_000

Verdict = Literal["right", "wrong"]
Fallen = Callable[["Work", AutomationMode], None]

_fallen: list[Fallen] = []


def register_fallen(handler: Fallen) -> None:
    """Have `handler(work, mode)` called when a class loses full automation; once, from `ready`."""
    if handler not in _fallen:
        _fallen.append(handler)


def mode(work: Work, mode_id: str) -> AutomationMode | None:
    """Return what a class has earned, as this Work holds it; None if there is no such class."""
    return many(work, AutomationMode, [mode_id]).get(mode_id)


def service_name(held: AutomationMode) -> str:
    """Return what people call the service of a class, "" if it has none."""
    facts = configuration.snapshot_of(held.organisation).cis.get(held.service)
    return facts.name if facts is not None else ""


def sample(work: Work, row: Due, now: Instant) -> None:
    """Draw from the alerts since the last draw, forget verdicts that are too old, and come again."""
    policy = current_plan().accuracy
    until = Instant(now - SETTLED)
    since = int((row.payload or {}).get("until", until - FIRST_LOOK))
    if policy.threshold > 0:
        until = _draw(work, row.organisation, since, until)
        reassess(work, row.organisation)
    due.schedule(
        work, SAMPLE, row.subject, Instant(now + EVERY), organisation=row.organisation, payload={"until": int(until)}
    )  # fmt: skip


def _draw(work: Work, organisation: str, since: int, until: Instant) -> Instant:
    """Draw from the alerts of (since, until]; return up to where it looked, for a storm is taken in portions."""
    policy = current_plan().accuracy
    rows = list(
        Alert.objects.filter(organisation=organisation, created_at__gt=since, created_at__lte=until)
        .order_by("created_at", "id")
        .values_list("id", "labels", "severity", "service", "created_at")[:LOOKED_AT_MAX]
    )
    if len(rows) == LOOKED_AT_MAX:
        # What shares the last instant may be cut: the next draw begins before it, and draws nobody twice.
        until = Instant(rows[-1][4] - 1)
    chosen = [row for row in rows if accuracy.drawn(policy, row[0])][:DRAWN_MAX]
    known: set[str] = set()
    for chunk in chunks([row[0] for row in chosen]):
        known |= set(AccuracySample.objects.filter(alert__in=chunk).values_list("alert", flat=True))
    for alert, labels, severity, service, _ in chosen:
        if alert in known:
            continue
        work.create(
            AccuracySample,
            organisation=organisation,
            values={
                "alert": alert, "service": service, "alert_class": accuracy.alert_class(policy, labels or {}, severity),
                "seed": policy.seed, "verdict": "open",
            },
            why=[
                Reason(
                    rule="monitoring.accuracy.drawn",
                    text=f"Drawn at random: {policy.per_mille} in a thousand, seed {policy.seed!r}.",
                )
            ],
        )  # fmt: skip
    return until


def judge(work: Work, sample_id: str, verdict: Verdict, note: str = "") -> AccuracySample:
    """Record what a person says about the decision of a drawn alert; a later word replaces an earlier one."""
    if verdict not in {"right", "wrong"}:
        raise Rejected(
            f"{verdict!r} is no verdict.",
            problems=(Problem(path="/body/verdict", message="unknown", remedy="Say right or wrong."),),
        )
    if len(note) > NOTE_MAX or (verdict == "wrong" and not note.strip()):
        raise Rejected(
            "Say in a note what was wrong." if verdict == "wrong" else "The note is too long.",
            problems=(Problem(path="/body/note", message="missing or too long", remedy=f"1 to {NOTE_MAX} characters."),),
        )  # fmt: skip
    held = one(work, AccuracySample, sample_id)
    alert = one(work, Alert, held.alert)
    if alert.decision == "waiting":
        raise Conflict("The alert still waits for its cause.", remedy="Judge it when it is decided.")
    work.change(
        held,
        {
            "verdict": verdict, "note": note.strip(), "decision": alert.decision, "judged_by": work.actor.id,
            "judged_at": work.now,
        },
        why=[Reason(rule="monitoring.accuracy.judged", text=f"Judged {verdict} by a person.", facts={"alert": held.alert})],
    )  # fmt: skip
    reassess(work, held.organisation, just=held)
    return held


def reassess(work: Work, organisation: str, *, just: AccuracySample | None = None) -> None:
    """Count the verdicts of every class (of `just`'s class only, with what this Work has just recorded) anew."""
    policy = current_plan().accuracy
    rows = AccuracySample.objects.filter(organisation=organisation, judged_at__gt=work.now - policy.window)
    modes = AutomationMode.objects.filter(organisation=organisation)
    if just is not None:
        rows = rows.filter(service=just.service, alert_class=just.alert_class).exclude(id=just.id)
        modes = modes.filter(service=just.service, alert_class=just.alert_class)
    counted = rows.values_list("service", "alert_class").annotate(
        verdicts=Count("id"), wrong=Count("id", filter=Q(verdict="wrong"))
    )
    counts = {(service, name): (verdicts, wrong) for service, name, verdicts, wrong in counted}
    if just is not None:
        verdicts, wrong = counts.get((just.service, just.alert_class), (0, 0))
        counts[just.service, just.alert_class] = (verdicts + 1, wrong + (just.verdict == "wrong"))
    held = {(each.service, each.alert_class): each for each in modes}
    for key in counts.keys() | held.keys():
        _keep(work, organisation, key, held.get(key), *counts.get(key, (0, 0)))


def _keep(
    work: Work,
    organisation: str,
    key: tuple[str, str],
    held: AutomationMode | None,
    verdicts: int,
    wrong: int,
) -> None:
    policy = current_plan().accuracy
    found = accuracy.measured(policy, verdicts=verdicts, wrong=wrong)
    permitted, why = accuracy.permits_full(policy, found)
    values = {"verdicts": verdicts, "wrong": wrong, "full_permitted": permitted, "said": why.text}
    if held is None:
        start = {"service": key[0], "alert_class": key[1], "since": work.now, **values}
        work.create(AutomationMode, organisation=organisation, values=start, why=[why])
        return
    if all(getattr(held, name) == value for name, value in values.items()):
        return
    fell = held.full_permitted and not permitted
    if held.full_permitted != permitted:
        values["since"] = work.now
    work.change(held, values, why=[why])
    if fell:
        for handler in _fallen:
            handler(work, held)
