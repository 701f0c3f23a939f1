"""Opening incidents: many at once from alerts, or one by a person or a partner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Count

from isthmus import blueprint
from isthmus.hub import due
from isthmus.kernel.duration import in_words, microseconds
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import escalating, major, resolution, surroundings, suspects
from isthmus.practices.incident.blueprint import IncidentSection, assignment_rules, table
from isthmus.practices.incident.gathering import make_way
from isthmus.practices.incident.loading import chunks
from isthmus.practices.incident.models import Incident
from isthmus.practices.incident.rules import assignment, priority, recurrence, states

TITLE_CHARACTERS_MAX = 500
_EDITABLE = frozenset(
    {"title", "description", "impact", "urgency", "priority", "category", "ci", "service", "assignment_group", "assignee",
     "caller", "tags", "extra", "root_cause", "cause_code", "workaround", "steps", "hold_reason", "correlation_key", "correlation_reason", "parent", "state", "resolution_code",
     "resolution_notes"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is known when an incident is to be opened. `severity` is the worst of its alerts."""

    organisation: str
    title: str
    description: str = ""
    severity: str = ""
    ci: str = ""
    service: str = ""
    correlation_key: str = ""
    correlation_reason: str = ""
    tags: tuple[str, ...] = ()
    why: tuple[Reason, ...] = ()
    occurred_at: Instant | None = None
    record_id: str = ""
    cause: str = ""
    trace: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def open_from_alerts(work: Work, openings: Sequence[Opening]) -> list[Incident]:
    """Open one incident per opening, in order: priority, group, targets, suspects, each with its reason.

    Costs a fixed number of queries per organisation, however many openings there are.
    """
    section: IncidentSection = blueprint.current().section("incident")
    found: dict[int, Incident] = {}
    by_organisation: dict[str, list[int]] = defaultdict(list)
    for index, opening in enumerate(openings):
        by_organisation[opening.organisation].append(index)
    for organisation, indexes in by_organisation.items():
        mine = [openings[index] for index in indexes]
        around = surroundings.of(organisation, [(each.ci, each.service) for each in mine])
        earlier = _earlier(organisation, [each.correlation_key for each in mine], section, work.now)
        gathers = {each.correlation_key: place for place, each in enumerate(mine) if each.correlation_key}
        make_way(work, organisation, list(gathers))
        places = {each: (each[0], each[1] or around[each].service_id) for each in around}
        near = suspects.find(organisation, places.values(), work.now, section)
        desk = _Desk(section)
        opened = [
            desk.open(
                work,
                _with_changes(opening, near.get(opening.ci or places[(opening.ci, opening.service)][1], ())),
                around[(opening.ci, opening.service)],
                earlier.get(opening.correlation_key, 0),
                gathering=gathers.get(opening.correlation_key) == place,
            )
            for place, opening in enumerate(mine)
        ]
        for incident in opened:
            suspects.propose(work, incident, near.get(incident.ci or incident.service, ()))
        found |= dict(zip(indexes, opened, strict=True))
    return [found[index] for index in range(len(openings))]


def _with_changes(opening: Opening, found: Sequence[Any]) -> Opening:
    """Say in the description which change came near last: people in other systems see no list of suspects."""
    if not found:
        return opening
    latest = max(found, key=lambda each: each.at)
    line = f"Recent change: {latest.number} ({latest.reason})"
    return replace(opening, description=f"{opening.description}\n{line}".strip())


def create(
    work: Work, organisation: str, values: Mapping[str, Any], *, why: Sequence[Reason] = ()
) -> Incident:
    """Open one incident by hand. Impact and urgency that are not given come from the map and the middle."""
    unknown = sorted(set(values) - _EDITABLE)
    if unknown:
        raise Rejected(
            f"{unknown[0]!r} cannot be set on an incident.",
            problems=tuple(Problem(path=f"/{name}", message="unknown") for name in unknown),
        )
    wrong = [name for name in ("impact", "urgency", "priority") if values.get(name, "") not in (*LEVELS, "")]
    if wrong:
        raise Rejected(
            f"{values[wrong[0]]!r} is not a level.",
            remedy="Use 1 (highest) to 4.",
            problems=tuple(
                Problem(path=f"/{name}", message=f"{values[name]!r} is not a level") for name in wrong
            ),
        )
    title = str(values.get("title", "")).strip()
    if not title or len(title) > TITLE_CHARACTERS_MAX:
        raise Rejected(
            "An incident needs a title.",
            remedy=f"Give 1 to {TITLE_CHARACTERS_MAX} characters.",
            problems=(
                Problem(
                    path="/title",
                    message="missing or too long",
                    remedy=f"1 to {TITLE_CHARACTERS_MAX} characters",
                ),
            ),
        )
    section: IncidentSection = blueprint.current().section("incident")
    ci, service = str(values.get("ci", "")), str(values.get("service", ""))
    place = surroundings.of(organisation, [(ci, service)])[(ci, service)]
    opening = Opening(
        organisation=organisation, title=title, severity="warning", ci=ci, service=service, why=tuple(why)
    )
    incident = _Desk(section).open(work, opening, place, 0, given=dict(values))
    start = incident.ci or incident.service
    suspects.propose(
        work, incident, suspects.find(organisation, [(start, "")], work.now, section).get(start, ())
    )
    return incident


