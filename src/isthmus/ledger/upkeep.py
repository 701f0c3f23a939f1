"""What the book needs done all the time: sealing, checkpoints, the search index. One call from the work loop."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.kernel.instant import Instant
from isthmus.ledger import checkpoint, scope, sealer, search


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one round did, and how old the unsealed tail is now (microseconds)."""

    sealed: int
    checkpoint: int
    indexed: int
    unsealed_age: int

    @property
    def alarming(self) -> bool:
        """True if entries wait for their seal longer than the alarm allows."""
        return self.unsealed_age > sealer.ALARM_AFTER


def tick(now: Instant, *, holder: str = "", index: bool = True) -> Kept:
    """Do one round; call it a few times a second from one thread of the `keeper`.

    Any number of processes may call it: only the holder of the sealer's lease does the work. `holder` names
    the caller across its restarts, so that a successor need not wait for a dead one's lease. `index` false
    leaves the search index for later, while there is more pressing work.
    """
    with scope.everywhere("upkeep of the book"):
        sealed = sealer.seal_all(now, holder=holder)
        made = checkpoint.make(now) if checkpoint.due(now) else None
        indexed = search.index_some() if index else 0
        return Kept(
            sealed=sealed,
            checkpoint=made.number if made else 0,
            indexed=indexed,
            unsealed_age=sealer.unsealed_age(now),
        )
