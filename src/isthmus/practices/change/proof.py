"""What the entries say about a change, whatever its row in the table says: the ground of every authorisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus import blueprint
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.change import CHANGE
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.approval import rules as approval_rules
from isthmus.practices.approval import service as approval
from isthmus.practices.change.blueprint import ChangeSection, Model, model_named, version_of
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules import eligibility
from isthmus.practices.change.rules.content import content_hash
from isthmus.practices.change.rules.eligibility import ModelTerms, Touched
from isthmus.practices.change.rules.gate import Authority
from isthmus.practices.configuration import service as configuration

_OUTCOMES_READ = 50


@dataclass(frozen=True, kw_only=True)
class Proven:
    """A change as its entries tell it. `differs` names columns of the row that say otherwise."""

    values: dict[str, Any]
    version: int
    content_hash: str
    requesters: frozenset[str]
    differs: list[str]


def proven(record_id: str, row: Change | None = None) -> Proven | None:
    """Return the change that the entries tell, or None if they know none (a planted row is none)."""
    told = reading.as_of(Change, record_id)
    if told is None:
        return None
    differs = (
        []
        if row is None
        else sorted(
            each.name for each in CHANGE.fields if _plain(getattr(row, each.name)) != _plain(told[each.name])
        )
    )
    if row is not None and row.organisation != told["organisation"]:
        differs.append("organisation")
    return Proven(
        values=told,
        version=int(told.get("version", 0)),
        content_hash=content_hash(told),
        requesters=frozenset({str(told["requester"])} - {""}),
        differs=differs,
    )


def with_pending(work: Work, record: Change) -> dict[str, Any]:
    """Return the change as its entries tell it, with what this Work has done to it so far."""
    told = reading.as_of(Change, record.id) or {
        "id": record.id, "organisation": record.organisation, **{each.name: None for each in CHANGE.fields}
    }  # fmt: skip
    pending = work.pending.get(record.id)
    names = pending.changes if pending is not None else ()
    return {**told, **{name: getattr(record, name) for name in names}}


def trusted(connection: str, change_type: str) -> bool:
    """Return whether the blueprint names a connection as authority for this type of change."""
    return any(each.system == connection and change_type in each.types for each in section().evidence)


def _plain(value: Any) -> Any:
    return value or None


def authority(change: Proven, section: ChangeSection, now: Instant) -> Authority:
    """Return what authorises this change right now: its model, or the decisions about its current content."""
    values = change.values
    if values["type"] == "standard" and not raised_at(values):
        refusals = [each.text for each in model_refusals(values, section)]
        pinned = values["evidence"] if isinstance(values["evidence"], dict) else {}
        reasons = (
            []
            if pinned.get("content_hash") == change.content_hash
            else ["The content was edited after the model covered it."]
        )
        return Authority(approved=not reasons, awaiting=False, reasons=reasons, model_refusals=refusals)
    facts = approval.facts_about(str(values["id"]), str(values["organisation"]))
    found = approval_rules.standing(
        facts, content_hash=change.content_hash, requesters=change.requesters, now=now
    )
    return Authority(approved=found.approved, awaiting=found.awaiting, reasons=found.reasons)


def raised_at(values: Mapping[str, Any]) -> str:
    """Return the connection where a change was raised, "" for here. Models of ours do not cover those."""
    evidence = values.get("evidence")
    return str(evidence.get("raised_at") or "") if isinstance(evidence, dict) else ""


def model_refusals(values: dict[str, Any], section: ChangeSection) -> list[Reason]:
    """Return why the change's standard model does not cover this instance; [] if it does."""
    model = model_named(section, str(values["model"]))
    if model is None:
        return [Reason(rule="change.model.unknown", text=f"There is no change model {values['model']!r}.")]
    organisation = str(values["organisation"])
    terms = ModelTerms(
        name=model.name, ci_classes=model.ci_classes, environments=model.environments, dependants_max=model.dependants_max,
        allow_shared=model.allow_shared, failures_max=model.failures_max,
    )  # fmt: skip
    return eligibility.refusals(
        terms,
        touched(list(values["cis"] or []), str(values["environment"]), organisation),
        outcomes(model, organisation),
    )


def touched(references: list[str], environment: str, organisation: str) -> Touched:
    """Return what a change touches, by the map as it is."""
    held = configuration.snapshot_of(organisation)
    resolved = {each: held.index.resolve(each) for each in references}
    starts = sorted({ci for ci in resolved.values() if ci})
    return Touched(
        lines=[list(held.schema.line(held.cis[ci].ci_class)) for ci in starts],
        unresolved=sorted(each for each, ci in resolved.items() if not ci),
        shared=[ci for ci in starts if held.cis[ci].shared],
        dependants=len(held.graph.affected(starts)) - len(starts),
        environment=environment,
    )


def outcomes(model: Model, organisation: str) -> list[str]:
    """Return the outcomes of the model's closed changes, newest first, as far as its present version goes."""
    rows = Change.objects.filter(
        organisation=organisation, model=model.name, state="closed", synthetic=False
    ).order_by("-closed_at", "-id")
    version = version_of(model)
    found = rows.values_list("outcome", "evidence")[:_OUTCOMES_READ]
    return [
        outcome
        for outcome, evidence in found
        if isinstance(evidence, dict) and evidence.get("model_version") == version
    ]


def section() -> ChangeSection:
    """Return the section in force."""
    found: ChangeSection = blueprint.current().section("change")
    return found
