"""The one table of waits: timers, polls, retries, watchdogs and lane work, found in O(what is due).

`schedule` and `cancel` write through the caller's Work, so a wait begins and ends with the facts that caused
it. The sweeper claims what is due and calls the handler of its `what`; lanes claim their own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from isthmus.hub.models import Due
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Bug
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Json
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

Handler = Callable[["Work", Due, Instant], None]

CLAIM_MAX = 100
RELEASE_ATTEMPTS_MAX = 5
RELEASE_MAX = 1_000
"""Far more than all lanes and polls of one process claim at once."""
PUSH_SECONDS_FIRST = 15
PUSH_SECONDS_MAX = 3_600

_handlers: dict[str, Handler] = {}


def register(what: str, handler: Handler) -> None:
    """Have `handler(work, row, now)` called when a wait of this kind is over; once, from `ready`.

    The row is removed in the same transaction as the handler's effects, unless the handler schedules the
    same wait again. The handler may be run more than once; it takes effect once.
    """
    held = _handlers.get(what)
    if held is not None and held is not handler:
        raise Bug(f"Two parts handle waits of kind {what!r}.")
    _handlers[what] = handler


def schedule(
    work: Work,
    what: str,
    subject: str,
    at: Instant,
    *,
    organisation: str,
    key: str = "",
    lane: str = "",
    payload: Json = None,
) -> None:
    """Set the wait named by (what, subject, key) to end at `at`, replacing an earlier one of that name.

    Replacing raises the epoch: whoever had claimed the earlier one can no longer finish it.
    """
    work.bump(
        Due,
        key={"organisation": organisation, "what": what, "subject": subject, "key": key},
        add={"epoch": 1},
        values={
            "id": source.new_id(), "lane": lane, "due_at": at, "claimed_until": 0, "attempts": 0,
            "last_error": "", "payload": payload,
        },
    )  # fmt: skip


def cancel(work: Work, what: str, subject: str, *, organisation: str, key: str = "") -> None:
    """End a wait without anything happening; a wait that does not exist is no error."""
    work.remove(Due, {"organisation": organisation, "what": what, "subject": subject, "key": key})


def claim(now: Instant, *, seconds: int, lane: str = "", what: str = "", limit: int = CLAIM_MAX) -> list[Due]:
    """Claim due rows of a lane (of one kind, if given) for `seconds`, oldest first, and return them.

    The claim pushes each row ahead before anybody handles it: a row whose handler kills the process comes
    back later instead of at once and for ever. The returned rows carry the epoch that `finish` must meet.
    """
    rows = {row.id: row for row in _waiting(now, lane, what)[:limit]}
    claimed: list[Due] = []

    def act(work: Work) -> None:
        claimed.clear()
        for held in Due.objects.filter(id__in=rows, due_at__lte=now).order_by("due_at"):
            if held.epoch == rows[held.id].epoch:
                _push_ahead(work, held, now, seconds)
                claimed.append(held)

    if rows:
        perform(act, actor=system("due"), origin=Origin(channel="timer"), now=now, exclusive=True)
    return claimed


def take(
    work: Work, *, seconds: int, lane: str, limit: int, without: Collection[str] = frozenset()
) -> list[Due]:
    """Claim due rows of a lane, oldest first, in a Work that goes on with them; rows about subjects `without` stay.

    If somebody else claimed one or set it anew meanwhile, the flush raises `StaleRecord` and the act is run again.
    """
    found = (
        row for row in _waiting(work.now, lane, "")[: limit + len(without)] if row.subject not in without
    )
    rows = list(islice(found, limit))
    for row in rows:
        _push_ahead(work, row, work.now, seconds)
    return rows


def _push_ahead(work: Work, row: Due, now: Instant, seconds: int) -> None:
    until = now + max(seconds, _push(row.attempts)) * SECOND
    values = {"due_at": until, "claimed_until": until, "epoch": row.epoch + 1, "attempts": row.attempts + 1}
    work.advance(Due, where={"id": row.id, "epoch": row.epoch}, values=values)
    for name, value in values.items():
        setattr(row, name, value)


def hold(work: Work, row: Due, *, seconds: int) -> None:
    """Keep a claimed row for longer, while its handler works; `StaleRecord` at the flush if the claim was lost."""
    until = work.now + seconds * SECOND
    work.advance(
        Due, where={"id": row.id, "epoch": row.epoch}, values={"due_at": until, "claimed_until": until}
    )


def finish(work: Work, row: Due) -> None:
    """Remove a claimed row; `StaleRecord` at the flush if the claim was lost or the wait was set anew."""
    work.remove_one(Due, {"id": row.id, "epoch": row.epoch})


def postpone(work: Work, row: Due, at: Instant, *, error: str = "", attempts: int | None = None) -> None:
    """Give a claimed row back, to be due again at `at`; raises `StaleRecord` like `finish`."""
    values: Mapping[str, Json] = {
        "due_at": at, "claimed_until": 0, "last_error": error,
        "attempts": row.attempts if attempts is None else attempts,
    }  # fmt: skip
    work.advance(Due, where={"id": row.id, "epoch": row.epoch}, values={**values, "epoch": row.epoch + 1})


def release(now: Instant, *, lane: str = "") -> int:
    """Give back what lanes and polls (or one lane) of a dead process had claimed; return how many rows.

    For a caller that knows every claimer to be dead (the data directory's lock proves it, or the lane's lease that
    was just taken over): a restart then goes on at once instead of when the claims run out. A row that was
    claimed `RELEASE_ATTEMPTS_MAX` times in a row keeps its claim: it may be what kills the process.
    """
    rows = list(
        (Due.objects.filter(lane=lane) if lane else Due.objects.exclude(lane=""))
        .filter(claimed_until__gt=now, attempts__lt=RELEASE_ATTEMPTS_MAX)
        .order_by("due_at")[:RELEASE_MAX]
    )

    def act(work: Work) -> None:
        for row in rows:
            postpone(work, row, now, error=row.last_error)

    if rows:
        perform(act, actor=system("due"), origin=Origin(channel="timer"), now=now, exclusive=True)
    return len(rows)


def next_at(lane: str = "") -> Instant | None:
    """Return when the next wait of a lane ends, None if there is none."""
    found = Due.objects.filter(lane=lane).order_by("due_at").values_list("due_at", flat=True).first()
    return None if found is None else Instant(found)


def handler_of(what: str) -> Handler | None:
    """Return the registered handler of a kind of wait."""
    return _handlers.get(what)


def _waiting(now: Instant, lane: str, what: str) -> QuerySet[Due]:
    found = Due.objects.filter(lane=lane, due_at__lte=now)
    if what:
        found = found.filter(what=what)
    return found.order_by("due_at")


def _push(attempts: int) -> int:
    return int(min(PUSH_SECONDS_FIRST * 2 ** min(attempts, 12), PUSH_SECONDS_MAX))
