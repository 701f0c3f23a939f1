"""Freezes and peaks that people set, beside those of the blueprint."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.instant import DAY
from isthmus.kernel.record import Reason
from isthmus.ledger import reading
from isthmus.ledger.work import Work
from isthmus.practices.change.models import ChangeCalendar, Freeze
from isthmus.practices.configuration import service as configuration

DAYS_MAX = 366
NAMES_MAX = 200
NAME_CHARACTERS_MAX = 200


def create(work: Work, values: Mapping[str, Any], *, organisation: str, source: str = "") -> Freeze:
    """Set a freeze (nothing goes in) or a peak (nothing of high risk goes in).

    `name`, `effect`, `starts_at`, `ends_at`; `environments` and `cis` narrow it (empty: everything).
    """
    problems: list[Problem] = []

    def no(name: str, message: str, remedy: str) -> None:
        problems.append(Problem(path=f"/{name}", message=message, remedy=remedy))

    name, effect = str(values.get("name") or "").strip(), values.get("effect") or "freeze"
    start, end = values.get("starts_at"), values.get("ends_at")
    if not name or len(name) > NAME_CHARACTERS_MAX:
        no("name", "A name is needed.", f"1 to {NAME_CHARACTERS_MAX} characters; the gate says it.")
    if effect not in {"freeze", "peak"}:
        no("effect", f"{effect!r} is no effect.", "Use freeze or peak.")
    if not isinstance(start, int) or not isinstance(end, int) or not start < end <= start + DAYS_MAX * DAY:
        no("ends_at", f"A stretch of at most {DAYS_MAX} days is needed.", "Give starts_at before ends_at.")
    lists: dict[str, list[str]] = {}
    for key in ("environments", "cis"):
        given = values.get(key) or []
        if (
            not isinstance(given, list)
            or len(given) > NAMES_MAX
            or not all(isinstance(each, str) and each.strip() for each in given)
        ):
            no(key, f"A list of at most {NAMES_MAX} names is needed.", "Leave it empty for everything.")
            continue
        lists[key] = sorted({each.strip() for each in given})
    unknown = sorted(
        each
        for each, ci in configuration.resolve(lists.get("cis", []), organisation=organisation).items()
        if not ci
    )
    if unknown:
        no(
            "cis",
            f"The map does not know {', '.join(unknown)}.",
            "A freeze on nothing would freeze nothing: import the item first.",
        )
    if problems:
        raise Rejected(
            "The freeze is not accepted.", problems=tuple(problems), remedy="Correct the fields named."
        )
    freeze = work.create(
        Freeze,
        organisation=organisation,
        values={
            "name": name,
            "effect": effect,
            "starts_at": start,
            "ends_at": end,
            **lists,
            "state": "active",
            "source": source,
        },
        why=[Reason(rule="change.freeze", text=f"Set by {work.actor.label or work.actor.id}.")],
    )
    _enter(work, organisation, add={freeze.id})
    return freeze


def cancel(work: Work, freeze: Freeze, why: str = "") -> Freeze:
    """Lift a freeze before its time."""
    if freeze.state != "active":
        raise Conflict(f"{freeze.name!r} is not active.", remedy="Nothing is left to do.")
    _enter(work, freeze.organisation, take={freeze.id})
    text = why.strip() or f"Lifted by {work.actor.label or work.actor.id}."
    return work.change(freeze, {"state": "cancelled"}, why=[Reason(rule="change.freeze", text=text)])


def of(record_id: str) -> Freeze:
    """Return a freeze by id, within the open scope."""
    found = Freeze.objects.filter(id=record_id).first()
    if not isinstance(found, Freeze):
        raise NotFound("There is no such freeze, or none that you may see.")
    return found


def active(organisation: str) -> list[dict[str, Any]]:
    """Return the active freezes and peaks as their entries tell them: hiding or editing a row lifts none."""
    calendar = reading.as_of(ChangeCalendar, ChangeCalendar.id_of(organisation))
    listed = list(calendar["freezes"] or []) if calendar is not None else []
    found = [told for each in listed if (told := reading.as_of(Freeze, each)) is not None]
    return [told for told in found if told["state"] == "active" and told["organisation"] == organisation]


def _enter(
    work: Work,
    organisation: str,
    *,
    add: AbstractSet[str] = frozenset(),
    take: AbstractSet[str] = frozenset(),
) -> None:
    record_id = ChangeCalendar.id_of(organisation)
    held = work.pending.get(record_id)
    calendar = held.record if held is not None else ChangeCalendar.objects.filter(id=record_id).first()
    why = [Reason(rule="change.calendar", text="A freeze was set." if add else "A freeze was lifted.")]
    if not isinstance(calendar, ChangeCalendar):
        work.create(
            ChangeCalendar,
            organisation=organisation,
            values={"freezes": sorted(add)},
            why=why,
            record_id=record_id,
        )
        return
    work.change(calendar, {"freezes": sorted(({*(calendar.freezes or [])} | add) - take)}, why=why)
