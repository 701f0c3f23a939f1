"""Silences: who mutes what, until when and why; what they match now; their early end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from isthmus.hub import due
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, to_rfc3339
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.loading import one
from isthmus.practices.monitoring import mirroring, service
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.practices.monitoring.rules.matching import all_fit
from isthmus.practices.monitoring.surroundings import matchers_of

SILENCE_EXPIRY: Final = "monitoring.silence"
SILENCE_DAYS_MAX: Final = 90
MATCHERS_MAX: Final = 50
LOOKED_AT_MAX: Final = 20_000
SHOWN_MAX: Final = 50


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What matchers fit among the alerts that are open now: how many, how many of them fire, and the first ones."""

    matched: int
    firing: int
    alerts: tuple[str, ...]
    looked_at: int


def preview(matchers: Sequence[Mapping[str, str]], *, organisation: str) -> Preview:
    """Return what a silence with these matchers would match; raise `Rejected` where one of them is wrong."""
    found = matchers_of(_stored(matchers))
    rows = Alert.objects.filter(organisation=organisation, open=True).order_by("-id")
    matched, firing, looked_at = 0, 0, 0
    shown: list[str] = []
    for record_id, labels, severity, name, state in rows.values_list(
        "id", "labels", "severity", "connection", "state"
    )[:LOOKED_AT_MAX]:
        looked_at += 1
        if all_fit(found, {"connection": name, **(labels or {}), "severity": severity}):
            matched += 1
            firing += state == "firing"
            if len(shown) < SHOWN_MAX:
                shown.append(record_id)
    return Preview(matched=matched, firing=firing, alerts=tuple(shown), looked_at=looked_at)


def _stored(matchers: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [
        {"label": each.get("label", ""), "op": each.get("op", "="), "value": each.get("value", "")}
        for each in matchers
    ]


def create(
    work: Work,
    *,
    organisation: str,
    matchers: Sequence[Mapping[str, str]],
    starts_at: Instant,
    ends_at: Instant,
    comment: str,
    alert: Alert | None = None,
) -> Silence:
    """Mute alerts that fit all matchers (`{"label", "op", "value"}`) until `ends_at`; the actor owns it.

    `alert`: it was made from this one, whose source can be told by its key where it mutes objects and no patterns.
    """
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
    stored = _stored(matchers)
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
    mirroring.set_there(work, found, by=work.actor.label or work.actor.id, alert=alert)
    return found


def expire(work: Work, found: Silence, *, said: str = "The silence has ended.") -> Silence:
    """End a silence now; what still fires under it is decided anew."""
    if found.state != "active":
        return found
    early = (found.ends_at or 0) > work.now
    values = {"state": "expired", "ends_at": work.now} if early else {"state": "expired"}
    if early and not found.connection:
        mirroring.end_there(work, found, by=work.actor.label or work.actor.id)
    work.change(found, values, why=[Reason(rule="monitoring.silence", text=said)])
    due.cancel(work, SILENCE_EXPIRY, found.id, organisation=found.organisation)
    service.release(
        work, found.organisation, found.id, work.now, text="Its silence has ended and it still fires."
    )
    return found


def get(work: Work, silence_id: str) -> Silence:
    """Return a silence or raise `NotFound`."""
    return one(work, Silence, silence_id)
