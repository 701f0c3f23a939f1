"""One batch of alert events of one organisation: fold, decide, write. All queries are per batch, none per alert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import asdict

from isthmus.hub import due
from isthmus.hub.observing import Outcome, Seen, What, outcome
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.monitoring import group_wait, index, partner, succession, watch
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring.deciding import Case, Decider
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.partner import view_of
from isthmus.practices.monitoring.reading import Sighting, repeats, sight
from isthmus.practices.monitoring.rules import occurrence, stability
from isthmus.practices.monitoring.rules.groups import WAITING
from isthmus.practices.monitoring.rules.occurrence import FIRING, UNSEEN, Held
from isthmus.practices.monitoring.surroundings import Surroundings

TIMER = "monitoring.alert"
SUPPRESSED = "suppressed_"


@dataclass(kw_only=True)
class Draft:
    """What this batch does to one alert, before it is written."""

    id: str
    first: Sighting
    alert: Alert | None
    known: bool
    held: Held
    values: dict[str, Any] = field(default_factory=dict)
    why: list[Reason] = field(default_factory=list)
    occurrences: int = 0
    fired: bool = False
    cleared: bool = False
    changes: list[int] = field(default_factory=list)
    raised: str = ""
    notes: dict[tuple[int, int], tuple[What, str]] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def firing(self) -> bool:
        return self.held.state == FIRING


class Batch:
    """`take` is the whole: it returns one outcome per event, in their order."""

    def __init__(self, work: Work, organisation: str, now: Instant) -> None:
        self.work = work
        self.organisation = organisation
        self.now = now
        self.plan = plans.current()
        self.around = Surroundings(self.plan, organisation, now)
        self.decider = Decider(work, self.plan, self.around)

    def take(self, seens: Sequence[Seen]) -> list[Outcome]:
        sightings = [sight(self.plan, each) for each in seens]
        for each in sightings:
            repeats.keep(self.plan, each.seen, each.identity)
        held = index.load(self.work, self.organisation, {each.identity for each in sightings})
        succession.adopt(self.work, self.plan, self.organisation, sightings, held)
        drafts: dict[str, Draft] = {}
        unknown: dict[tuple[int, int], Outcome] = {}
        for each in sightings:
            draft = drafts.get(each.identity)
            if draft is None:
                alert = held.get(each.identity)
                if alert is None and not each.event.firing:
                    key = (each.seen.message_position, each.seen.place)
                    unknown[key] = outcome(
                        each.seen, "ignored", reason="It cleared, but it was not known to fire."
                    )
                    continue
                draft = drafts[each.identity] = self._draft(each, alert)
                if alert is None:
                    continue
            self._fold(draft, each)
        self._write(drafts)
        if drafts:
            watch.begin(self.work, self.organisation)
        return [self._outcome(each, drafts, unknown) for each in sightings]

    # Fold ----------------------------------------------------------------------------------------------

    def _draft(self, sighting: Sighting, alert: Alert | None) -> Draft:
        event = sighting.event
        if alert is not None:
            held = Held(
                state=alert.state,
                severity=alert.severity,
                summary=alert.summary,
                labels=alert.labels or {},
                annotations=alert.annotations or {},
                starts_at=None if alert.starts_at is None else Instant(alert.starts_at),
                ends_at=None if alert.ends_at is None else Instant(alert.ends_at),
                view=view_of(alert),
            )
            return Draft(
                id=alert.id,
                first=sighting,
                alert=alert,
                known=True,
                held=held,
                changes=list(alert.state_changes or ()),
            )
        started = event.starts_at or event.at
        held = Held(
            state=FIRING,
            severity=event.severity,
            summary=event.summary,
            labels=event.labels,
            annotations=event.annotations,
            starts_at=started,
            ends_at=None,
            view=event.view or UNSEEN,
        )
        draft = Draft(
            id=source.new_id(), first=sighting, alert=None, known=False, held=held, fired=True, occurrences=1
        )
        if event.view is not None:
            draft.values |= asdict(event.view)
        draft.sightings.append(sighting)
        return draft

    def _fold(self, draft: Draft, sighting: Sighting) -> None:
        folded = occurrence.fold(draft.held, sighting.event)
        seen = sighting.seen
        draft.sightings.append(sighting)
        # Somebody's acknowledgement at the source is news, but no further occurrence.
        draft.occurrences += sighting.event.firing and (folded.view is None or bool(folded.turn))
        draft.values |= folded.fields()
        draft.held = folded.held(draft.held)
        if folded.note:
            draft.notes[(seen.message_position, seen.place)] = ("ignored", folded.note)
        elif folded.turn:
            draft.fired = draft.fired or folded.turn == "fired"
            draft.cleared = folded.turn == "cleared"
            draft.changes = stability.remember(draft.changes, self.now)
            draft.values["state_changes"] = draft.changes
            if folded.turn == "fired":
                draft.values["external_key"] = sighting.external_key
                draft.values |= {} if draft.alert is None else partner.afresh(draft.alert)
            text = "It fires again." if folded.turn == "fired" else "Its source says that it has cleared."
            draft.why.append(Reason(rule=f"monitoring.{folded.turn}", text=text))
        elif news := folded.fields():
            text = f"News from its source: {', '.join(sorted(news))}."
            draft.why.append(Reason(rule="monitoring.changed", text=text))
        elif draft.alert is not None or len(draft.sightings) > 1:
            draft.notes[(seen.message_position, seen.place)] = ("repeat", "It says nothing new.")
        if draft.alert is not None and draft.alert.told and sighting.event.firing and not folded.turn:
            draft.values |= partner.fires_still(draft.alert, seen.received_at)
        if draft.alert is not None and draft.alert.told and sighting.event.view is not None:
            draft.values |= partner.read_back(draft.alert, sighting.event.view, seen.received_at)
        if draft.alert is not None and occurrence.worse(draft.held.severity, draft.alert.severity):
            draft.raised = draft.held.severity

    # Decide and write ----------------------------------------------------------------------------------

    def _write(self, drafts: dict[str, Draft]) -> None:
        cases = []
        for draft in drafts.values():
            alert = draft.alert
            again = alert is not None and draft.firing and alert.decision.startswith(SUPPRESSED)
            woken = (
                alert is not None
                and draft.firing
                and bool(draft.raised)
                and alert.decision == "informational"
            )
            if draft.fired or again or woken:
                flapping = stability.flapping(draft.changes, self.now, self.plan.times)
                cases.append(
                    Case(
                        id=draft.id,
                        identity=draft.first.identity,
                        severity=draft.held.severity,
                        labels=dict(draft.held.labels),
                        annotations=dict(draft.held.annotations),
                        connection=draft.first.seen.connection,
                        summary=draft.held.summary,
                        at=Instant(draft.held.starts_at or self.now),
                        firing=draft.firing,
                        flapping=flapping,
                        alert=alert,
                        waited=not draft.fired or flapping,
                        cause=draft.first.seen.message_id,
                        trace=draft.first.seen.trace,
                    )
                )
        cleared = [draft.alert for draft in drafts.values() if draft.cleared and draft.alert is not None]
        self.decider.decide(cases, cleared=[alert.id for alert in cleared])
        for draft in drafts.values():
            self._write_one(draft)
        self.decider.finish()

    def _write_one(self, draft: Draft) -> None:
        verdict = self.decider.verdicts.get(draft.id)
        seen = draft.first.seen
        why = [*draft.why, *(verdict.why if verdict else ())]
        values = {**draft.values, **(verdict.values if verdict else {})}
        decision = values.get("decision") or (draft.alert.decision if draft.alert else "")
        if decision == WAITING and not draft.firing:
            values |= group_wait.CLEARED.values
            why.append(group_wait.CLEARED.reason)
        versions = {"identity": f"{draft.first.identity_version}", "blueprint": str(self.work.generation)}
        if draft.alert is None:
            event = draft.first.event
            full = {
                "identity": draft.first.identity,
                "identity_version": draft.first.identity_version,
                "connection": seen.connection,
                "external_key": draft.first.external_key,
                "severity": event.severity,
                "state": FIRING,
                "summary": event.summary,
                "labels": dict(event.labels),
                "annotations": dict(event.annotations),
                "starts_at": event.starts_at or event.at,
                "open": True,
                **values,
                "occurrences": draft.occurrences,
                "notifications": len(draft.sightings),
                "last_seen_at": self.now,
            }
            draft.alert = self.work.create(
                Alert,
                organisation=self.organisation,
                values=full,
                why=why,
                occurred_at=event.at,
                cause=seen.message_id,
                trace=seen.trace,
                record_id=draft.id,
                versions=versions,
            )
            index.keep(self.work, [draft.alert])
        else:
            if values:
                self.work.change(
                    draft.alert,
                    values,
                    why=why,
                    occurred_at=draft.sightings[-1].event.at,
                    cause=seen.message_id,
                    trace=seen.trace,
                    versions=versions,
                )
            self.work.bump(
                Alert,
                {"id": draft.id},
                {"occurrences": draft.occurrences, "notifications": len(draft.sightings)},
                {"last_seen_at": self.now},
            )
        if draft.raised and draft.alert.incident:
            self.decider.raise_severity(draft.alert.incident, draft.raised)
        self._set_timer(draft)

    def _set_timer(self, draft: Draft) -> None:
        alert = draft.alert
        if alert is None:
            return
        if not draft.firing and draft.cleared:
            at = stability.settles_at(self.now, draft.changes, self.now, self.plan.times)
            due.schedule(self.work, TIMER, alert.id, at, organisation=self.organisation)
            return
        verdict = self.decider.verdicts.get(draft.id)
        if verdict is not None and verdict.look_again is not None and draft.firing:
            grace = self.plan.times.grace if alert.decision == "suppressed_maintenance" else 0
            due.schedule(
                self.work,
                TIMER,
                alert.id,
                Instant(verdict.look_again + grace),
                organisation=self.organisation,
            )
        elif draft.fired and draft.known:
            due.cancel(self.work, TIMER, alert.id, organisation=self.organisation)

    # Outcomes ------------------------------------------------------------------------------------------

    def _outcome(
        self, sighting: Sighting, drafts: dict[str, Draft], unknown: dict[tuple[int, int], Outcome]
    ) -> Outcome:
        key = (sighting.seen.message_position, sighting.seen.place)
        if key in unknown:
            return unknown[key]
        draft = drafts[sighting.identity]
        alert = draft.alert
        records = tuple(each for each in (draft.id, alert.incident if alert else "") if each)
        decision = alert.decision if alert else ""
        if key in draft.notes:
            what, note = draft.notes[key]
            return outcome(
                sighting.seen,
                what,
                reason=f"{decision}: {note} {alert.decision_reason if alert else ''}".strip(),
                records=records,
            )
        suppressed = decision.startswith(SUPPRESSED)
        reason = f"{decision}: {alert.decision_reason}" if alert else ""
        return outcome(sighting.seen, "suppressed" if suppressed else "entry", reason=reason, records=records)
