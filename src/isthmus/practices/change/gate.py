"""The gate's thin side: gather the facts, decide purely, leave a record of every call.

`check` answers at once. `ask` answers 202 with a token where the answer is `wait`; the record changes once,
when something decides it, and a callback is sent once. Whatever fails while facts are gathered is a denial.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from django.db import DatabaseError

from isthmus.hub import due
from isthmus.hub.models import Due
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError, NotFound, Problem, Rejected
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approval
from isthmus.practices.change import callbacks, gathering, proof
from isthmus.practices.change.blueprint import microseconds
from isthmus.practices.change.models import GateDecision
from isthmus.practices.change.rules import gate as rules
from isthmus.practices.change.rules.gate import Asked, Decision, Facts

WAIT = "change.gate"
LOOK_AGAIN = 15 * MINUTE

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the gate says: the recorded decision, and the token of an asynchronous request (said once)."""

    decision: Decision
    record: GateDecision
    token: str = ""

    @property
    def verdict(self) -> str:
        """allow, deny or wait."""
        return self.decision.verdict


def decide(work: Work, request: Mapping[str, Any], *, organisation: str) -> GateDecision:
    """Answer one question and leave the record: `change` (number or id), `environment`, `artefact_hash`, `cis`."""
    return check(work, request, organisation=organisation).record


def check(work: Work, request: Mapping[str, Any], *, organisation: str) -> Answer:
    """Answer at once; `wait` counts as no for whoever does not wait."""
    asked, facts, decision = _look(request, organisation, work.now)
    record = _record(work, asked, facts, decision, organisation)
    return Answer(decision=decision, record=record)


def ask(
    work: Work,
    request: Mapping[str, Any],
    *,
    organisation: str,
    callback: str = "",
    wait_for: int | None = None,
) -> Answer:
    """Ask asynchronously: where the answer is `wait`, a token to look with, until it is decided or time is up.

    `callback` names a connection that is told the answer, once; `wait_for` is in microseconds.
    """
    asked, facts, decision = _look(request, organisation, work.now)
    if callback:
        callbacks.check(callback, organisation)
    limit = microseconds(proof.section().gate.wait_for)
    wait = limit if wait_for is None else wait_for
    if not SECOND <= wait <= limit:
        raise Rejected(
            "The time to wait is not accepted.",
            problems=(
                Problem(
                    path="/wait_seconds",
                    message=f"1 to {limit // SECOND} seconds.",
                    remedy="Ask again later instead.",
                ),
            ),
        )
    token = secrets.token_urlsafe(32)
    waiting = decision.verdict == "wait"
    expires_at = Instant(work.now + wait)
    record = _record(
        work,
        asked,
        facts,
        decision,
        organisation,
        token_hash=hash_of(token),
        expires_at=expires_at,
        callback=callback,
    )
    if waiting:
        _look_later(work, record, decision, expires_at)
    else:
        _call_back(work, record)
    return Answer(decision=decision, record=record, token=token)


def look(token: str) -> GateDecision:
    """Return the record of an asynchronous request; the token is the permission."""
    with scope.everywhere("a gate token names one record"):
        found = GateDecision.objects.filter(token_hash=hash_of(token)).first() if token else None
    if not isinstance(found, GateDecision):
        raise NotFound("There is no such gate request.", remedy="Ask the gate again.")
    return found


def wait_state(token: str) -> dict[str, Any] | None:
    """Return what `/gate/wait` sends: None while undecided, else `{decision, reasons, change, id}`.

    For the raw ASGI door, which calls this from a thread between waits; it opens its own scope.
    """
    found = look(token)
    return None if found.decision == "wait" else described(found)


def described(record: GateDecision) -> dict[str, Any]:
    """Return a decision as the API and the callback say it."""
    return {
        "id": record.id, "decision": record.decision, "reasons": record.reasons, "change": record.change_number,
        "environment": record.environment, "artefact_hash": record.artefact_hash, "expires_at": record.expires_at, "trace": record.trace,
    }  # fmt: skip


def replayed(record: GateDecision) -> Decision:
    """Return the decision computed anew from the facts that were recorded with it."""
    return rules.decide(msgspec.convert(record.facts, Facts))


