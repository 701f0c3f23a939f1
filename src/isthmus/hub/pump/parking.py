"""Messages that could not be taken: parked with cause and remedy, kept in order, re-driven by people.

Everything later about the same record waits behind the first that failed, so that re-driving restores the
order in which things happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from isthmus.hub import due
from isthmus.hub.connections import Connection
from isthmus.hub.intake.message import Message
from isthmus.hub.models import ParkedMessage
from isthmus.hub.pump import completing
from isthmus.hub.pump.stage_one import Item
from isthmus.kernel.errors import IsthmusError, NotFound, Rejected
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

PARKED = "parked"
REDRIVEN = "redriven"
DISMISSED = "dismissed"
REDRIVE = "redrive"
"""The wait that a person's wish to re-drive becomes."""

TEXT_MAX = 1_000
_READ_CHUNK = 900
_BEHIND = "An earlier message about the same record is parked."
_BEHIND_REMEDY = "Re-drive or dismiss the earlier one; this one follows."


def waiting_subjects(connection: Connection, subjects: Iterable[str]) -> dict[str, str]:
    """Return, of these records, those with something parked: subject → id of the first parked row."""
    parked = ParkedMessage.objects.filter(
        organisation=connection.organisation, connection=connection.name, state=PARKED
    )
    if not parked.exists():
        return {}
    wanted = sorted(set(subjects))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _READ_CHUNK):
        rows = parked.filter(subject__in=wanted[start : start + _READ_CHUNK]).order_by("position", "place")
        for subject, row_id in rows.values_list("subject", "id"):
            found.setdefault(subject, row_id)
    return found


def park(
    work: Work, connection: Connection, message: Message, item: Item, fault: Exception | None, *, behind: str
) -> str:
    """Park one item, because of `fault` or behind another parked row; return the new row's id."""
    row_id = source.new_id()
    work.insert(
        ParkedMessage,
        id=row_id,
        organisation=connection.organisation,
        connection=connection.name,
        position=message.position,
        place=item.place,
        message_id=message.id,
        trace=message.trace,
        kind="" if item.seen is None else item.seen.observation.kind,
        subject=item.subject,
        behind=behind if fault is None else "",
        received_at=message.received_at,
        parked_at=work.now,
        attempts=1,
        state=PARKED,
        **told(fault),
    )
    return row_id


def told(fault: Exception | None) -> dict[str, Json]:
    """Return cause, remedy and problems of a fault as columns. Texts not made for people are not shown."""
    if fault is None:
        return {"cause": _BEHIND, "remedy": _BEHIND_REMEDY, "problems": None}
    if not isinstance(fault, IsthmusError):
        return {
            "cause": f"An unforeseen fault ({type(fault).__name__}).",
            "remedy": "Report it with the hub's log of this time; re-drive after the update.",
            "problems": None,
        }
    problems: list[Json] = []
    if isinstance(fault, Rejected):
        problems = [
            {"path": each.path, "message": each.message, "remedy": each.remedy} for each in fault.problems
        ]
    return {
        "cause": fault.text[:TEXT_MAX],
        "remedy": fault.remedy[:TEXT_MAX],
        "problems": problems or None,
    }


def redrive(work: Work, parked_id: str, given: Mapping[str, str] | None = None) -> ParkedMessage:
    """Have a parked message, and those behind it, taken up again at once by the engine.

    `given` are canonical values with which a person completes it; they wait sealed, like every text of people.
    """
    row = ParkedMessage.objects.filter(id=parked_id, state=PARKED).first()
    if row is None:
        raise NotFound("There is no such parked message.")
    actor = work.actor
    roles: list[Json] = [*sorted(actor.roles)]
    asked: Json = {
        "kind": actor.kind.value,
        "id": actor.id,
        "label": actor.label,
        "roles": roles,
        "given": completing.sealed(parked_id, given) if given else "",
    }
    due.schedule(work, REDRIVE, parked_id, work.now, organisation=row.organisation, payload=asked)
    return row


def dismiss(work: Work, parked_id: str, reason: str) -> ParkedMessage:
    """Give up a parked message for good; the ones behind it can then be re-driven."""
    row = ParkedMessage.objects.filter(id=parked_id, state=PARKED).first()
    if row is None:
        raise NotFound("There is no such parked message.")
    work.advance(ParkedMessage, where={"id": row.id, "state": PARKED}, values={"state": DISMISSED})
    work.journal(
        row.organisation,
        f"message:{row.message_id}",
        {"parked": row.id, "connection": row.connection, "position": row.position, "reason": reason},
        [Reason(rule="pump.dismiss", text=f"A parked message was dismissed: {reason}")],
    )
    return row


def oldest_position(connection: Connection) -> int | None:
    """Return the position of the oldest parked message: retention stops before it."""
    found = ParkedMessage.objects.filter(
        organisation=connection.organisation, connection=connection.name, state=PARKED
    )
    return found.order_by("position").values_list("position", flat=True).first()
