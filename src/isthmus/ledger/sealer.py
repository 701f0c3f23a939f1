"""The sealer gives every committed entry its place in the chain of its organisation, within a second.

It runs after commit and apart from the writers: sequence numbers have gaps and are not the order of commits
on PostgreSQL, so only committed entries are placed, in positions without gaps. One sealer at a time holds
the lease; every write is conditional on (position, epoch): one row changes, or nothing is sealed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import structlog
from django.db import transaction

from isthmus.kernel.actor import Origin, system
from isthmus.kernel.chain import GENESIS, extend
from isthmus.kernel.errors import Conflict
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import lease, turnstile
from isthmus.ledger.models import Entry, Head, Seal, Unsealed

LEASE = "sealer"
ENTRIES_MAX = 4_000
"""Entries sealed in one transaction: it holds the turnstile for a few milliseconds."""

ALARM_AFTER = 10 * SECOND
_READ_CHUNK = 900

_log = structlog.get_logger(__name__)


class Fenced(Conflict):
    """Another sealer has taken over; nothing was written."""


def seal_once(now: Instant, *, holder: str = "") -> int:
    """Seal what is committed and unsealed, up to `ENTRIES_MAX` entries; return how many were sealed."""
    held = lease.take(LEASE, now=now, holder=holder)
    return 0 if held is None else seal_under(held, now)


def seal_under(held: lease.Held, now: Instant) -> int:
    """Seal under a lease; `Fenced` if the lease has moved on meanwhile."""
    queued, seqs = _queued()
    if not queued:
        return 0
    chains = _by_organisation(seqs)
    sealed = sum(len(each) for each in chains.values())
    heads = {each.organisation: each for each in Head.objects.filter(organisation__in=list(chains))}
    seals, moves = [], []
    for organisation, entries in chains.items():
        head = heads.get(organisation)
        position, link = (head.position, bytes(head.link)) if head else (0, GENESIS)
        links = extend(link, (body for _, body in entries))
        seals.append(
            Seal(
                organisation=organisation, first=position + 1, count=len(entries), sealed_at=now, epoch=held.epoch,
                seqs=struct.pack(f">{len(entries)}q", *(seq for seq, _ in entries)), links=b"".join(links),
            )
        )  # fmt: skip
        moves.append(
            (
                head,
                Head(
                    organisation=organisation,
                    position=position + len(entries),
                    link=links[-1],
                    epoch=held.epoch,
                ),
            )
        )
    with turnstile.entered(), transaction.atomic():
        for old, new in moves:
            _advance(old, new)
        Seal.objects.bulk_create(seals)
        if Unsealed.objects.filter(id__in=queued).delete()[0] != len(queued):
            raise Fenced("Another sealer sealed the same entries first.")
    if sealed != len(seqs):
        _report_missing(now, len(seqs) - sealed)
    return sealed


def seal_all(now: Instant, *, holder: str = "") -> int:
    """Seal until nothing is left; return how many were sealed."""
    total = 0
    while sealed := seal_once(now, holder=holder):
        total += sealed
    return total


def unsealed_age(now: Instant) -> int:
    """Return the age of the oldest unsealed entry in microseconds (0 if there is none)."""
    oldest = Unsealed.objects.order_by("id").values_list("recorded_at", flat=True).first()
    return 0 if oldest is None else max(0, now - oldest)


def alarming(now: Instant) -> bool:
    """True if the unsealed tail is older than the alarm allows."""
    return unsealed_age(now) > ALARM_AFTER


def _queued() -> tuple[list[int], list[int]]:
    """Return the ids of the oldest queue rows and the entries that they name, in order."""
    queued: list[int] = []
    seqs: list[int] = []
    for number, packed in Unsealed.objects.order_by("id").values_list("id", "seqs")[:ENTRIES_MAX]:
        found = struct.unpack(f">{len(packed) // 8}q", bytes(packed))
        if queued and len(seqs) + len(found) > ENTRIES_MAX:
            break
        queued.append(number)
        seqs.extend(found)
    return queued, seqs


def _by_organisation(seqs: Sequence[int]) -> dict[str, list[tuple[int, bytes]]]:
    """Return the entries (seq, body) of each organisation, in the order of `seqs`."""
    rows: dict[int, tuple[str, bytes]] = {}
    for start in range(0, len(seqs), _READ_CHUNK):
        chunk = seqs[start : start + _READ_CHUNK]
        for seq, organisation, body in Entry.objects.filter(seq__in=chunk).values_list(
            "seq", "organisation", "body"
        ):
            rows[seq] = organisation, bytes(body)
    found: dict[str, list[tuple[int, bytes]]] = {}
    for seq in seqs:
        if seq in rows:
            organisation, body = rows[seq]
            found.setdefault(organisation, []).append((seq, body))
    return found


def _advance(old: Head | None, new: Head) -> None:
    if old is None:
        _, moved = Head.objects.get_or_create(
            organisation=new.organisation,
            defaults={"position": new.position, "link": new.link, "epoch": new.epoch},
        )
    else:
        moved = (
            Head.objects.filter(
                organisation=new.organisation, position=old.position, epoch=old.epoch, epoch__lte=new.epoch
            ).update(position=new.position, link=new.link, epoch=new.epoch)
            == 1
        )
    if not moved:
        raise Fenced("Another sealer moved the chain; this one stops.", remedy="It resumes with a new lease.")


def _report_missing(now: Instant, count: int) -> None:
    """Say in the book itself that committed entries vanished before they were sealed."""
    from isthmus.ledger import organisations
    from isthmus.ledger.door import perform

    _log.error("entries_missing_before_seal", count=count)
    why = [Reason(rule="sealer.missing", text="Committed entries were gone before they could be sealed.")]
    perform(
        lambda work: work.journal(organisations.root(), "book.entries_missing", {"count": count}, why),
        actor=system("sealer"), origin=Origin(channel="hub"), now=now,
    )  # fmt: skip
