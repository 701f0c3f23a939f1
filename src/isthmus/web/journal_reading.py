"""Reading the journal: the filters of a URL, and the note that somebody read, verified or took it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.http import HttpRequest

from isthmus.hub.http import actor as callers
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_rfc3339
from isthmus.kernel.record import Reason
from isthmus.ledger import organisations, reading
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

FILTERS: Final = ("kind", "record", "actor", "channel", "connection", "trace")


def filters_of(values: Mapping[str, str]) -> reading.JournalFilter:
    """Return the filter that a URL asks for."""
    since, until = (_instant(values.get(name, "")) for name in ("since", "until"))
    plain = {name: values.get(name, "").strip() for name in FILTERS}
    return reading.JournalFilter(since=since, until=until, **plain)


def note(request: HttpRequest, rule: str, text: str) -> None:
    """Journal that somebody read, verified or took the journal."""
    caller = callers.caller(request)

    def do(work: Work) -> None:
        work.journal(organisations.root(), "audit", {}, [Reason(rule=rule, text=text)])

    perform(do, actor=callers.of(request), origin=caller.origin, trace=caller.trace)


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
