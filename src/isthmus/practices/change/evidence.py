"""Approvals seen at other systems: evidence, judged; never taken by merge.

What the partner approved is compared with what stands here: each content field of the same read, in the
partner's spelling, is overlaid on the change as its entries tell it, and the hash of the result must be the
current one. Who approved there must be a person known here. The blueprint must name the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.hub.observing import Seen
from isthmus.hub.sync import loading, synced
from isthmus.hub.sync.algorithm import Unmapped
from isthmus.hub.sync.dialect import Dialect
from isthmus.identity.models import Person
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Reason
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.rules import Evidence
from isthmus.practices.change import proof
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash

PEOPLE_MAX = 20_000
_WINDOW = ("window_start", "window_end")
_TYPES = frozenset({"standard", "normal", "emergency"})


def judge(work: Work, record: RecordModel, seen: Seen) -> None:
    """Judge what a partner says about the authorisation of a change; the hook of sync for authority fields."""
    verdict = str(seen.observation.evidence.get("authorisation") or "")
    if not isinstance(record, Change) or verdict not in {"approved", "refused"}:
        return
    told = proof.proven(record.id)
    waiting = (
        Approval.objects.filter(organisation=record.organisation, subject=record.id, state="awaiting")
        .order_by("id")
        .first()
    )
    if told is None or not isinstance(waiting, Approval):
        return
    trusted = any(
        each.system == seen.connection and told.values["type"] in each.types
        for each in proof.section().evidence
    )
    found = Evidence(
        system=seen.connection,
        verdict=verdict,
        approver=person_named(seen.connection, seen.observation.partner_actor, record.organisation),
        content_hash=seen_hash(told.values, seen.connection, seen.observation),
        partner_actor=seen.observation.partner_actor,
        partner_version=seen.observation.version,
        at=seen.observation.occurred_at,
    )
    approval.accept_evidence(work, waiting, found, trusted=trusted)


def seen_hash(ours: Mapping[str, Any], connection: str, observation: Observation) -> str:
    """Return the content hash of the change as the partner showed it in this read.

    A field that the partner does not keep stays ours: nobody approved anything else there. A connector that
    reports a hash of its own (`content_hash`) is taken at that word, and compared like any other.
    """
    given = observation.evidence.get("content_hash")
    if isinstance(given, str) and given:
        return given
    dialect = Dialect(loading.mapping_of(connection, "change"))
    overlaid = dict(ours)
    for name, theirs in observation.values.items():
        if name in CONTENT_FIELDS and name in dialect.mapping.fields:
            overlaid[name] = _theirs_or_ours(dialect, name, theirs, ours.get(name))
    for name in _WINDOW:
        at = observation.evidence.get(name)
        # Partners keep whole seconds; a difference below one is spelling, not content.
        if isinstance(at, int) and at // SECOND != (ours.get(name) or 0) // SECOND:
            overlaid[name] = at
    kind = observation.evidence.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        overlaid["type"] = kind
    return content_hash(overlaid)


def _theirs_or_ours(dialect: Dialect, name: str, theirs: Any, ours: Any) -> Any:
    try:
        if dialect.normal(name, dialect.outward(name, ours)) == dialect.normal(name, theirs):
            return ours
        return dialect.inward(name, theirs)
    except Unmapped:
        return f"unreadable: {theirs!r}"


def person_named(connection: str, name: str, organisation: str) -> str:
    """Return the person of ours who is called `name` at this connection, "" if nobody or several are."""
    if not name:
        return ""
    people = Person.objects.filter(organisation=organisation, state="active")[:PEOPLE_MAX]
    found = [
        each.id
        for each in people
        if isinstance(each.partner_names, dict) and each.partner_names.get(connection) == name
    ]
    return found[0] if len(found) == 1 else ""


def born_there(
    work: Work, model: type[Change], organisation: str, values: Mapping[str, Any], why: Sequence[Reason],
    occurred_at: Instant | None, cause: str, trace: str,
) -> Change:  # fmt: skip
    """Make a change that a partner raised: state `new`, not authorised, whatever the partner says about that."""
    whole = {"type": "normal", **values}
    return work.create(
        model,
        organisation=organisation,
        values={
            **whole,
            "state": "new",
            "authorisation": "not_requested",
            "content_hash": content_hash(whole),
        },
        why=why,
        occurred_at=occurred_at,
        cause=cause,
        trace=trace,
    )


def declare() -> None:
    """Tell sync how changes are made and who hears of evidence; called once from `ready`."""
    synced.register("change", create=born_there, evidence=judge)
