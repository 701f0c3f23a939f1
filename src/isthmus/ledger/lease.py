"""Leases: jobs that one process does at a time, fenced by an epoch."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from django.db import transaction

from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger import turnstile
from isthmus.ledger.models import Lease

HELD_FOR = 15 * SECOND


@dataclass(frozen=True)
class Held:
    """A lease as it was granted: every write of its holder is conditional on this epoch."""

    name: str
    holder: str
    epoch: int


def me() -> str:
    """Return a name for this process that no other running process has."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}"


def take(name: str, *, now: Instant, holder: str = "", held_for: int = HELD_FOR) -> Held | None:
    """Take or renew a lease for `held_for` microseconds; None while somebody else holds it.

    A renewal keeps the epoch; a change of holder moves it, so that the earlier holder's writes fail.
    """
    holder = holder or me()
    found = Lease.objects.filter(name=name).first()
    if found is not None and found.holder == holder and found.expires_at - now > held_for // 2:
        return Held(name, holder, found.epoch)
    if found is not None and found.holder != holder and found.expires_at > now:
        return None
    with turnstile.entered(), transaction.atomic():
        if found is None:
            _, made = Lease.objects.get_or_create(
                name=name, defaults={"holder": holder, "epoch": 1, "expires_at": now + held_for}
            )
            return Held(name, holder, 1) if made else None
        epoch = found.epoch if found.holder == holder else found.epoch + 1
        moved = Lease.objects.filter(name=name, epoch=found.epoch, holder=found.holder).update(
            holder=holder, epoch=epoch, expires_at=now + held_for
        )
    return Held(name, holder, epoch) if moved == 1 else None


def drop(held: Held) -> None:
    """Give a lease back, so that another process need not wait for its end."""
    with turnstile.entered(), transaction.atomic():
        Lease.objects.filter(name=held.name, holder=held.holder, epoch=held.epoch).update(expires_at=0)
