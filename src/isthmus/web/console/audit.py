"""Audit: can I believe this."""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import people, permissions
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_rfc3339
from isthmus.kernel.record import Reason
from isthmus.ledger import audit, export, organisations, reading, sealer
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.models import Checkpoint
from isthmus.ledger.work import Work
from isthmus.web import records
from isthmus.web.console.screen import me, page, screen

CHECKPOINTS_SHOWN = 10
_FILTERS = ("kind", "record", "actor", "channel", "connection", "trace")


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


def note(request: HttpRequest, rule: str, text: str) -> None:
    """Journal that somebody read, verified or took the journal."""
    caller = callers.caller(request)

    def do(work: Work) -> None:
        work.journal(organisations.root(), "audit", {}, [Reason(rule=rule, text=text)])

    perform(do, actor=callers.of(request), origin=caller.origin, trace=caller.trace)


def filters_of(request: HttpRequest) -> reading.JournalFilter:
    """Return the filter that the URL asks for."""
    since, until = (_instant(request.GET.get(name, "")) for name in ("since", "until"))
    plain = {name: request.GET.get(name, "").strip() for name in _FILTERS}
    return reading.JournalFilter(since=since, until=until, **plain)


def _journal(request: HttpRequest, report: object) -> HttpResponse:
    found = reading.journal(filters_of(request), request.GET.get("cursor", ""), limit=50)
    now = source.now()
    if report is None and request.GET:
        note(request, "audit.read", "The journal was read with filters.")
    context = {
        "title": "Audit",
        "entries": found.entries,
        "next": found.cursor,
        "people": people.labels({each.actor for each in found.entries}),
        "kinds": sorted(records.models()),
        "report": report,
        "checkpoints": list(Checkpoint.objects.order_by("-number")[:CHECKPOINTS_SHOWN]),
        "unsealed_age": sealer.unsealed_age(now),
        "alarming": sealer.alarming(now),
    }
    return page(request, "console/audit.html", context)


def _instant(text: str) -> Instant | None:
    if not text.strip():
        return None
    text = text.strip()
    try:
        return from_rfc3339(
            text if "Z" in text or "+" in text else f"{text}Z" if "T" in text else f"{text}T00:00:00Z"
        )
    except Rejected as cause:
        raise Rejected(
            f"{text[:40]!r} is not a time.", remedy="Use e.g. 2026-11-20 or 2026-11-20T15:00Z."
        ) from cause
