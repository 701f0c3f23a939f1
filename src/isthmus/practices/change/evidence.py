"""Approvals seen at other systems: evidence, judged; never taken by merge.

What the partner approved is compared with what stands here: each content field of the same read, in the
partner's spelling, is overlaid on the change as its entries tell it, and the hash of the result must be the
current one. Who approved there must be a person known here. The blueprint must name the system. What was
accepted ends when a later sight shows other content there, or no approval any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.hub.sync import loading, synced
from isthmus.hub.sync.algorithm import Unmapped
from isthmus.hub.sync.dialect import Dialect
from isthmus.identity import partner_names
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Reason
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approval
from isthmus.practices.approval.models import Approval
from isthmus.practices.approval.rules import Evidence
from isthmus.practices.change import elsewhere, lifecycle, proof
from isthmus.practices.change.models import Change
from isthmus.practices.change.rules.content import CONTENT_FIELDS, content_hash
from isthmus.practices.configuration import service as configuration

_WINDOW = ("window_start", "window_end")
_TYPES = frozenset({"standard", "normal", "emergency"})


def judge(work: Work, record: RecordModel, connection: str, observation: Observation) -> None:
    """Judge what a partner says about the authorisation of a change; the hook of sync for authority fields."""
    if not isinstance(record, Change):
        return
    origin = elsewhere.origin_of(work, record, connection, observation)
    if origin == connection:
        values = seen_values(proof.with_pending(work, record), connection, observation, master=True)
        shown = {*elsewhere.TAKEN, *(set(CONTENT_FIELDS) & observation.values.keys())}
        told = elsewhere.Told(
            values=values,
            shown=content_hash({name: values.get(name) for name in shown}),
            evidence=found_in(connection, observation, record.organisation),
            verdict=verdict_of(observation),
            state="cancelled" if observation.deleted else str(observation.evidence.get("state") or ""),
            requester=record.requester
            or partner_names.find(connection, _text(observation, "requester"), record.organisation).person,
        )
        elsewhere.follow(work, record, connection, told)
    else:
        _judge_ours(work, record, connection, observation)


def _judge_ours(work: Work, change: Change, connection: str, observation: Observation) -> None:
    """Judge a sight of a change that was raised here: it may decide what is asked for, or end what it decided."""
    told, verdict = proof.proven(change.id), verdict_of(observation)
    if told is None or not verdict:
        return
    seen = seen_hash(told.values, connection, observation)
    if approval.rests_on(change.id, change.organisation, connection):
        if verdict != "approved":
            lifecycle.void(work, change, f"{connection} no longer calls it approved.")
        elif seen != told.content_hash:
            lifecycle.void(work, change, f"It was edited at {connection} after its approval there.")
        return
    if verdict not in {"approved", "refused"}:
        return
    waiting = (
        Approval.objects.filter(organisation=change.organisation, subject=change.id, state="awaiting")
        .order_by("id")
        .first()
    )
    if not isinstance(waiting, Approval):
        return
    found = found_in(connection, observation, change.organisation, content=seen)
    approval.accept_evidence(work, waiting, found, trusted=proof.trusted(connection, told.values["type"]))


def verdict_of(observation: Observation) -> str:
    """Return what the partner says: `approved`, `refused`, another word for neither, or "" if it says nothing."""
    known = _text(observation, "authorisation")
    return known or ("unknown" if _text(observation, "partner_approval") else "")


def found_in(connection: str, observation: Observation, organisation: str, *, content: str = "") -> Evidence:
    """Return the decision that one sight shows. `content` is the hash of what the same read shows."""
    name, verdict = _text(observation, "approver") or observation.partner_actor, verdict_of(observation)
    known = partner_names.Known()
    if verdict in {"approved", "refused"}:
        known = partner_names.find(connection, name, organisation)
    return Evidence(
        system=connection,
        verdict=verdict,
        approver=known.person,
        named_by=known.given_by,
        content_hash=content,
        partner_actor=name,
        partner_version=observation.version,
        at=observation.occurred_at,
    )


def seen_hash(ours: Mapping[str, Any], connection: str, observation: Observation) -> str:
    """Return the content hash of the change as the partner showed it in this read.

    A connector that reports a hash of its own (`content_hash`) is taken at that word, and compared like any
    other.
    """
    given = _text(observation, "content_hash")
    return given or content_hash(seen_values(ours, connection, observation))


def seen_values(
    ours: Mapping[str, Any], connection: str, observation: Observation, *, master: bool = False
) -> dict[str, Any]:
    """Return the change as the partner showed it: `ours` overlaid with every content field of this read.

    A field that the partner does not keep stays ours: nobody approved anything else there. `master`: the
    change was raised there, so an empty window or list of items is its word too.
    """
    dialect = Dialect(loading.mapping_of(connection, "change"))
    overlaid = dict(ours)
    for name, theirs in observation.values.items():
        if name in CONTENT_FIELDS and name in dialect.mapping.fields:
            overlaid[name] = _theirs_or_ours(dialect, name, theirs, ours.get(name))
    for name in _WINDOW:
        kept = master or name in dialect.mapping.fields
        at = observation.evidence.get(name)
        # Partners keep whole seconds; a difference below one is spelling, not content.
        if (
            name in observation.evidence
            and (at is not None or kept)
            and _second(at) != _second(ours.get(name))
        ):
            overlaid[name] = at
    cis = observation.evidence.get("cis")
    if isinstance(cis, list) and (cis or master):
        overlaid["cis"] = _items(
            [str(each) for each in cis], list(ours.get("cis") or []), str(ours["organisation"])
        )
    kind = observation.evidence.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        overlaid["type"] = kind
    return overlaid


def _second(at: Any) -> int | None:
    return at // SECOND if isinstance(at, int) else None


def _items(theirs: list[str], ours: list[str], organisation: str) -> list[str]:
    """Return their items as this map knows them; ours unchanged where both name the same ones."""
    known = configuration.resolve([*theirs, *ours], organisation=organisation)
    found = sorted({known[each] or each for each in theirs})
    return ours if found == sorted({known[each] or each for each in ours}) else found


def _text(observation: Observation, name: str) -> str:
    found = observation.evidence.get(name)
    return found if isinstance(found, str) else ""


def _theirs_or_ours(dialect: Dialect, name: str, theirs: Any, ours: Any) -> Any:
    try:
        if dialect.normal(name, dialect.outward(name, ours)) == dialect.normal(name, theirs):
            return ours
        return dialect.inward(name, theirs)
    except Unmapped:
        return f"unreadable: {theirs!r}"


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
