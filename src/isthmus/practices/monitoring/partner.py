"""How an alert stands at its source, as last shown, compared with what the source was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules import telling
from isthmus.practices.monitoring.rules.mirror import PREFIX
from isthmus.practices.monitoring.rules.occurrence import UNSEEN, View


def view_of(alert: Alert) -> View:
    """Return the source's view of a recorded alert."""
    if not alert.acknowledged and not alert.silenced:
        return UNSEEN
    return View(
        acknowledged=alert.acknowledged,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_at=None if alert.acknowledged_at is None else Instant(alert.acknowledged_at),
        silenced=alert.silenced,
    )


def read_back(alert: Alert, view: View, received_at: Instant) -> dict[str, Any]:
    """Return the fields that say what stuck of what the source was told, as far as this view shows it."""
    told = telling.seen(alert.told or {}, view, alert.connection, received_at)
    return {} if told is None else told_fields(told)


def fires_still(alert: Alert, received_at: Instant) -> dict[str, Any]:
    """Return the fields that say that a closing did not stick, where the source says that the alert fires."""
    told = telling.still_firing(alert.told or {}, alert.connection, received_at)
    return {} if told is None else told_fields(told)


def told_fields(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an alert that hold what its source was told."""
    return {"told": dict(told) or None, "astray": telling.astray(told)}


def told_lines(alert: Alert) -> list[dict[str, Any]]:
    """Return what was told of an alert, to whom (`to`), and what became of it."""
    held = alert.told if isinstance(alert.told, dict) else {}
    found = []
    for name, each in sorted(held.items()):
        if isinstance(each, dict):
            pager = name.removeprefix(PREFIX) if name.startswith(PREFIX) else ""
            found.append(
                {"to": pager or alert.connection, **each, "verb": each.get("verb", "") if pager else name}
            )
    return found


def afresh(alert: Alert) -> dict[str, Any]:
    """Return the fields that forget an earlier episode: what its source was told, and who had it."""
    if alert.told is None and alert.taken_at is None:
        return {}
    return {"told": None, "astray": False, "taken_by": "", "taken_at": None}


def shown(work: Work, alert: Alert, view: View, received_at: Instant) -> None:
    """Record what a source shows in a message that is otherwise a repeat."""
    values: dict[str, Any] = {}
    if view != view_of(alert):
        values = {name: getattr(view, name) for name in view.__struct_fields__}
    if alert.told:
        values |= read_back(alert, view, received_at)
    if values:
        text = f"{alert.connection} shows it {_in_words(view)}."
        work.change(alert, values, why=[Reason(rule="monitoring.partner", text=text)])


def _in_words(view: View) -> str:
    acknowledged = "acknowledged" if view.acknowledged else "not acknowledged"
    return f"{acknowledged} and silenced" if view.silenced else acknowledged
