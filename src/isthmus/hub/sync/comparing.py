"""The scheduled comparison: every link of a connection is read afresh now and then, and what differs is merged.

It finds what no message told: lost webhooks, writes that a partner confirmed and did not keep. Links are taken
in small batches, only while the lane has little else to do, so that edits of people never wait for it. A round
is counted in `Comparison` and journalled when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.hub import connections, due, health
from isthmus.hub.lanes import levels
from isthmus.hub.models import Due
from isthmus.hub.sync import loading, recording
from isthmus.hub.sync.algorithm import LinkPart, LinkState, mark_dirty
from isthmus.hub.sync.boundary import Flow
from isthmus.hub.sync.models import Comparison, Link, LinkRun
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.duration import microseconds
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Reason
from isthmus.ledger.door import perform

if TYPE_CHECKING:
    from isthmus.hub.sync.loading import Loaded
    from isthmus.ledger.work import Work

WHAT = "sync.compare"
PACE = 15 * SECOND
SHARE = 40
"""A batch is this part of a connection's calls per minute: at most a third of them, whatever a read costs."""
BATCH_MAX = 50
BUSY = 20
"""A lane with more waiting than this is left alone."""
CLOSE_AFTER = 10 * MINUTE
"""How long the end of a round waits for the last reads."""
_ORIGIN = Origin(channel="timer")


def ensure_scheduled(now: Instant) -> None:
    """Schedule the comparisons that the flows ask for and cancel the others. A new one first runs after its
    interval; a changed interval counts from now."""
    wanted = {
        (name, kind): microseconds(terms.compare_every)
        for kind, flow in loading.flows().items()
        for name, terms in flow.connections.items()
        if terms.compare_every and name in connections.in_force()
    }
    held = {(row.subject, row.key): row for row in Due.objects.filter(what=WHAT)}

    def act(work: Work) -> None:
        for (name, kind), every in wanted.items():
            row = held.get((name, kind))
            if row is None or _payload(row).get("every") != every:
                home = connections.get(name).organisation
                due.schedule(
                    work,
                    WHAT,
                    name,
                    Instant(now + every),
                    organisation=home,
                    key=kind,
                    payload={"every": every},
                )
        for place, row in held.items():
            if place not in wanted:
                due.cancel(work, WHAT, row.subject, organisation=row.organisation, key=row.key)

    if wanted.keys() ^ held.keys() or any(
        _payload(held[each]).get("every") != wanted[each] for each in wanted
    ):
        perform(act, actor=system("comparison"), origin=_ORIGIN, now=now)


def run_now(work: Work, connection: str, kind: str) -> None:
    """Begin a comparison at once, whatever the schedule says."""
    terms = loading.flow_of(kind).connections[connection]
    home = connections.get(connection).organisation
    due.schedule(work, WHAT, connection, work.now, organisation=home, key=kind,
                 payload={"every": microseconds(terms.compare_every)})  # fmt: skip


def on_due(work: Work, row: Due, now: Instant) -> None:
    """Take one batch of a round; the last one closes it and sets the time of the next round."""
    flow, payload = loading.flow_of(row.key), _payload(row)
    every = int(payload.get("every") or 0)
    if not _follows(flow, row.subject):
        return
    if _busy(row, now):
        _again(work, row, Instant(now + 2 * PACE), payload)
        return
    started = int(payload.get("started") or 0)
    if not started:
        started = int(now)
        zero = {"started_at": now, "finished_at": None, "asked": 0, "looked": 0, "different": 0, "missing": 0}
        work.upsert(Comparison, key=_key(row.organisation, row.subject, row.key), values=zero)
    batch = list(
        Link.objects.filter(
            connection=row.subject, record_kind=row.key, state="active", id__gt=payload.get("cursor", "")
        )
        .exclude(external_key="")
        .order_by("id")[: _batch_size(row.subject)]
    )
    if batch:
        _ask(work, row, batch, started)
        more = {"every": every, "started": started, "cursor": batch[-1].id}
        _again(work, row, Instant(now + PACE), more)
    elif now - started < CLOSE_AFTER and _open(row.subject, started):
        _again(work, row, Instant(now + PACE), payload | {"started": started})
    else:
        _close(work, row, started, every)


