"""Leases: who does a job that only one process may do at a time, with epochs that fence the ones before.

A holder proves itself inside its write transaction (`prove`): if somebody took the lease over meanwhile, the
epoch moved, no row changes, and nothing of the transaction is written.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.kernel.actor import Origin, system
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger.door import perform
from isthmus.ledger.models import Lease

if TYPE_CHECKING:
    from isthmus.ledger.work import Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A lease as its holder knows it."""

    name: str
    holder: str
    epoch: int
    until: Instant


def this_process() -> str:
    """Return a name for the calling process, unique among machines and restarts in practice."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}"


def acquire(name: str, holder: str, now: Instant, *, seconds: int) -> Held | None:
    """Take or renew a lease; None if another holder's has not expired yet."""

    def act(work: Work) -> Held | None:
        row = Lease.objects.filter(name=name).first()
        until = Instant(now + seconds * SECOND)
        if row is None:
            work.insert(Lease, name=name, holder=holder, epoch=1, expires_at=until)
            return Held(name=name, holder=holder, epoch=1, until=until)
        if row.holder != holder and row.expires_at > now:
            return None
        epoch = row.epoch if row.holder == holder else row.epoch + 1
        work.advance(
            Lease,
            where={"name": name, "epoch": row.epoch, "holder": row.holder},
            values={"holder": holder, "epoch": epoch, "expires_at": until},
        )
        return Held(name=name, holder=holder, epoch=epoch, until=until)

    return perform(act, actor=system("lease"), origin=Origin(channel="timer"), now=now, exclusive=True)


def prove(work: Work, held: Held) -> None:
    """Let the Work through only if the lease is still this holder's at the flush."""
    work.advance(
        Lease,
        where={"name": held.name, "epoch": held.epoch, "holder": held.holder},
        values={"expires_at": held.until},
    )


def release(held: Held, now: Instant) -> None:
    """Give a lease back; one that was lost meanwhile is left alone."""

    def act(work: Work) -> None:
        if Lease.objects.filter(name=held.name, epoch=held.epoch, holder=held.holder).exists():
            work.advance(
                Lease,
                where={"name": held.name, "epoch": held.epoch, "holder": held.holder},
                values={"holder": "", "expires_at": 0, "epoch": held.epoch + 1},
            )

    perform(act, actor=system("lease"), origin=Origin(channel="timer"), now=now, exclusive=True)
