"""Files of an incident: added by a plain form, listed with size and hash."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.hub.sync import loading
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.practices.incident import attachments, service
from isthmus.web import records
from isthmus.web.console.screen import back, found, me, screen
from isthmus.web.uploads import FILES_MAX

PERMISSION = "incident:write"


def context(incident: Any) -> dict[str, Any]:
    """Return what the page says about files; one query."""
    return {
        "files": attachments.of(incident.id),
        "file_bytes_max": loading.flow_of(incident.kind).attachment_bytes_max,
        "files_max": FILES_MAX,
    }


@require_POST
@screen(PERMISSION)
def attach(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Add the files of the form, each on its own: one that is refused does not take the others with it."""
    incident = found(records.of("incident").filter(id=incident_id).first())
    permissions.require(me(request), PERMISSION, incident.organisation)
    given = request.FILES.getlist("file")
    if not given:
        messages.error(request, "No file came. Choose one, then send the form again.")
    for file in given:
        _add(request, incident, file)
    return back(request, f"/incidents/{incident_id}")


def _add(request: HttpRequest, incident: Any, file: UploadedFile[bytes]) -> None:
    caller, actor = callers.caller(request), callers.of(request)
    name = (file.name or "").strip()
    # What the browser says of the type is kept as words only: a file is always handed out as a download.
    kind = (file.content_type or "").partition(";")[0].strip()
    try:
        stored = attachments.store(incident, file.chunks(), actor=actor, origin=caller.origin)

        def do(work: Work) -> Any:
            return attachments.attach(
                work, service.get(work, incident.id), stored, filename=name, content_type=kind
            )

        perform(do, actor=actor, origin=caller.origin, trace=caller.trace)
    except IsthmusError as error:
        messages.error(request, f"{name or 'A file without a name'}: {_sentence(error)}")
    else:
        messages.success(request, f"{name} is added and goes to every linked system.")


def _sentence(error: IsthmusError) -> str:
    """Return why, with the bound that was passed and what to do: the form has no place beside its fields."""
    detail = "; ".join(f"{each.message}. {each.remedy}" for each in getattr(error, "problems", ()))
    return f"{error.text} {detail or error.remedy}".strip()
