"""How a lane carries files: plans a fetch or an upload, makes the calls, records what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isthmus.connectors.kit.attachments import File, find_equal
from isthmus.hub.lanes import closing
from isthmus.hub.lanes.calls import Fault, Result, Turn
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import Due
from isthmus.hub.sync import attachments, blobs, synced
from isthmus.hub.sync.attachments import ATTACH, FETCH
from isthmus.hub.sync.models import AttachmentPlace, Link
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import NotFound, Retryable
from isthmus.kernel.observation import ExternalRef

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

VERBS = frozenset({ATTACH, FETCH})
_GONE = "It was removed there before it could be read."


def begin(work: Work, row: Due, delivery: Delivery, payload: Any) -> Turn | None:
    """Return the turn of a file's effect; None if nothing is owed any more, and the row is closed."""
    link = Link.objects.filter(id=delivery.subject).first()
    if link is None or link.state != "active":
        closing.close(work, row, state="done", outcome="The link no longer follows.")
        return None
    places = dict(
        AttachmentPlace.objects.filter(link=link.id)
        .exclude(attachment="")
        .values_list("external_key", "attachment")
    )
    if payload.get("key") in places or payload.get("attachment") in places.values():
        closing.close(work, row, state="done", outcome="Both sides have it already.")
        return None
    if delivery.verb == ATTACH:
        try:
            payload = {"file": _file(payload["attachment"]), "known": frozenset(places)}
        except NotFound as fault:
            closing.bury(work, row, Fault(fault="rejected", cause=fault.text, remedy=fault.remedy))
            return None
    ref = ExternalRef(
        connection=link.connection, kind=link.external_kind, key=link.external_key, label=link.external_label
    )
    return Turn(
        due_id=row.id, due_epoch=row.epoch, subject=link.id, organisation=link.organisation, do="once", ref=ref,
        kind=delivery.record_kind, verb=delivery.verb, payload=payload, key=delivery.key, attempts=row.attempts,
    )  # fmt: skip


def _file(attachment_id: str) -> File:
    held: Any = synced.model_of("attachment").objects.filter(id=attachment_id).first()
    if held is None:
        raise NotFound("This file is gone.")
    return File(
        filename=held.filename,
        content_type=held.content_type or "application/octet-stream",
        content=b"".join(blobs.parts_of(held.id)),
        sha256=held.sha256,
    )


def keep(results: Sequence[Result]) -> list[Result]:
    """Return the results with every downloaded content in the book, unclaimed: before anything is recorded."""
    return [each if each.download is None else _kept(each, each.download.content) for each in results]


def _kept(result: Result, content: bytes) -> Result:
    link = Link.objects.filter(id=result.turn.subject).first()
    if link is None:
        return replace(result, download=None)
    writer = blobs.Writer(
        link.organisation, link.record, actor=system("lane"), origin=Origin(channel="hub", connection=link.connection)
    )  # fmt: skip
    writer.add(content)
    return replace(result, download=None, stored=writer.finish())


def conclude(work: Work, row: Due, result: Result) -> bool:
    """Record what came of a file's effect; False if the fault is like any other effect's."""
    turn, fault = result.turn, result.fault
    if fault is not None:
        if fault.fault != "gone" or turn.verb != FETCH:
            return False
        closing.close(work, row, state="done", outcome=_GONE)
        return True
    link = Link.objects.get(id=turn.subject)
    if result.stored is not None:
        held: Any = attachments.take(work, link, turn.payload, result.stored)
        closing.close(work, row, state="done", outcome=f"{held.size} bytes, SHA-256 {held.sha256[:16]}…")
    elif result.attached is not None:
        _attached(work, row, link, result)
    return True


def _attached(work: Work, row: Due, link: Link, result: Result) -> None:
    seen, file = result.attached, result.turn.payload["file"]
    assert seen is not None  # noqa: S101 - asked by the caller
    attachments.place(work, link, seen.key, result.turn.key)
    if seen.size in {len(file.content), -1}:
        closing.close(
            work, row, state="done", outcome=f"{len(file.content)} bytes, SHA-256 {file.sha256[:16]}…"
        )
        return
    cause = f"{link.connection} holds {seen.size} bytes of {len(file.content)}."
    closing.bury(work, row, Fault(fault="rejected", cause=cause, remedy="Look at the file there."))


async def carry(client: Any, turn: Turn) -> Result:
    """Make the calls of a file's effect. Before an upload comes a look, since an earlier one may have landed."""
    assert turn.ref is not None  # noqa: S101 - files hang on existing objects
    if turn.verb == ATTACH:
        file = turn.payload["file"]
        there = await find_equal(client, turn.ref, file, known=turn.payload["known"])
        return Result(turn=turn, attached=there or await client.attach(turn.ref, file))
    found = await client.fetch(turn.ref, turn.payload["key"], bytes_max=turn.payload["bytes_max"])
    declared = turn.payload["size"]
    if declared >= 0 and declared != len(found.content):
        raise Retryable(
            f"{len(found.content)} of {declared} bytes arrived.", remedy="It is fetched again by itself."
        )
    return Result(turn=turn, download=found)
