"""One call of a lane, in the event loop: no store, no decision. What happened comes back as a value."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog

from isthmus.connectors.kit import answered, doubt
from isthmus.connectors.kit.attachments import Download
from isthmus.connectors.kit.ports import SetDelta, TicketSystem, Written
from isthmus.hub.sync.algorithm.state import Operation
from isthmus.hub.sync.blobs import Stored
from isthmus.kernel.errors import (
    Conflict,
    IsthmusError,
    NeedsOperator,
    NotFound,
    Rejected,
    Retryable,
    UnknownOutcome,
)
from isthmus.kernel.merge import Form, Shape
from isthmus.kernel.observation import ExternalRef, Observation, ObservedAttachment, ObservedComment

_log = structlog.get_logger(__name__)

Do = Literal["write", "read", "look_up", "once"]
FaultClass = Literal["retryable", "unknown", "operator", "rejected", "stale", "gone", "bug"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One thing to do at the partner for one due row. `epoch`: of the link's working row when it was planned;
    `start`: the tick at which a read counts as begun. `kind`: of the record that this is about."""

    due_id: str
    due_epoch: int
    subject: str
    organisation: str
    do: Do
    kind: str = ""
    ref: ExternalRef | None = None
    correlation: str = ""
    operation: Operation | None = None
    shapes: Mapping[str, Shape] | None = None
    fixed: Mapping[str, Any] | None = None
    comments: bool = False
    start: int = 0
    attempts: int = 0
    doubtful: bool = False
    verb: str = ""
    payload: Any = None
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failed call, as the reaction that it needs. `in_part`: a write of the same step had been answered."""

    fault: FaultClass
    cause: str
    remedy: str = ""
    after_seconds: float | None = None
    fields: tuple[str, ...] = ()
    in_part: bool = False

    @property
    def passing(self) -> bool:
        """Return whether an effect is tried again by itself."""
        return self.fault in {"retryable", "unknown", "stale"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a turn. `observation` with `own` False is a read of ours after the call."""

    turn: Turn
    written: Written | None = None
    observation: Observation | None = None
    own: bool = False
    found: tuple[ExternalRef, ...] = ()
    attached: ObservedAttachment | None = None
    download: Download | None = None
    stored: Stored | None = None
    fault: Fault | None = None


async def execute(client: TicketSystem, turn: Turn) -> Result:
    """Make the call of a turn and read back what a bare answer does not show. Each request is bounded in
    time by the client that the lane hands in (`metering`)."""
    noted = answered.watch()
    try:
        return await _execute(client, turn)
    except Exception as cause:  # noqa: BLE001 - a connector's fault must not stop its lane
        fault = classify(cause, writes=turn.do in {"write", "once"})
        return Result(turn=turn, fault=_in_doubt(fault, turn) if noted.write else fault)


def _in_doubt(fault: Fault, turn: Turn) -> Fault:
    """Return the fault of a verb whose partner had answered a write before: not all is done, and not nothing."""
    cause = f"{fault.cause} A write of the same step had been answered before."
    found = replace(fault, cause=cause, in_part=True)
    return replace(found, fault="unknown") if turn.do == "once" and fault.fault == "retryable" else found


async def _execute(client: TicketSystem, turn: Turn) -> Result:
    match turn.do:
        case "look_up":
            return Result(turn=turn, found=tuple(await client.find(turn.correlation, turn.kind)))
        case "read":
            return Result(turn=turn, observation=await _read(client, turn, comments=turn.comments))
        case "write":
            written = await _write(client, turn)
            return await _with_read_back(client, turn, written)
        case "once" if turn.ref is not None:
            from isthmus.hub.lanes import files

            return await files.carry(client, turn)
        case "once":
            return Result(turn=turn, written=await _effect(client, turn))


async def _write(client: TicketSystem, turn: Turn) -> Written:
    operation = turn.operation
    assert operation is not None  # noqa: S101 - a write turn has its operation
    if operation.kind == "comment":
        assert turn.ref is not None  # noqa: S101 - comments are planned for existing objects only
        body = operation.sent["comment"].outward
        if operation.comment_key:
            return await _revise(client, turn.ref, operation, body)
        return await client.comment(
            turn.ref, body, public=operation.comment_public, correlation=operation.comment
        )
    values: dict[str, Any] = {}
    deltas: dict[str, SetDelta] = {}
    for name, sent in operation.sent.items():
        shape = (turn.shapes or {}).get(name)
        if shape is not None and shape.form is Form.SET:
            if operation.kind == "create":
                values[name] = list(sent.outward)
            else:
                deltas[name] = SetDelta(add=sent.add, remove=sent.remove)
        elif shape is not None and shape.form is Form.GROUP:
            values |= sent.outward
        else:
            values[name] = sent.outward
    if operation.kind == "create":
        filled = {name: value for name, value in values.items() if value is not None and value != []}
        return await client.create(turn.kind, filled, turn.correlation, operation.key)
    assert turn.ref is not None  # noqa: S101 - patches are planned for existing objects only
    return await client.write(turn.ref, values, deltas, operation.version_before)


