"""Files of linked records: what is seen at one partner is fetched, kept here, and sent to the others once.

Loops end by identity: a partner's file whose key is known is never fetched again, one whose content we hold
already is mapped instead of added, and a file that has a place at a link is never sent there again. Files are
only ever added; removals do not travel (a declared loss).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from isthmus.hub import connections
from isthmus.hub.lanes import effects
from isthmus.hub.sync import loading, synced
from isthmus.hub.sync.blobs import Stored
from isthmus.hub.sync.boundary import Flow, Terms
from isthmus.hub.sync.models import AttachmentPlace, Link
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.observation import ObservedAttachment
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import rows as table
from isthmus.ledger.records import RecordModel

if TYPE_CHECKING:
    from isthmus.hub.sync.loading import Loaded
    from isthmus.hub.sync.recording import Cause
    from isthmus.ledger.work import Work

ATTACH, FETCH = "attach", "fetch"
"""The verbs of the two effects; the subject of both is the link."""
KIND = "attachment"


@dataclass
class _Asked:
    """What this Work has already asked for: rows of a Work are not visible to its own queries."""

    seen: set[tuple[str, str]]
    owed: set[tuple[str, str]]
    placed: set[tuple[str, str]]


def _asked(work: Work) -> _Asked:
    found: _Asked = work.__dict__.setdefault("asked_attachments", _Asked(set(), set(), set()))
    return found


def bytes_max(flow: Flow, connection: str) -> int:
    """Return the largest file that may travel from or to a connection."""
    return min(flow.attachment_bytes_max, connections.get(connection).manifest.limits.attachment_bytes_max)


def observed(
    work: Work, loaded: Loaded, files: Sequence[ObservedAttachment] | None, *, cause: Cause
) -> list[str]:
    """Take note of the files that an object shows; return the ids of records made (oversized files).

    The content of a new file is owed as an effect of the link's lane. The order of observations does not
    matter: a key names one content for ever.
    """
    link, terms = loaded.link, loaded.flow.connections.get(loaded.link.connection)
    if not files or terms is None or not terms.attachments or terms.direction not in {"both", "in"}:
        return []
    asked = _asked(work)
    fresh = [each for each in files if (link.id, each.key) not in asked.seen]
    asked.seen.update((link.id, each.key) for each in fresh)
    keys = [each.key for each in fresh]
    known = set(
        AttachmentPlace.objects.filter(link=link.id, external_key__in=keys).values_list(
            "external_key", flat=True
        )
    )
    limit = bytes_max(loaded.flow, link.connection)
    made: list[str] = []
    for each in fresh:
        if each.key in known:
            continue
        if each.size > limit:
            made.append(_oversized(work, loaded, each, limit, cause))
            continue
        place(work, link, each.key, "")
        payload: dict[str, Json] = {
            "key": each.key, "filename": each.filename, "size": each.size, "content_type": each.content_type,
            "author": each.author, "at": each.at, "bytes_max": limit,
        }  # fmt: skip
        effects.once(
            work, link.connection, FETCH, payload, key=f"{FETCH}:{each.key}", record=loaded.record, subject=link.id
        )  # fmt: skip
    return made


def _oversized(work: Work, loaded: Loaded, file: ObservedAttachment, limit: int, cause: Cause) -> str:
    link = loaded.link
    text = f"{file.size} bytes are more than the {limit} that may travel: the content stays at {link.connection}."
    held = work.create(
        synced.model_of(KIND), organisation=link.organisation, cause=cause.message, trace=cause.trace,
        occurred_at=file.at, why=[Reason(rule="attachment.oversized", text=text, facts={"link": link.id})],
        values={
            "record_kind": link.record_kind, "record": link.record, "filename": file.filename,
            "content_type": file.content_type, "size": file.size, "author_label": file.author,
            "connection": link.connection, "state": "oversized", "added_at": file.at or work.now,
        },
    )  # fmt: skip
    place(work, link, file.key, held.id)
    return held.id


def take(work: Work, link: Link, file: Mapping[str, Any], stored: Stored) -> RecordModel:
    """Keep a fetched content: as a new attachment, or as one that we hold already and sent or saw elsewhere."""
    held = _equal(link, file["filename"], stored.sha256)
    if held is None:
        held = work.create(
            synced.model_of(KIND), organisation=link.organisation, record_id=stored.blob, occurred_at=file["at"],
            why=[Reason(rule="attachment.seen", text=f"Added at {link.connection}.", facts={"link": link.id})],
            values={
                "record_kind": link.record_kind, "record": link.record, "filename": file["filename"],
                "content_type": file["content_type"], "size": stored.size, "sha256": stored.sha256,
                "author_label": file["author"], "connection": link.connection, "state": "stored",
                "added_at": file["at"] or work.now,
            },
        )  # fmt: skip
    place(work, link, file["key"], held.id)
    return held


def _equal(link: Link, filename: str, sha256: str) -> RecordModel | None:
    """Return our attachment with this content that has no place at the link yet; one of this name first."""
    there = (
        AttachmentPlace.objects.filter(link=link.id)
        .exclude(attachment="")
        .values_list("attachment", flat=True)
    )
    rows: Iterable[Any] = synced.model_of(KIND).objects.filter(
        record=link.record, sha256=sha256, state="stored"
    )
    free = [each for each in rows if each.id not in set(there)]
    found: RecordModel | None = next(
        (each for each in free if each.filename == filename), free[0] if free else None
    )
    return found


def place(work: Work, link: Link, external_key: str, attachment: str) -> None:
    """Write down where a file is held at a partner."""
    _asked(work).placed.add((link.id, attachment))
    work.upsert(
        AttachmentPlace,
        key={"organisation": link.organisation, "link": link.id, "external_key": external_key},
        values={"attachment": attachment, "at": work.now},
    )


def owe(work: Work) -> None:
    """Before a Work is flushed: new files are owed to the record's links, a link's new object all files."""
    added: list[Any] = []
    links: dict[str, Link] = {}
    for each in work.created_or_changed():
        pending = work.pending[each.id]
        if each.kind == KIND and pending.created:
            added.append(each)
        elif isinstance(each, Link) and each.external_key and "external_key" in pending.changes:
            links[each.id] = each
    if added:
        rows = Link.objects.filter(record__in={each.record for each in added}, state="active")
        known = {each.id: each for each in rows.exclude(external_key="")} | links
        _owe_pairs(work, added, known.values())
    if links:
        records, homes = zip(*((each.record, each.organisation) for each in links.values()), strict=True)
        held = table.instances(synced.model_of(KIND), "record", records, organisation=set(homes))
        _owe_pairs(work, held, links.values())


def _owe_pairs(work: Work, files: Iterable[Any], links: Iterable[Link]) -> None:
    for file, link in product(files, links):
        if file.record == link.record:
            _owe_one(work, file, link)


def _owe_one(work: Work, attachment: Any, link: Link) -> None:
    asked, pair = _asked(work), (link.id, attachment.id)
    if attachment.state != "stored" or link.state != "active" or pair in asked.owed or pair in asked.placed:
        return
    asked.owed.add(pair)
    flow = loading.flow_of(link.record_kind)
    if not _sends(flow.connections.get(link.connection), link):
        return
    limit, record = bytes_max(flow, link.connection), _record_of(work, link)
    if attachment.size <= limit:
        effects.once(work, link.connection, ATTACH, {"attachment": attachment.id}, key=attachment.id,
                     record=record, subject=link.id)  # fmt: skip
        return
    effects.unsendable(
        work, link.connection, ATTACH, key=attachment.id, record=record, subject=link.id,
        cause=f"The file has {attachment.size} bytes; {link.connection} takes at most {limit}.",
        remedy="Add it there by hand, or raise attachment_bytes_max.",
    )  # fmt: skip


def _record_of(work: Work, link: Link) -> RecordModel:
    held = loading.held_by(work).records.get(link.record)
    found: RecordModel = held or synced.model_of(link.record_kind).objects.get(id=link.record)
    return found


def _sends(terms: Terms | None, link: Link) -> bool:
    if terms is None or not terms.attachments or terms.direction not in {"both", "out"}:
        return False
    try:
        return connections.get(link.connection).manifest.can("attach", link.record_kind)
    except IsthmusError:
        return False