def hash_of(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def look_again(work: Work, row: Due, now: Instant) -> None:
    """Decide a waiting request again, or deny it because its time is up; the handler of its due time."""
    record = GateDecision.objects.filter(id=row.subject).first()
    if record is not None and record.decision == "wait":
        reconsider(work, record, now)


def wake(work: Work, change: str, organisation: str) -> None:
    """Have the requests that wait for a change looked at again at once, after this Work is committed."""
    rows = GateDecision.objects.filter(organisation=organisation, change=change, decision="wait").exclude(
        token_hash=""
    )
    for record in rows.values_list("id", flat=True):
        due.schedule(work, WAIT, record, work.now, organisation=organisation)


def reconsider(work: Work, record: GateDecision, now: Instant) -> None:
    """Decide a waiting request again as of `now` and write what changed."""
    old = msgspec.convert(record.facts, Facts)
    request = {
        "change": old.asked.reference,
        "environment": old.asked.environment,
        "artefact_hash": old.asked.artefact_hash,
        "cis": old.asked.cis,
    }
    _, facts, decision = _look(request, record.organisation, now)
    expires_at = Instant(record.expires_at or 0)
    if decision.verdict == "wait" and now >= expires_at:
        reason = rules.Reason(
            rule="gate.timeout", verdict="deny", text="Nobody decided in time.", remedy="Ask the gate again."
        )
        decision = Decision(verdict="deny", reasons=[*decision.reasons, reason])
    if decision.verdict == "wait":
        _look_later(work, record, decision, expires_at)
        return
    values = {
        "decision": decision.verdict,
        "reasons": msgspec.to_builtins(decision.reasons),
        "facts": _facts(facts),
    }
    work.change(record, values, why=_why(decision), inputs=_inputs(facts))
    _call_back(work, record)


def _look_later(work: Work, record: GateDecision, decision: Decision, expires_at: Instant) -> None:
    at = min(expires_at, decision.look_again_at or expires_at, work.now + LOOK_AGAIN)
    due.schedule(work, WAIT, record.id, Instant(max(at, work.now + SECOND)), organisation=record.organisation)


def _call_back(work: Work, record: GateDecision) -> None:
    if record.callback and record.decision != "wait":
        callbacks.send(work, record, described(record))


def _record(
    work: Work, asked: Asked, facts: Facts | None, decision: Decision, organisation: str,
    *, token_hash: str = "", expires_at: Instant | None = None, callback: str = "",
) -> GateDecision:  # fmt: skip
    change = facts.change if facts is not None else None
    return work.create(
        GateDecision,
        organisation=organisation,
        values={
            "change": change.id if change else "", "change_number": change.number if change else asked.reference,
            "decision": decision.verdict, "reasons": msgspec.to_builtins(decision.reasons), "environment": asked.environment,
            "artefact_hash": asked.artefact_hash, "cis": [*asked.cis, *asked.unresolved], "asked_by": approval.person_behind(work.actor),
            "facts": _facts(facts), "token_hash": token_hash, "expires_at": expires_at, "callback": callback,
        },
        why=_why(decision),
        inputs=_inputs(facts),
    )  # fmt: skip


def _facts(facts: Facts | None) -> Any:
    return None if facts is None else msgspec.to_builtins(facts)


def _inputs(facts: Facts | None) -> list[tuple[str, int]]:
    return [(facts.change.id, facts.change.version)] if facts is not None and facts.change is not None else []


def _why(decision: Decision) -> list[Reason]:
    return [Reason(rule=each.rule, text=each.text) for each in decision.reasons]


def _look(
    request: Mapping[str, Any], organisation: str, now: Instant
) -> tuple[Asked, Facts | None, Decision]:
    """Return what was asked, the facts and the decision; facts that cannot be had are a denial."""
    asked = gathering.tame(request)
    try:
        asked = gathering.resolved(asked, organisation)
        facts = gathering.gather(asked, organisation, now)
    except (IsthmusError, DatabaseError, msgspec.MsgspecError, ValueError, KeyError, TypeError) as fault:
        _log.exception("gate_facts_unavailable", change=asked.reference)
        return asked, None, rules.closed(asked.reference, type(fault).__name__)
    return asked, facts, rules.decide(facts)


def may_ask(work: Work, organisation: str) -> None:
    """Raise `Forbidden` unless the actor may ask the gate of this organisation."""
    permissions.require(work.actor, "gate:check", organisation)