async def _revise(client: Any, ref: ExternalRef, operation: Operation, body: str) -> Written:
    """Change or remove a comment; one that is gone already is what a removal wants."""
    if operation.comment_gone:
        with contextlib.suppress(NotFound):
            await client.remove_comment(ref, operation.comment_key)
    else:
        await client.revise_comment(ref, operation.comment_key, body)
    return Written(ref=ref)


async def _with_read_back(client: TicketSystem, turn: Turn, written: Written) -> Result:
    """A bare 2xx proves nothing: read. If only the read fails, the write is still known to be answered."""
    operation = turn.operation
    if operation is not None and operation.kind == "comment" and written.comment is not None:
        return Result(
            turn=turn, written=written, observation=_with_comment(turn, written, written.comment), own=True
        )
    if written.observation is not None and (operation is None or operation.kind != "comment"):
        return Result(turn=turn, written=written, observation=written.observation, own=True)
    asked = replace(turn, ref=written.ref)
    try:
        seen = await _read(client, asked, comments=operation is not None and operation.kind == "comment")
    except Exception as cause:  # noqa: BLE001 - as in `execute`
        _log.info("read_back_failed", subject=turn.subject, error=type(cause).__name__)
        return Result(turn=turn, written=written)
    return Result(turn=turn, written=written, observation=seen)


def _with_comment(turn: Turn, written: Written, comment: ObservedComment) -> Observation:
    """Return what the answer to a comment shows. Only with the record's values may it carry a version: a
    version alone would make a person's edit before our comment look known."""
    shown = written.observation
    if shown is None:
        return Observation(kind=turn.kind, external=written.ref, values={}, comments=(comment,))
    return shown if shown.comments is not None else replace(shown, comments=(comment,))


async def _read(client: TicketSystem, turn: Turn, *, comments: bool) -> Observation:
    assert turn.ref is not None  # noqa: S101 - only existing objects are read
    try:
        seen = await client.read(turn.ref)
    except NotFound:
        return Observation(kind=turn.kind, external=turn.ref, values={}, deleted=True)
    if comments and seen.comments is None and not seen.deleted:
        seen = replace(seen, comments=tuple(await client.comments(turn.ref)))
    # Files cost a call of their own at some partners: asked for when an object is looked at, not after a write.
    listed = getattr(client, "attachments", None)
    if listed is not None and turn.operation is None and seen.attachments is None and not seen.deleted:
        seen = replace(seen, attachments=tuple(await listed(turn.ref)))
    return seen


async def _effect(client: TicketSystem, turn: Turn) -> Written | None:
    call = getattr(client, turn.verb, None)
    if call is None:
        raise NeedsOperator(
            f"This system has no {turn.verb!r}.", remedy="Choose a connection that offers it."
        )
    doubt.raised(happened_perhaps=turn.doubtful)
    found = await call(**turn.payload, idempotency_key=turn.key)
    return found if isinstance(found, Written) else None


def classify(error: Exception, *, writes: bool) -> Fault:
    """Return the reaction that an error needs. An unforeseen one may have happened after the effect."""
    match error:
        case UnknownOutcome():
            return Fault(
                fault="unknown", cause=error.text, remedy=error.remedy, after_seconds=error.after_seconds
            )
        case Retryable():
            return Fault(
                fault="retryable", cause=error.text, remedy=error.remedy, after_seconds=error.after_seconds
            )
        case NeedsOperator():
            return Fault(fault="operator", cause=error.text, remedy=error.remedy)
        case Conflict():
            return Fault(fault="stale", cause=error.text, remedy=error.remedy)
        case NotFound():
            return Fault(fault="gone", cause=error.text, remedy=error.remedy)
        case Rejected():
            fields = tuple(each.path.lstrip("/").split("/")[0] for each in error.problems)
            return Fault(fault="rejected", cause=error.text, remedy=error.remedy, fields=fields)
        case IsthmusError():
            return Fault(fault="bug", cause=error.text, remedy=error.remedy)
        case _:
            _log.error("call_failed", exc_info=error)
            text = f"An unforeseen fault in the connector ({type(error).__name__})."
            return Fault(
                fault="unknown" if writes else "bug", cause=text, remedy="See the hub's log for this time."
            )
