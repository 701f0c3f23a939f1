"""Correlation of one batch: loads what the correlator must know, and carries out what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.incident.loading import chunks
from isthmus.practices.monitoring import group_wait, index, likeness, reporting
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.plan import Plan
from isthmus.practices.monitoring.rules import occurrence
from isthmus.practices.monitoring.rules.correlation import Correlator
from isthmus.practices.monitoring.rules.groups import (
    ATTACHED,
    MOVABLE,
    WAITING,
    Group,
    GroupRule,
    Member,
    Moved,
    Placed,
    group_key,
)
from isthmus.practices.monitoring.surroundings import Surroundings

if TYPE_CHECKING:
    from isthmus.practices.monitoring.deciding import Case

STORM_KEY = "storm"
MEMBERS_MAX = 5_000
"""Most alerts of running groups that one batch looks at, the newest first."""

_COLUMNS = (
    "id",
    "identity",
    "starts_at",
    "group_key",
    "severity",
    "ci",
    "summary",
    "incident",
    "parent",
    "decision",
)


@dataclass(kw_only=True)
class Setting:
    """Fields that correlation sets on one alert."""

    values: dict[str, Any]
    why: list[Reason]


class Grouping:
    """`placed` are settings by alert id; `others` the records among them that are not cases of this batch;
    `raises` the severities that incidents learn."""

    def __init__(self, work: Work, plan: Plan, around: Surroundings) -> None:
        self.work = work
        self.plan = plan
        self.around = around
        self.placed: dict[str, Setting] = {}
        self.others: dict[str, Alert] = {}
        self.raises: dict[str, str] = {}
        self._identities: dict[str, str] = {}
        self._opening: dict[str, tuple[Case, Placed]] = {}

    def run(self, cases: list[Case]) -> None:
        """Place every case: causes before what depends on them."""
        members = {case.id: self._member(case) for case in cases}
        likeness.sort_out(self.around.organisation, list(members.values()))
        held = incidents.by_keys(
            self.work, self.around.organisation, {*(each.group_key for each in members.values()), STORM_KEY}
        )
        correlator = Correlator(
            self.plan.policy,
            members=self._neighbours(members),
            groups=self._groups(members, held),
            upstream=self.around.upstream,
            downstream=self.around.downstream,
            new_incident=source.new_id,
            opened_lately=self._opened_lately(),
            storm_incident=held[STORM_KEY].id if STORM_KEY in held else "",
        )
        known = {each.id: each for each in held.values()}
        moved: list[Moved] = []
        for case in sorted(
            cases, key=lambda each: (len(self.around.upstream(each.ci)) if each.ci else 0, each.at, each.id)
        ):
            placed, following = correlator.place(members[case.id])
            self._note(case, placed, members[case.id])
            moved += following
            if placed.opens:
                self._opening[placed.incident] = (case, placed)
            elif placed.incident in known:
                self._join(case, placed, known[placed.incident])
        self._move(moved)
        opened = self._open(members)
        self._absorb(moved, opened)
        others = [self._identities[each] for each in self.placed if each not in members]
        found = index.load(self.work, self.around.organisation, others)
        self.others = {each.id: each for each in found.values()}

    # Loading -------------------------------------------------------------------------------------------

    def _member(self, case: Case) -> Member:
        facts = self.around.snapshot.cis.get(case.ci)
        names = {
            "severity": case.severity,
            "connection": case.connection,
            "ci": facts.name if facts else "",
            "ci_class": facts.ci_class if facts else "",
            "environment": facts.environment if facts else "",
            "service": self.around.name_of(case.service),
        }
        values: dict[str, Json] = {
            **names,
            "labels": dict(case.labels),
            "annotations": dict(case.annotations),
            "summary": case.summary,
        }
        rule = self.plan.rules.first(case.labels, values)
        group: GroupRule | None = self.plan.groups[rule.name] if rule else None
        return Member(
            id=case.id,
            identity=case.identity,
            at=case.at,
            group_key=group_key(group, case.identity, {**names, **case.labels}),
            severity=case.severity,
            ci=case.ci,
            summary=case.summary,
            rule=group,
            waited=case.waited,
        )

    def _neighbours(self, members: dict[str, Member]) -> list[Member]:
        """Return firing alerts on items above and below those of the batch."""
        if not self.plan.policy.topology:
            return []
        near: set[str] = set()
        for ci, severity in {(each.ci, each.severity) for each in members.values() if each.ci}:
            near |= self.around.upstream(ci).keys()
            if severity in self.plan.policy.parent_severities:
                near |= self.around.downstream(ci).keys()
        rows: list[Member] = []
        for chunk in chunks(near):
            found = Alert.objects.filter(
                organisation=self.around.organisation,
                open=True,
                ci__in=chunk,
                state="firing",
                decision__in=MOVABLE,
            )
            rows += [
                self._row(row) for row in found.values_list(*_COLUMNS)[:MEMBERS_MAX] if row[0] not in members
            ]
        return rows

    def _row(self, row: tuple[Any, ...]) -> Member:
        record_id, identity, starts_at, key, severity, ci, summary, incident, parent, decision = row
        self._identities[record_id] = identity
        rule = (
            self.plan.groups.get(key.split("|", 1)[0].removeprefix("rule:"))
            if key.startswith("rule:")
            else None
        )
        return Member(
            id=record_id, identity=identity, at=Instant(starts_at or 0), group_key=key, severity=severity, ci=ci, summary=summary,
            incident=incident, parent=parent, decision=decision, rule=rule,
        )  # fmt: skip

    def _groups(self, members: dict[str, Member], held: dict[str, Any]) -> dict[str, Group]:
        groups = {
            each.group_key: Group(key=each.group_key, incident=held[each.group_key].id)
            for each in members.values()
            if each.group_key in held
        }
        ruled = {each.group_key for each in members.values() if each.rule is not None}
        for chunk in chunks(ruled):
            rows = Alert.objects.filter(
                organisation=self.around.organisation, open=True, group_key__in=chunk, state="firing"
            )
            for row in rows.order_by("-id").values_list(*_COLUMNS)[:MEMBERS_MAX]:
                member = self._row(row)
                group = groups.setdefault(member.group_key, Group(key=member.group_key))
                # Old alerts of an incident that is over are not counted again, nor are quiet ones.
                if member.id not in members and (
                    member.incident == group.incident
                    if member.incident
                    else member.decision == "below_threshold"
                ):
                    group.members[member.id] = member.at
        return groups

    def _opened_lately(self) -> int:
        policy = self.plan.policy
        if not policy.storm:
            return 0
        since = self.around.now - policy.storm_window
        rows = Alert.objects.filter(
            organisation=self.around.organisation, created_at__gte=since, decision__in=("opened", "storm")
        )
        return len(rows.values_list("id")[: policy.storm])

    # Carrying out --------------------------------------------------------------------------------------

    def _note(self, case: Case, placed: Placed, member: Member) -> None:
        self.placed[case.id] = Setting(
            values={
                "decision": placed.decision, "decision_reason": placed.reason.text, "incident": placed.incident,
                "parent": placed.parent, "group_key": member.group_key, "suppressed_by": "",
                "waits_until": group_wait.until(self.around.now, self._wait(member)) if placed.decision == WAITING else None,
            },
            why=[placed.reason],
        )  # fmt: skip
        for other in placed.takes:
            reason = Reason(
                rule=placed.reason.rule,
                text="Its group reached the threshold.",
                facts={"incident": placed.incident},
            )
            self._set(
                other,
                {"decision": "joined", "decision_reason": reason.text, "incident": placed.incident},
                reason,
            )

    def _wait(self, member: Member) -> int:
        asked = member.rule.wait if member.rule is not None else 0
        return max(asked, self.plan.policy.wait)

    def _set(self, record_id: str, values: dict[str, Any], reason: Reason) -> None:
        held = self.placed.get(record_id)
        if held is None:
            held = self.placed[record_id] = Setting(values={}, why=[])
        held.values |= values
        held.why.append(reason)

    def _join(self, case: Case, placed: Placed, incident: Any) -> None:
        reporting.joined(self.work, self.plan, incident)
        if incident.state == "resolved":
            why = [
                Reason(
                    rule="monitoring.reopen",
                    text="A further alert of the group fired shortly after the resolution.",
                    facts={"alert": case.id},
                )
            ]
            incidents.reopen(self.work, incident, why=why)
        if placed.decision == "joined" and occurrence.worse(case.severity, self.raises.get(incident.id, "")):
            self.raises[incident.id] = case.severity

    def _move(self, moved: list[Moved]) -> None:
        for each in moved:
            values = {
                "decision": ATTACHED,
                "decision_reason": each.reason.text,
                "incident": each.incident,
                "parent": each.parent,
                "waits_until": None,
            }
            self._set(each.alert, values, each.reason)

    def _open(self, members: dict[str, Member]) -> dict[str, Any]:
        """Open the incidents that still have alerts after all moves."""
        used = {setting.values.get("incident") for setting in self.placed.values()}
        openings = []
        for incident_id, (case, placed) in self._opening.items():
            if incident_id not in used:
                continue
            severities = [
                case.severity,
                *(members[other].severity for other in placed.takes if other in members),
            ]
            worst = max(
                severities,
                key=lambda each: (occurrence.worse(each, ""), each == "critical", each == "error", each),
            )
            storm = placed.decision == "storm"
            where = self.around.name_of(case.ci)
            title = (
                f"Alert storm in {in_words(self.plan.policy.storm_window)}" if storm else _title(case, where)
            )
            openings.append(
                incidents.Opening(
                    organisation=self.around.organisation,
                    title=title,
                    description=_description(case, where, self.around.name_of(case.service)),
                    severity=worst,
                    ci="" if storm else case.ci,
                    service="" if storm else case.service,
                    correlation_key=STORM_KEY if storm else members[case.id].group_key,
                    correlation_reason=placed.reason.text,
                    why=(placed.reason,),
                    occurred_at=case.at,
                    record_id=incident_id,
                    cause=case.cause,
                    trace=case.trace,
                )
            )
        opened = {each.id: each for each in incidents.open_from_alerts(self.work, openings)}
        for each in opened.values():
            reporting.opened(self.work, self.plan, each)
        return opened

    def _absorb(self, moved: list[Moved], opened: dict[str, Any]) -> None:
        """Incidents that lost all their alerts to a cause come under the incident of that cause."""
        left = {each.left: each for each in moved if each.left and each.left not in self._opening}
        if not left:
            return
        gone = {each.alert for each in moved}
        staying = {setting.values.get("incident") for setting in self.placed.values()}
        for chunk in chunks(left):
            rows = Alert.objects.filter(
                organisation=self.around.organisation, incident__in=chunk, open=True, state="firing"
            )
            staying |= {
                incident
                for record_id, incident in rows.values_list("id", "incident")
                if record_id not in gone
            }
        records = incidents.load(self.work, {*left, *(each.incident for each in left.values())}) | opened
        for incident_id, move in left.items():
            if incident_id not in staying and incident_id in records and move.incident in records:
                incidents.absorb(self.work, records[incident_id], records[move.incident], why=[move.reason])


def _title(case: Case, where: str) -> str:
    name = case.summary or case.labels.get("alertname") or "Alert"
    return name if not where or where in name else f"{name} ({where})"


def _description(case: Case, where: str, service: str) -> str:
    facts = {"Item": where, "Service": service, "Severity": case.severity}
    lines = [case.annotations.get("description", "")]
    lines += [f"{name}: {value}" for name, value in facts.items() if value]
    lines += [f"{key}: {value}" for key, value in sorted(case.labels.items())]
    return "\n".join(line for line in lines if line)
