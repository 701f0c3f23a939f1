"""Which mail of a mailbox is new: what is remembered between two readings, and what follows from it. Pure.

UIDs of one folder only ever grow, for as long as its UIDVALIDITY stays. When that changes the folder was rebuilt, and
every UID may name another mail: then it is read anew from `since`, and what the hub has already is recognised there by
its Message-ID. The hub stores a mark only after the mail of its page is durable, so nothing is read past.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

REBUILT_DAYS = 2
"""How much of what was read before is read again after a rebuild: days of servers have other midnights than ours."""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a folder was read.

    `read`: the highest UID that was. `owed`: UIDs that the hub has and that are not marked or moved yet. `since`: what
    arrived before that day need not be read: it was, or it lay there long before the first reading.
    """

    validity: int
    read: int = 0
    since: dt.date
    owed: tuple[int, ...] = ()

    def text(self) -> str:
        """Return the mark as a watermark."""
        return msgspec.json.encode(self).decode()


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A mail before its text is fetched."""

    uid: int
    size: int
    arrived: dt.datetime | None


def begin(watermark: str, *, validity: int, today: dt.date, history_days: int) -> Mark:
    """Return where to go on: at the watermark, or from the beginning of a folder that is new or was rebuilt."""
    try:
        held = msgspec.json.decode(watermark, type=Mark) if watermark else None
    except msgspec.DecodeError:
        held = None  # Not of this version: reading again is harmless.
    if held is None:
        return Mark(validity=validity, since=today - dt.timedelta(days=history_days))
    return held if held.validity == validity else Mark(validity=validity, since=held.since)


def advanced(mark: Mark, page: Sequence[Envelope], taken: Sequence[int], today: dt.date) -> Mark:
    """Return the mark behind a page of mails; `taken` are those that entered, to be marked or moved later."""
    # A mail may claim to have arrived in the future; the clock here says what was really read.
    dates = [min(each.arrived.date(), today) for each in page if each.arrived is not None]
    # The oldest of the page: an old mail that somebody moved here does not hide those behind it.
    since = min(dates) - dt.timedelta(days=REBUILT_DAYS) if dates else mark.since
    return msgspec.structs.replace(
        mark,
        read=max(mark.read, *(each.uid for each in page)),
        since=max(mark.since, since),
        owed=(*mark.owed, *taken),
    )


def settled(mark: Mark) -> Mark:
    """Return the mark after what was owed is done."""
    return msgspec.structs.replace(mark, owed=())


def pages(
    found: Sequence[Envelope], *, count_max: int, bytes_max: int, mail_bytes_max: int
) -> Iterator[list[Envelope]]:
    """Cut mails into pages, in their order: bounded in number and in bytes, each with at least one."""
    page: list[Envelope] = []
    total = 0
    for each in found:
        size = min(each.size, mail_bytes_max)
        if page and (len(page) >= count_max or total + size > bytes_max):
            yield page
            page, total = [], 0
        page.append(each)
        total += size
    if page:
        yield page
