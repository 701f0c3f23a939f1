"""What incidents and alerts show of known errors, and what follows when incidents are merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import matching, published
from isthmus.practices.problem.models import KnownError, KnownErrorMatch
from isthmus.practices.problem.problems import because

SHOWN_MAX: Final = 50
FOLLOWING_MAX: Final = 200
_ORDER: Final = {"confirmed": 0, "proposed": 1, "rejected": 2}


def of_incident(incident: incidents.Incident) -> list[incidents.KnownError]:
    """Return the known errors that an incident carries: the confirmed ones first, the rejected ones last."""
    rows = KnownErrorMatch.objects.filter(organisation=incident.organisation, record=incident.id)
    matches = sorted(rows.order_by("id")[:SHOWN_MAX], key=lambda each: _ORDER.get(each.verdict, 1))
    known = _by_ids(each.known_error for each in matches)
    return [_shown(known[each.known_error], each) for each in matches if each.known_error in known]


def of_alert(alert: Any) -> list[incidents.KnownError]:
    """Return the known errors that fit an alert: those of its incident that nobody rejected, else those that are
    published now."""
    if alert.incident:
        rows = KnownErrorMatch.objects.filter(organisation=alert.organisation, record=alert.incident)
        matches = list(rows.exclude(verdict="rejected").order_by("id")[: matching.MATCHES_MAX])
        known = _by_ids(each.known_error for each in matches)
        return [_shown(known[each.known_error], each) for each in matches if each.known_error in known]
    held = published.current(alert.organisation)
    if held.empty:
        return []
    snapshot = configuration.snapshot_of(alert.organisation)
    fits, _ = held.find(
        matching.subjects(matching.Asked(alerts=[alert]), snapshot), most=matching.MATCHES_MAX
    )
    known = _by_ids(each.criteria.id for each in fits)
    return [
        _shown(known[each.criteria.id], why=each.reason.text) for each in fits if each.criteria.id in known
    ]


def _by_ids(ids: Iterable[str]) -> dict[str, KnownError]:
    wanted = sorted(set(ids))
    return {each.id: each for each in KnownError.objects.filter(id__in=wanted)} if wanted else {}


def _shown(known: KnownError, match: KnownErrorMatch | None = None, *, why: str = "") -> incidents.KnownError:
    found = incidents.KnownError(
        id=known.id,
        number=known.number,
        title=known.title,
        workaround=known.workaround,
        href=f"/known-errors/{known.id}",
        why=why or (match.reason if match is not None else ""),
        fix=known.fix,
        link=known.link,
        state=known.state,
    )
    if match is None:
        return found
    return replace(
        found,
        match=match.id,
        verdict=match.verdict,
        note=match.note,
        at=Instant(match.created_at),
        trace=match.trace,
        version=match.version,
    )


def follow(
    work: Work, ids: Sequence[str] | None, source: incidents.Incident, target: incidents.Incident, text: str
) -> list[str]:
    """Have known errors follow a merge: the survivor gets those that it lacks, with what was said about them.

    With `ids` a merge is taken back: these, at `source`, are rejected there if nobody has judged them since.
    """
    why = because("known_error.followed", text)
    rows = KnownErrorMatch.objects.filter(organisation=source.organisation, record=source.id).order_by("id")
    if ids is not None:
        # What came confirmed goes as well; only a verdict at the survivor itself has made a second version.
        for each in rows.filter(id__in=list(ids)[:FOLLOWING_MAX], version=1).exclude(verdict="rejected"):
            work.change(each, {"verdict": "rejected", "note": text[:2_000], "judged_at": work.now}, why=why)
        return list(ids)
    held = KnownErrorMatch.objects.filter(organisation=target.organisation, record=target.id)
    known = set(held.values_list("known_error", flat=True))
    copies = []
    for each in rows[:FOLLOWING_MAX]:
        if each.known_error in known:
            continue
        values = {
            name: getattr(each, name)
            for name in ("known_error", "known_error_version", "alert", "found_by", "reason", "verdict", "note",
                         "judged_by", "judged_at")
        }  # fmt: skip
        values["record"] = target.id
        copy = work.create(
            KnownErrorMatch, organisation=target.organisation, values=values, why=why, trace=target.trace
        )
        copies.append(copy.id)
    return copies
