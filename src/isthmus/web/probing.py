"""Probing a connection: ask the partner now whether it answers and what our account may do there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from isthmus.connectors.kit.ports import Client
from isthmus.hub import connections, health
from isthmus.kernel.errors import IsthmusError, Retryable
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work

PROBE_SECONDS_MAX = 15


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came of a probe. `error` is None where the partner answered."""

    name: str
    organisation: str
    product: str = ""
    version: str = ""
    missing_scopes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    error: IsthmusError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and not self.missing_scopes

    @property
    def text(self) -> str:
        """One sentence for people."""
        if self.error is not None:
            return f"{self.name} does not answer: {self.error.text}"
        what = " ".join(each for each in (self.product, self.version) if each)
        said = f"{self.name} answers{f' ({what})' if what else ''}."
        if self.missing_scopes:
            said += f" Our account there lacks: {', '.join(self.missing_scopes)}."
        return " ".join([said, *self.notes])


def probe(name: str, organisation: str) -> Finding:
    """Call the partner once, within the time limit. An error is an answer here, not an exception."""
    try:
        # Opened here: it reads the blueprint from the store, which an event loop may not do.
        return asyncio.run(_ask(name, organisation, connections.open(name).client))
    except IsthmusError as error:
        return Finding(name=name, organisation=organisation, error=error)


def note(work: Work, found: Finding) -> Finding:
    """Put what was found on record and into the connection's health."""
    if found.error is not None:
        health.failed(work, found.organisation, found.name, found.error, work.now)
    else:
        health.succeeded(work, found.organisation, found.name, work.now)
    facts: dict[str, Json] = {"ok": found.ok, "missing_scopes": [*found.missing_scopes]}
    why = [Reason(rule="connection.probed", text=f"Probed: {found.text}")]
    work.journal(found.organisation, f"connection:{found.name}", facts, why)
    return found


async def _ask(name: str, organisation: str, client: Client) -> Finding:
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            answer = await client.probe()
    except TimeoutError as cause:
        raise Retryable(
            f"{name} did not answer within {PROBE_SECONDS_MAX} seconds.",
            remedy="See whether it is reachable from this machine.",
        ) from cause
    finally:
        await client.close()
    return Finding(
        name=name,
        organisation=organisation,
        product=answer.product,
        version=answer.version,
        missing_scopes=tuple(answer.missing_scopes),
        notes=tuple(answer.notes),
    )
