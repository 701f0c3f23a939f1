"""What becomes of alerts that fire: quiet, recorded, drafted, waiting, or in which incident; always with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.kernel.errors import Bug
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.configuration.gaps import OpenGaps
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import group_wait, index
from isthmus.practices.monitoring.grouping import Grouping
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.plan import Plan
from isthmus.practices.monitoring.reading import hints
from isthmus.practices.monitoring.rules import accuracy, automation, suppression
from isthmus.practices.monitoring.rules.automation import Level
from isthmus.practices.monitoring.rules.matching import all_fit
from isthmus.practices.monitoring.rules.suppression import SourceAlert, Subject
from isthmus.practices.monitoring.surroundings import Surroundings

INFORMATIONAL = "informational"
HEARTBEAT = "heartbeat"


@dataclass(kw_only=True)
class Case:
    """An alert about which something is to be decided. `alert` is its record, if there is one already; `waited`:
    it has been known for a while, so that nothing further is waited for."""

    id: str
    identity: str
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    connection: str
    summary: str
    at: Instant
    firing: bool
    flapping: bool
    alert: Alert | None
    waited: bool
    cause: str = ""
    trace: str = ""
    ci: str = ""
    service: str = ""
    bound: dict[str, Any] = field(default_factory=dict)

    @property
    def all_labels(self) -> dict[str, str]:
        return {"connection": self.connection, **self.labels, "severity": self.severity}


@dataclass(kw_only=True)
class Verdict:
    """Fields to set, their reasons, and when to look again (None: when its source says something)."""

    values: dict[str, Any]
    why: list[Reason]
    look_again: Instant | None = None


def case_of(alert: Alert) -> Case:
    """Return the case of a recorded alert that is decided anew."""
    return Case(
        id=alert.id,
        identity=alert.identity,
        severity=alert.severity,
        labels=dict(alert.labels or {}),
        annotations=dict(alert.annotations or {}),
        connection=alert.connection,
        summary=alert.summary,
        at=Instant(alert.starts_at or alert.created_at),
        firing=alert.state == "firing",
        flapping=False,
        alert=alert,
        waited=True,
        trace=alert.trace,
    )


class Decider:
    """Decides the cases of one batch; `verdicts` are by alert id. `finish` writes what concerns other records."""

    def __init__(self, work: Work, plan: Plan, around: Surroundings) -> None:
        self.work = work
        self.plan = plan
        self.around = around
        self.verdicts: dict[str, Verdict] = {}
        self._others: dict[str, Alert] = {}
        self._raises: dict[str, str] = {}
        self._grouping: Grouping | None = None

    def decide(self, cases: Sequence[Case], *, cleared: Sequence[str] = ()) -> None:
        """Decide `cases` and the alerts that the `cleared` ones kept quiet until now."""
        every = [*cases, *self._released(cleared, {each.id for each in cases})]
        unknown: dict[str, str] = {}
        for case in every:
            hint = self._bind(case)
            if hint:
                unknown.setdefault(hint, case.id)
        if unknown:
            OpenGaps(self.work, self.around.organisation).report(unknown)
        may_inhibit = self.plan.inhibitions
        inhibitors = {
            each.id for each in every if may_inhibit and suppression.may_inhibit(each.all_labels, may_inhibit)
        }
        sources = self.around.sources(without=[*cleared, *(each.id for each in every)])
        sources += [
            SourceAlert(id=each.id, identity=each.identity, labels=each.all_labels, summary=each.summary)
            for each in every
            if each.id in inhibitors and each.firing
        ]
        known = self._incidents(every)
        correlating = []
        for case in every:
            verdict = self._first_words(case, sources, known)
            if verdict is None:
                correlating.append(case)
                verdict = Verdict(values={}, why=[])
            verdict.values |= {**case.bound, "inhibitor": case.id in inhibitors}
            self.verdicts[case.id] = verdict
        if correlating:
            self._correlate(correlating)

    def raise_severity(self, incident: str, severity: str) -> None:
        """Remember that an alert of an incident got worse."""
        self._raises[incident] = severity

    def finish(self) -> None:
        """Write the verdicts about alerts that this batch did not see, and what incidents learn from it."""
        for record_id, alert in self._others.items():
            verdict = self.verdicts[record_id]
            self.work.change(alert, verdict.values, why=verdict.why)
        waits = [
            each.values["waits_until"] for each in self.verdicts.values() if each.values.get("waits_until")
        ]
        if waits:
            group_wait.begin(self.work, self.around.organisation, max(waits))
        worse = {key: severity for key, severity in self._raises.items() if severity}
        for record_id, incident in incidents.load(self.work, worse).items():
            why = [Reason(rule="monitoring.severity", text=f"An alert of it became {worse[record_id]}.")]
            incidents.raise_severity(self.work, incident, worse[record_id], why=why)

    # Steps ---------------------------------------------------------------------------------------------

    def _released(self, cleared: Sequence[str], seen: set[str]) -> list[Case]:
        """Return alerts that were quiet only because of alerts that have cleared now."""
        if not cleared or not self.plan.inhibitions:
            return []
        rows = Alert.objects.filter(
            organisation=self.around.organisation, suppressed_by__in=list(cleared), open=True, state="firing",
            decision="suppressed_inhibited",
        )  # fmt: skip
        wanted = [
            identity for record_id, identity in rows.values_list("id", "identity") if record_id not in seen
        ]
        found = index.load(self.work, self.around.organisation, wanted)
        self._others |= {each.id: each for each in found.values()}
        return [case_of(each) for each in found.values()]

    def _bind(self, case: Case) -> str:
        """Find the item that an alert speaks about; return the name that the map does not know, else ""."""
        if case.alert is not None and case.alert.ci:
            case.ci, case.service = case.alert.ci, case.alert.service
            return ""
        given = hints(self.plan, case.labels)
        binding = self.around.bind(given)
        case.ci, case.service = binding.ci, binding.service
        case.bound = {
            "ci": binding.ci,
            "service": binding.service,
            "binding": binding.how,
            "binding_confidence": binding.confidence,
        }
        return "" if binding.ci else binding.hint

    def _incidents(self, cases: Sequence[Case]) -> dict[str, Any]:
        """Return the incidents that alerts which fire again had."""
        return incidents.load(
            self.work,
            {case.alert.incident for case in cases if case.alert is not None and case.alert.incident},
        )

    def _first_words(self, case: Case, sources: list[SourceAlert], known: dict[str, Any]) -> Verdict | None:
        """Return a verdict that needs no correlation, or None."""
        heartbeat = self.plan.heartbeats.get(case.connection)
        if heartbeat is not None and all_fit(heartbeat, case.all_labels):
            text = f"A sign of life of {case.connection}: if it stays away, that becomes an alert."
            return _said(HEARTBEAT, Reason(rule="monitoring.expected.heartbeat", text=text))
        if case.severity == INFORMATIONAL:
            return _said(
                INFORMATIONAL,
                Reason(rule="monitoring.informational", text="Informational: recorded, no incident."),
            )
        found = suppression.decide(
            Subject(identity=case.identity, labels=case.all_labels, ci=case.ci, severity=case.severity),
            windows=self.around.windows(case.ci),
            silences=self.around.silences,
            inhibitions=self.plan.inhibitions,
            sources=sources,
            now=self.around.now,
        )
        held = known.get(case.alert.incident) if case.alert is not None else None
        if found is not None:
            verdict = _said(found.decision, found.reason, suppressed_by=found.by)
            verdict.look_again = found.until
            return verdict
        if held is not None and incidents.takes_alerts(held, self.around.now):
            return self._again(case, held)
        level, why = automation.decide(self.plan.automation, self.around.name_of(case.service), case.severity)
        if level is Level.RECORD:
            return _said("recorded_only", why)
        level, held_back = accuracy.governed(
            level, policy=self.plan.accuracy, full_permitted=self._full_permitted(case)
        )
        if level is Level.DRAFT:
            return _said("drafted", held_back or why)
        return None

    def _full_permitted(self, case: Case) -> bool | None:
        """Return what the verdicts about this class of alerts say, None if there are none yet."""
        if self.plan.accuracy.threshold <= 0:
            return True
        name = accuracy.alert_class(self.plan.accuracy, case.labels, case.severity)
        return self.around.permitted(case.service, name)

    def _again(self, case: Case, incident: Any) -> Verdict:
        """The alert fires again while its incident is open, or was resolved a short time ago: the same incident."""
        if case.alert is None:
            raise Bug("Only a recorded alert can fire again.")
        if case.flapping:
            text = "It flaps: it changed its state too often lately. It stays with its incident until it is stable."
            return _said("flapping", Reason(rule="monitoring.flapping", text=text))
        if incident.state == "resolved":
            text = "It fired again shortly after the resolution."
            incidents.reopen(
                self.work,
                incident,
                why=[Reason(rule="monitoring.reopen", text=text, facts={"alert": case.id})],
            )
        decision = (
            case.alert.decision
            if case.alert.decision in {"opened", "joined", "attached_to_parent", "storm"}
            else "joined"
        )
        return _said(
            decision, Reason(rule="monitoring.again", text="It fires again: still the same incident.")
        )

    def _correlate(self, cases: list[Case]) -> None:
        grouping = Grouping(self.work, self.plan, self.around)
        grouping.run(cases)
        for record_id, placed in grouping.placed.items():
            verdict = self.verdicts.get(record_id)
            if verdict is None:
                alert = grouping.others[record_id]
                self._others[record_id] = alert
                verdict = self.verdicts[record_id] = Verdict(values={}, why=[])
            verdict.values |= placed.values
            verdict.why += placed.why
        self._raises |= grouping.raises


def _said(decision: str, reason: Reason, *, suppressed_by: str = "") -> Verdict:
    return Verdict(
        values={
            "decision": decision,
            "decision_reason": reason.text,
            "suppressed_by": suppressed_by,
            "waits_until": None,
        },
        why=[reason],
    )
