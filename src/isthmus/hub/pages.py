"""What the pages of polls and streams become: messages of the intake log, and counts of what may not enter."""

from __future__ import annotations

from isthmus.connectors.kit.ports import Page, encode_observations
from isthmus.hub import metrics
from isthmus.hub.connections import Connection
from isthmus.hub.intake.log import IntakeLog
from isthmus.hub.intake.message import FETCH, POLL, Draft, Headers
from isthmus.hub.intake.refusals import Refusals
from isthmus.ledger.ids import source

refusals = Refusals()
"""What was read by this process and may not enter: counted as at the door, and journalled by whoever runs it."""


def append(log: IntakeLog, connection: Connection, kind: str, page: Page) -> None:
    """Make a page durable in the log: its observations as one message, each of its messages as it is. What was read
    and may not enter is counted."""
    said = encode_observations(page.observations)
    drafts = [_draft(connection, POLL, [("x-isthmus-kind", kind)], said)] if page.observations else []
    drafts += [_draft(connection, FETCH, list(each.headers), each.body) for each in page.messages]
    if drafts:
        log.append(connection.name, drafts)
    for reason in page.refused:
        refusals.add(connection.name, "poll", reason)
        metrics.POLL_REFUSED.labels(connection.name, reason).inc()


def _draft(connection: Connection, door: str, headers: Headers, body: bytes) -> Draft:
    return Draft(
        id=source.new_id(),
        trace=source.new_trace(),
        received_at=source.now(),
        door=door,
        connector=connection.stamp,
        headers=headers,
        body=body,
    )