def looked(work: Work, loaded: Loaded, before: LinkState, seen: Observation) -> None:
    """Count what a read found, if the comparison had asked for it."""
    if not loaded.run.comparing:
        return
    link = loaded.link
    loaded.run.comparing = 0
    different = _differences(before, loaded.state)
    add = {"looked": 1, "different": int(bool(different)), "missing": int(seen.deleted)}
    work.bump(
        Comparison,
        key=_key(connections.get(link.connection).organisation, link.connection, link.record_kind),
        add=add,
    )
    text = f"Found by comparison: {', '.join(different)}." if different else ""
    reasons = (
        [Reason(rule="sync.compared", text=text, facts={"parts": list(different)})] if different else None
    )
    recording.put_state(work, loaded, loaded.state, reasons=reasons)


def _differences(before: LinkState, after: LinkState) -> tuple[str, ...]:
    parts = (
        name for name, part in after.parts.items() if part.seen != before.parts.get(name, LinkPart()).seen
    )
    comments = ["comments"] if len(after.comments) > len(before.comments) else []
    return (*sorted(parts), *comments)


def _follows(flow: Flow, connection: str) -> bool:
    return connection in flow.connections and connection in connections.in_force()


def _busy(row: Due, now: Instant) -> bool:
    if health.state_of(row.organisation, row.subject).paused:
        return True
    return Due.objects.filter(lane=row.subject, due_at__lte=now)[: BUSY + 1].count() > BUSY


def _batch_size(connection: str) -> int:
    found = connections.get(connection)
    per_minute = found.entry.limits.requests_per_minute or found.manifest.limits.requests_per_minute
    return max(1, min(BATCH_MAX, per_minute // SHARE))


def _ask(work: Work, row: Due, batch: list[Link], started: int) -> None:
    asked = 0
    for each in loading.load(work, [link.id for link in batch]).values():
        each.run.comparing = started
        recording.put_state(work, each, mark_dirty(each.state))
        levels.converge(work, each.link)
        asked += 1
    work.bump(Comparison, key=_key(row.organisation, row.subject, row.key), add={"asked": asked})


def _open(connection: str, started: int) -> bool:
    return LinkRun.objects.filter(connection=connection, comparing=started).exists()


def _close(work: Work, row: Due, started: int, every: int) -> None:
    key = _key(row.organisation, row.subject, row.key)
    held = Comparison.objects.filter(**key).first()
    counts = {name: getattr(held, name, 0) for name in ("asked", "looked", "different", "missing")}
    work.upsert(Comparison, key=key, values={"started_at": started, "finished_at": work.now})
    text = (
        f"Compared {counts['looked']} of {counts['asked']} {row.key} links with {row.subject}: "
        f"{counts['different']} differed, {counts['missing']} were gone."
    )
    work.journal(row.organisation, f"connection:{row.subject}", {"kind": row.key, **counts},
                 [Reason(rule="sync.comparison", text=text)])  # fmt: skip
    if every:
        _again(work, row, Instant(max(started + every, work.now + PACE)), {"every": every})


def _again(work: Work, row: Due, at: Instant, payload: dict[str, Any]) -> None:
    due.schedule(work, WHAT, row.subject, at, organisation=row.organisation, key=row.key, payload=payload)


def _payload(row: Due) -> dict[str, Any]:
    return row.payload if isinstance(row.payload, dict) else {}


def _key(organisation: str, connection: str, kind: str) -> dict[str, str]:
    return {"organisation": organisation, "connection": connection, "kind": kind}


def latest(connection: str) -> list[Comparison]:
    """Return the last or running round of each kind of a connection."""
    return list(Comparison.objects.filter(connection=connection).order_by("kind"))
