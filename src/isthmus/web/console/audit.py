"""Audit: can I believe this."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_POST

from isthmus.identity import permissions
from isthmus.ledger import audit, export, organisations, sealer
from isthmus.ledger.ids import source
from isthmus.ledger.models import Checkpoint
from isthmus.web import records
from isthmus.web.console import listing
from isthmus.web.console.screen import me, screen
from isthmus.web.journal_reading import note
from isthmus.web.lists.tables import JOURNAL

CHECKPOINTS_SHOWN = 10


@screen("audit:read")
def index(request: HttpRequest) -> HttpResponse:
    """The journal with its filters; reading it is itself journalled once per filter set."""
    return _journal(request, None)


@require_POST
@screen("audit:verify")
def verify(request: HttpRequest) -> HttpResponse:
    """Walk the chain, compare columns, replay projections, compare the witness: now."""
    permissions.require(me(request), "audit:verify", organisations.root())
    report = audit.verify_store()
    note(request, "audit.verified", f"The book was verified: {'sound' if report.ok else 'findings'}.")
    return _journal(request, report)


@require_POST
@screen("audit:export")
def download(request: HttpRequest) -> HttpResponseBase:
    """The evidence pack: the whole book with its verifier, which runs without the product."""
    return pack(request)


def pack(request: HttpRequest) -> FileResponse:
    """Write the pack, journal that it was taken, and stream it."""
    permissions.require(me(request), "audit:export", organisations.root())
    note(request, "audit.exported", "The evidence pack was downloaded.")
    directory = Path(tempfile.mkdtemp(prefix="isthmus-export-"))
    target = export.write(directory / "isthmus-evidence.zip")
    opened = target.open("rb")
    # The file lives as long as it is open; its name can go at once.
    target.unlink()
    directory.rmdir()
    return FileResponse(opened, as_attachment=True, filename="isthmus-evidence.zip")


def _journal(request: HttpRequest, report: object) -> HttpResponse:
    now = source.now()

    def more(*_: Any) -> dict[str, Any]:
        return {
            "title": "Audit",
            "kinds": sorted(records.models()),
            "report": report,
            "checkpoints": list(Checkpoint.objects.order_by("-number")[:CHECKPOINTS_SHOWN]),
            "unsealed_age": sealer.unsealed_age(now),
            "alarming": sealer.alarming(now),
        }

    return listing.show(request, JOURNAL, "console/audit.html", more)
