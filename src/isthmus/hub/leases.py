"""Leases of the hub's loops (`ledger.lease`), proved inside the holder's own transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.ledger.lease import Held, drop, take
from isthmus.ledger.models import Lease

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

__all__ = ["Held", "drop", "prove", "take"]


def prove(work: Work, held: Held) -> None:
    """Let the Work through only if the lease is still this holder's when it is flushed.

    If somebody took the lease over, its epoch moved: no row changes, and nothing of the Work is written.
    """
    work.advance(
        Lease,
        where={"name": held.name, "epoch": held.epoch, "holder": held.holder},
        values={"epoch": held.epoch},
    )
