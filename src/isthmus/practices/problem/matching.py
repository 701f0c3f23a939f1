"""Attaching known errors to the incidents of one Work, just before it is written.

Whatever opens an incident (alerts, a person, a partner) and whatever adds an alert to one passes here, a whole
batch at once: the map and the known errors are in memory, so that a batch costs a fixed number of queries, and
one look at a counter where there are no known errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from isthmus.kernel.record import Json
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.loading import chunks
from isthmus.practices.problem import published
from isthmus.practices.problem.models import KnownError, KnownErrorMatch
from isthmus.practices.problem.rules.matching import Fit, Published, Subject

MATCHES_MAX: Final = 10
"""Most known errors that are attached to one incident by themselves, the closest first."""
ALERTS_MAX: Final = 50
"""Most alerts of one incident that one batch looks at; those of a storm say the same."""
DESCRIPTION_CHARACTERS_MAX: Final = 20_000
SAID: Final = "Known error KE-"
"""How a line begins that a known error has added to a description."""
_SAYS: Final = frozenset({"ci", "service", "title", "description"})
"""Fields of an incident whose change has it compared again."""
_ALERT_SAYS: Final = frozenset({"incident", "labels", "annotations", "severity", "ci", "service"})

_log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class Asked:
    """What one Work says about one incident: itself (if it says something new), and alerts of it."""

    incident: Any = None
    created: bool = False
    alerts: list[Any] = field(default_factory=list)


def attach(work: Work) -> None:
    """Compare what this Work says about open incidents with the known errors, and attach those that fit."""
    for organisation, asked in _asked(work).items():
        known = published.current(organisation)
        if not known.empty:
            _attach(work, organisation, known, asked)


def _asked(work: Work) -> dict[str, dict[str, Asked]]:
    """Return organisation → incident id → what this Work says about it."""
    found: dict[str, dict[str, Asked]] = defaultdict(lambda: defaultdict(Asked))
    for pending in work.pending.values():
        record: Any = pending.record
        if pending.shape.kind == "incident":
            news = pending.created or not _SAYS.isdisjoint(pending.changes)
            if news and incidents.is_open(record):
                asked = found[record.organisation][record.id]
                asked.incident, asked.created = record, pending.created
        elif pending.shape.kind == "alert" and record.incident and record.state == "firing":
            news = pending.created or not _ALERT_SAYS.isdisjoint(pending.changes)
            alerts = found[record.organisation][record.incident].alerts if news else None
            if alerts is not None and len(alerts) < ALERTS_MAX:
                alerts.append(record)
    return found


def _attach(work: Work, organisation: str, known: Published, asked: dict[str, Asked]) -> None:
    if known.reads_texts:
        _load(work, asked, [key for key, each in asked.items() if each.incident is None])
    snapshot = configuration.snapshot_of(organisation)
    fits: dict[str, list[Fit]] = {}
    for key, each in asked.items():
        found, broken = known.find(subjects(each, snapshot), most=MATCHES_MAX)
        for number, cause in broken.items():
            _log.warning("known_error_condition_failed", number=number, incident=key, cause=cause)
        if found:
            fits[key] = found
    held = _held(work, organisation, [key for key in fits if not asked[key].created])
    _load(work, asked, [key for key in fits if asked[key].incident is None])
    told: dict[str, list[Fit]] = {}
    for key, found in fits.items():
        incident = asked[key].incident
        if incident is None or not incidents.is_open(incident):
            continue
        new = [fit for fit in found if fit.criteria.id not in held.get(key, ())]
        new = new[: max(0, MATCHES_MAX - len(held.get(key, ())))]
        for fit in new:
            record(work, incident, fit)
        if new and asked[key].created and incident.correlation_key:
            told[key] = new
    titles = _titles(told)
    for key, new in told.items():
        _say(work, asked[key].incident, new, titles)


def _load(work: Work, asked: Mapping[str, Asked], ids: Iterable[str]) -> None:
    for key, incident in incidents.load(work, ids).items():
        asked[key].incident = incident


def _held(work: Work, organisation: str, ids: Iterable[str]) -> dict[str, set[str]]:
    """Return incident id → known errors that it carries already, whatever was said about them: as the store has it,
    and as this Work is about to write it (a merge brings those of the duplicate)."""
    found: dict[str, set[str]] = defaultdict(set)
    for pending in work.pending.values():
        if isinstance(pending.record, KnownErrorMatch):
            found[pending.record.record].add(pending.record.known_error)
    for chunk in chunks(ids):
        rows = KnownErrorMatch.objects.filter(organisation=organisation, record__in=chunk)
        for incident, known_error in rows.values_list("record", "known_error"):
            found[incident].add(known_error)
    return found


def record(work: Work, incident: Any, fit: Fit) -> KnownErrorMatch:
    """Put a known error that fits on an incident, with its reason and the version that fitted."""
    values: dict[str, Json] = {
        "record": incident.id,
        "known_error": fit.criteria.id,
        "known_error_version": fit.criteria.version,
        "alert": fit.subject.alert,
        "found_by": "rule",
        "reason": fit.reason.text,
        "verdict": "proposed",
    }
    return work.create(
        KnownErrorMatch,
        organisation=incident.organisation,
        values=values,
        why=[fit.reason],
        inputs=[(fit.criteria.id, fit.criteria.version)],
        trace=incident.trace,
    )


def _titles(told: Mapping[str, list[Fit]]) -> dict[str, str]:
    """Return the titles of the known errors that are told of, by id; one query for the whole batch."""
    wanted = sorted({fit.criteria.id for fits in told.values() for fit in fits})
    rows = KnownError.objects.filter(id__in=wanted)
    return dict(rows.values_list("id", "title")) if wanted else {}


def _say(work: Work, incident: Any, fits: Iterable[Fit], titles: Mapping[str, str]) -> None:
    """Say in the description which known errors fit: people in other systems see no list of them. The workaround is
    not repeated there: whether the other side may read it is a person's decision."""
    lines = [
        f"Known error {fit.criteria.number} ({titles.get(fit.criteria.id, '')}): {fit.words}." for fit in fits
    ]
    text = "\n".join([incident.description, *lines]).strip()
    if len(text) <= DESCRIPTION_CHARACTERS_MAX:
        work.change(incident, {"description": text}, why=[fit.reason for fit in fits])


