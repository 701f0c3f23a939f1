"""HTTP resources of the files of incidents. A body is the file itself and passes through in parts."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router

from isthmus.hub.http import actor as callers
from isthmus.hub.sync import blobs
from isthmus.identity import permissions
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.practices.incident import attachments, service
from isthmus.practices.incident.api import READ, WRITE, visible
from isthmus.practices.incident.shapes import attachment_out

router = Router(tags=["incidents"])


@router.get("/incidents/{reference}/attachments", summary="Files of every system")
def list_attachments(request: HttpRequest, reference: str) -> dict[str, Any]:
    """Return the files of an incident, oldest first; those too large to travel are named too."""
    callers.require(request, READ)
    return {"items": [attachment_out(each) for each in attachments.of(visible(reference).id)]}


@router.get("/incidents/{reference}/attachments/{file_id}/content", summary="Download a file")
def download_attachment(request: HttpRequest, reference: str, file_id: str) -> StreamingHttpResponse:
    """Return the content of a file. It is always a download: what strangers sent is never shown as a page."""
    callers.require(request, READ)
    file = attachments.get(visible(reference), file_id)
    answer = StreamingHttpResponse(attachments.content(file), content_type="application/octet-stream")
    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}"
    answer["Content-Length"] = str(file.size)
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = "sandbox"
    answer["Repr-Digest"] = f"sha-256=:{_base64(file.sha256)}:"
    return answer


@router.post("/incidents/{reference}/attachments", summary="Add a file")
def add_attachment(request: HttpRequest, reference: str, filename: str) -> HttpResponse:
    """Add the request's body as a file named `filename`, of the type in `Content-Type`; linked systems receive it.

    Repeating the request is harmless: the same content under the same name is the same file.
    """
    actor, caller = callers.require(request, WRITE), callers.caller(request)
    incident = visible(reference)
    permissions.require(actor, WRITE, incident.organisation)
    stored = attachments.store(incident, _body(request), actor=actor, origin=caller.origin)

    def act(work: Work) -> dict[str, Any]:
        held = service.get(work, incident.id)
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
        return attachment_out(attachments.attach(work, held, stored, filename=filename, content_type=kind))

    shown = perform(act, actor=actor, origin=caller.origin, trace=caller.trace)
    return HttpResponse(msgspec.json.encode(shown), status=201, content_type="application/json")


def _body(request: HttpRequest) -> Iterator[bytes]:
    while part := request.read(blobs.PART_BYTES):
        yield part


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