def adopt(
    work: Work,
    organisation: str,
    values: Mapping[str, Any],
    *,
    why: Sequence[Reason],
    occurred_at: Instant | None = None,
    cause: str = "",
    trace: str = "",
) -> Incident:
    """Open the incident of a ticket that a partner holds: its values stand, what it lacks comes from our rules."""
    section: IncidentSection = blueprint.current().section("incident")
    given = {name: value for name, value in values.items() if name in _EDITABLE}
    reasons = list(why)
    if given.get("state") in {"resolved", "closed"}:
        missing, more = resolution.left_out(given, section)
        given |= missing
        reasons += more
    ci, service = str(given.get("ci") or ""), str(given.get("service") or "")
    place = surroundings.of(organisation, [(ci, service)])[(ci, service)]
    opened = Opening(
        organisation=organisation,
        title=str(given.get("title") or "Without a title"),
        severity="warning",
        ci=ci,
        service=service,
        why=tuple(reasons),
        occurred_at=occurred_at,
        cause=cause,
        trace=trace,
    )
    incident = _Desk(section).open(work, opened, place, 0, given=given)
    start = incident.ci or incident.service
    suspects.propose(
        work, incident, suspects.find(organisation, [(start, "")], work.now, section).get(start, ())
    )
    return incident


def _earlier(
    organisation: str, keys: Sequence[str], section: IncidentSection, now: Instant
) -> dict[str, int]:
    """Return how many incidents of each signature there were in the look-back time."""
    if not section.recurring_threshold:
        return {}
    since = now - microseconds(section.recurring_within)
    found: dict[str, int] = {}
    for chunk in chunks(keys):
        rows = Incident.objects.filter(
            organisation=organisation, correlation_key__in=chunk, opened_at__gte=since
        )
        found.update(dict(rows.values_list("correlation_key").annotate(Count("id"))))
    return found


class _Desk:
    """The rules of one blueprint generation, applied to openings."""

    def __init__(self, section: IncidentSection) -> None:
        self.section = section
        self.table = table(section)
        self.rules = assignment_rules(section)

    def open(
        self,
        work: Work,
        opening: Opening,
        place: surroundings.Surrounding,
        earlier: int,
        given: Mapping[str, Any] | None = None,
        *,
        gathering: bool = False,
    ) -> Incident:
        given = dict(given or {})
        levels = priority.decide(
            self.table, criticality=place.criticality, users=place.users, severity=opening.severity
        )
        impact, urgency = given.get("impact") or levels.impact, given.get("urgency") or levels.urgency
        level = given.get("priority") or priority.from_levels(self.table, impact, urgency)
        group, group_why = assignment.decide(
            self.rules, self.section.default_group, place.assignment(), level, work.now
        )
        why = [*opening.why, *levels.why, group_why]
        occurrence = earlier + 1
        checked: Json = None
        if opening.correlation_key and recurrence.recurring(occurrence, self.section.recurring_threshold):
            text = f"Incident {occurrence} of this signature in {in_words(microseconds(self.section.recurring_within))}."
            checked = {"due": True, "occurrence": occurrence}
            why.append(
                Reason(rule="incident.recurrence", text=f"{text} A collision check is due before diagnosis.")
            )
        path, path_why = escalating.path_for(work, place.assignment(), level)
        why += path_why
        is_major = level in self.section.major.priorities
        if is_major:
            why.append(
                Reason(
                    rule="incident.major",
                    text=f"Major: priority {level}; {self.section.major.owner} owns the triggers.",
                )
            )
        state = given.pop("state", "") or states.INITIAL
        values: dict[str, Any] = {
            "title": opening.title[:TITLE_CHARACTERS_MAX],
            "description": opening.description,
            "state": state,
            "impact": impact,
            "urgency": urgency,
            "priority": level,
            "ci": opening.ci,
            "service": opening.service or place.service_id,
            "assignment_group": group,
            "tags": list(opening.tags),
            "correlation_key": opening.correlation_key,
            "correlation_reason": opening.correlation_reason,
            "gathering": gathering,
            "major": is_major,
            "trigger_owner": self.section.major.owner if is_major else "",
            "escalation_path": path,
            "opened_at": work.now,
            "collision_checked": checked,
            **{name: value for name, value in given.items() if value not in (None, "")},
        }
        values |= closing_times(state, work.now)
        incident = work.create(
            Incident,
            organisation=opening.organisation,
            values=values,
            why=why or [Reason(rule="incident.create", text="Opened by hand.")],
            occurred_at=opening.occurred_at,
            cause=opening.cause,
            trace=opening.trace,
            record_id=opening.record_id,
            versions={**opening.versions, "blueprint": str(work.generation)},
        )
        if is_major:
            major.begin(work, incident, self.section.major.owner, why[-1:])
        if state == "resolved":
            due.schedule(
                work,
                "incident.close",
                incident.id,
                Instant(work.now + microseconds(self.section.close_after)),
                organisation=incident.organisation,
            )
        return incident


def closing_times(state: str, now: Instant) -> dict[str, Any]:
    """Return the times that go with a state: when it was resolved, when closed."""
    if state == "resolved":
        return {"resolved_at": now, "closed_at": None}
    if state in states.FINAL:
        return {"closed_at": now}
    return {"resolved_at": None, "closed_at": None}
