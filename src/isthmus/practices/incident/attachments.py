"""Files of incidents, wherever they were added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from isthmus.hub.sync import blobs, loading
from isthmus.kernel.actor import Actor, ActorKind, Origin
from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.models import Attachment, Incident

FILENAME_CHARACTERS_MAX = 200
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\\"]")
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,80}")


def store(incident: Incident, parts: Iterable[bytes], *, actor: Actor, origin: Origin) -> blobs.Stored:
    """Take a content in, part by part, and return it; it counts once `attach` names it. `Rejected` beyond the
    flow's `attachment_bytes_max`."""
    limit = loading.flow_of(incident.kind).attachment_bytes_max
    writer = blobs.Writer(incident.organisation, incident.id, actor=actor, origin=origin)
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise _refused(
                "/body", f"more than {limit} bytes", "Send a smaller file, or link to where it lies."
            )
        writer.add(part)
    return writer.finish()


def attach(
    work: Work, incident: Incident, stored: blobs.Stored, *, filename: str, content_type: str
) -> Attachment:
    """Add a stored content to an incident and return the file; linked systems receive it.

    The same content under the same name is the same file: it is returned as it is.
    """
    if not filename.strip() or len(filename) > FILENAME_CHARACTERS_MAX or _FORBIDDEN.search(filename):
        raise _refused(
            "/filename",
            "empty, too long or with a character that no file name may have",
            f"Give 1 to {FILENAME_CHARACTERS_MAX} characters without slashes, quotes and control characters.",
        )
    if not stored.size:
        raise _refused("/body", "empty", "Send the content of the file as the body.")
    same = (each for each in of(incident.id) if each.sha256 == stored.sha256 and each.filename == filename)
    if (held := next(same, None)) is not None:
        return held
    person = work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}
    return work.create(
        Attachment,
        organisation=incident.organisation,
        record_id=stored.blob,
        values={
            "record_kind": incident.kind,
            "record": incident.id,
            "filename": filename,
            "content_type": content_type if _TYPE.fullmatch(content_type) else "application/octet-stream",
            "size": stored.size,
            "sha256": stored.sha256,
            "author": work.actor.id if person else "",
            "author_label": work.actor.label,
            "state": "stored",
            "added_at": work.now,
        },
        why=[Reason(rule="incident.attach", text=f"Added by {work.actor.label or work.actor.id}.")],
    )


def of(record_id: str) -> list[Attachment]:
    """Return the files of a record, oldest first."""
    return list(Attachment.objects.filter(record=record_id).order_by("added_at", "id"))


def content(file: Attachment) -> Iterator[bytes]:
    """Return the content of a file, part by part; `Conflict` if it stays at the partner."""
    if file.state != "stored":
        raise Conflict(
            f"The content of this file stays at {file.connection}: it is larger than what may travel.",
            remedy="Open it there.",
        )
    return blobs.parts_of(file.id)


def get(incident: Incident, file_id: str) -> Attachment:
    """Return one file of an incident; `NotFound` otherwise."""
    found: Attachment | None = Attachment.objects.filter(record=incident.id, id=file_id).first()
    if found is None:
        raise NotFound("There is no such file.", remedy="List the attachments of the incident.")
    return found


def _refused(path: str, message: str, remedy: str) -> Rejected:
    return Rejected(
        "The file cannot be added.",
        remedy=remedy,
        problems=(Problem(path=path, message=message, remedy=remedy),),
    )
