"""Acting on many incidents: each in a Work of its own, so that one that fails takes no other with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from isthmus.identity import permissions
from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import IsthmusError, Problem, Rejected
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work
from isthmus.practices.incident import service
from isthmus.practices.incident.shapes import comment_out, incident_out

ITEMS_MAX: Final = 200


def run(
    items: Sequence[tuple[str, str, Mapping[str, Any]]], *, actor: Actor, origin: Origin, trace: str
) -> Iterator[tuple[str, dict[str, Any] | IsthmusError]]:
    """Yield (reference, result or error) per item (reference, action, values), in order."""
    if len(items) > ITEMS_MAX:
        raise Rejected(
            f"A bulk request has at most {ITEMS_MAX} items.",
            problems=(
                Problem(path="/body/items", message=f"{len(items)} items", remedy="Send several requests."),
            ),
        )
    for reference, action, values in items:
        act = partial(_one, reference=reference, action=action, values=values)
        try:
            yield reference, perform(act, actor=actor, origin=origin, trace=trace)
        except IsthmusError as error:
            yield reference, error


def _one(work: Work, *, reference: str, action: str, values: Mapping[str, Any]) -> dict[str, Any]:
    incident = service.get(work, reference)
    permissions.require(work.actor, "incident:write", incident.organisation)
    match action:
        case "update":
            return incident_out(service.update(work, incident, values))
        case "comment":
            return comment_out(
                service.comment(
                    work, incident, str(values.get("body", "")), public=values.get("public") is True
                )
            )
        case "resolve":
            code, notes = str(values.get("code", "")), str(values.get("notes", ""))
            return incident_out(service.resolve(work, incident, code=code, notes=notes))
        case "reopen":
            return incident_out(service.reopen(work, incident))
        case "close":
            return incident_out(service.close(work, incident))
        case _:
            raise Rejected(
                f"{action!r} is not an action.", remedy="Use update, comment, resolve, reopen or close."
            )