def subjects(asked: Asked, snapshot: configuration.Snapshot) -> list[Subject]:
    """Return what known errors are compared with: the incident itself, then its alerts."""
    texts: dict[str, Any] = {} if asked.incident is None else _texts(asked.incident)
    found = []
    if asked.incident is not None:
        place = _place(asked.incident, snapshot)
        found.append(Subject(summary=asked.incident.title, **place, **texts))
    found += [
        Subject(
            alert=each.id,
            labels=_as_texts(each.labels),
            annotations=_as_texts(each.annotations),
            severity=each.severity,
            summary=each.summary,
            connection=each.connection,
            **_place(each, snapshot),
            **texts,
        )
        for each in asked.alerts
    ]
    return found


def _texts(incident: Any) -> dict[str, Any]:
    """Return the texts that conditions ask about, without what known errors have said of themselves (`_say`)."""
    own = [each for each in incident.description.splitlines() if not each.startswith(SAID)]
    return {"title": incident.title, "description": "\n".join(own)}


def _place(record: Any, snapshot: configuration.Snapshot) -> dict[str, Any]:
    ci, service = snapshot.cis.get(record.ci), snapshot.cis.get(record.service)
    return {
        "ci": record.ci,
        "ci_name": ci.name if ci else "",
        "ci_class": ci.ci_class if ci else "",
        "environment": ci.environment if ci else "",
        "service": record.service,
        "service_name": service.name if service else "",
    }


def _as_texts(labels: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {}
