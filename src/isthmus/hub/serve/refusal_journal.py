"""Refusals become facts: one entry a minute and organisation, with counts, never with bodies."""

from __future__ import annotations

from collections import defaultdict

from isthmus.hub import connections
from isthmus.hub.intake.refusals import Refusal, Refusals
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import organisations
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

LINES_MAX = 50


def flush(refusals: Refusals, now: Instant) -> int:
    """Journal what was refused since the last time; return how many requests that were."""
    counts = refusals.take()
    if not counts:
        return 0
    known = connections.in_force()
    by_home: dict[str, list[tuple[Refusal, int]]] = defaultdict(list)
    for each, count in counts.items():
        home = known[each.connection].organisation if each.connection in known else organisations.root()
        by_home[home].append((each, count))

    def act(work: Work) -> None:
        for home, lines in by_home.items():
            total = sum(count for _, count in lines)
            largest = sorted(lines, key=lambda line: -line[1])[:LINES_MAX]
            facts: list[Json] = [
                {"connection": each.connection, "source": each.source, "reason": each.reason, "count": count}
                for each, count in largest
            ]
            work.journal(
                home,
                "intake:refused",
                {"refused": facts, "total": total},
                [Reason(rule="intake.refuse", text=f"{total} requests were refused at the intake door.")],
            )

    try:
        perform(act, actor=system("intake"), origin=Origin(channel="webhook"), now=now)
    except Exception:
        refusals.put_back(counts)
        raise
    return sum(counts.values())
