"""The SLA engine of a simulated instance: definitions, and one `task_sla` row per promise and task.

Start, pause and stop conditions move a row through its stages (In progress, Paused, Completed, Cancelled); what has
elapsed is written at such a move and by `recalculate`, the scheduled job, which passes over paused rows. Numbers
between are as old as their row.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from isthmus.connectors.kit.shelf import Shelf

DEFINITION, TASK_SLA = "contract_sla", "task_sla"
DURATIONS = ("duration", "business_duration", "pause_duration", "sla.duration")
MOMENTS = ("start_time", "end_time", "planned_end_time", "pause_time")
COLUMNS = (
    "sys_id", "task", "sla", "stage", "active", "has_breached", "schedule", *MOMENTS, "duration", "business_duration",
    "pause_duration", "percentage", "sys_created_on", "sys_updated_on", "sys_mod_count",
    "sla.name", "sla.target", "sla.duration", "task.sys_class_name",
)  # fmt: skip
"""Columns of `task_sla`, with those of the definition and the task that a query may walk to."""
_RESOLVED, _CANCELLED = frozenset({"6", "7"}), "8"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One promise about incidents. `paused` and `stopped`: states of the task in which it pauses, or is kept."""

    key: str
    name: str
    target: str
    duration: dt.timedelta
    paused: frozenset[str]
    stopped: frozenset[str]


class SlaEngine:
    """The promises of one instance; `clock` is its UTC time."""

    def __init__(self, shelf: Callable[[str], Shelf], clock: Callable[[], dt.datetime]) -> None:
        self._shelf, self.clock = shelf, clock
        self._definitions: list[Definition] = []

    def define(
        self,
        name: str,
        duration: dt.timedelta,
        *,
        target: str = "resolution",
        paused: frozenset[str] = frozenset({"3"}),
        stopped: frozenset[str] = _RESOLVED,
    ) -> None:
        """Add a definition: it is attached to every incident that changes from now on."""
        made = Definition(
            key=uuid.uuid4().hex, name=name, target=target, duration=duration, paused=paused, stopped=stopped
        )
        self._definitions.append(made)
        self._shelf(DEFINITION).put(made.key, {"sys_id": made.key, "name": name})

    def changed(self, table: str, task: Mapping[str, str]) -> None:
        """Look at a task that was inserted or updated."""
        for definition in self._definitions if table == "incident" else ():
            held = self._open(task["sys_id"], definition)
            if held is None:
                if task["state"] not in {*definition.stopped, _CANCELLED}:
                    self._attach(table, task, definition)
            elif task["state"] == _CANCELLED:
                self._end(held, "cancelled")
            elif task["state"] in definition.stopped:
                self._end(held, "completed")
            elif task["state"] in definition.paused and held["stage"] == "in_progress":
                counted = self._counted(held) | {"stage": "paused", "pause_time": text_of(self.clock())}
                self._put(held | counted)
            elif task["state"] not in definition.paused and held["stage"] == "paused":
                self._resume(held)

    def recalculate(self) -> None:
        """Write what has elapsed into the rows that count: the scheduled job of the product."""
        for row in list(self.rows()):
            if row["active"] == "true" and row["stage"] == "in_progress":
                self._put(row | self._counted(row))

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield all rows."""
        for _, row in self._shelf(TASK_SLA).all():
            yield row

    def _open(self, task: str, definition: Definition) -> dict[str, str] | None:
        for row in self.rows():
            if row["task"] == task and row["sla"] == definition.key and row["active"] == "true":
                return row
        return None

    def _attach(self, table: str, task: Mapping[str, str], definition: Definition) -> None:
        now = self.clock()
        row = dict.fromkeys(COLUMNS, "") | {
            "sys_id": uuid.uuid4().hex, "task": task["sys_id"], "sla": definition.key, "stage": "in_progress",
            "active": "true", "has_breached": "false", "start_time": text_of(now), "percentage": "0",
            "planned_end_time": text_of(now + definition.duration), "duration": span_of(dt.timedelta()),
            "pause_duration": span_of(dt.timedelta()), "sys_created_on": text_of(now), "sys_mod_count": "-1",
            "sla.name": definition.name, "sla.target": definition.target, "sla.duration": span_of(definition.duration),
            "task.sys_class_name": table,
        }  # fmt: skip
        self._put(row)

    def _resume(self, row: dict[str, str]) -> None:
        stood = self.clock() - moment_of(row["pause_time"])
        paused = _length(row["pause_duration"]) + stood
        self._put(
            row
            | {
                "stage": "in_progress", "pause_time": "", "pause_duration": span_of(paused),
                "planned_end_time": text_of(moment_of(row["planned_end_time"]) + stood),
            }
        )  # fmt: skip

    def _end(self, row: dict[str, str], stage: str) -> None:
        counted = self._counted(row) if row["stage"] == "in_progress" else {}
        self._put(
            row
            | counted
            | {"stage": stage, "active": "false", "end_time": text_of(self.clock()), "pause_time": ""}
        )

    def _counted(self, row: Mapping[str, str]) -> dict[str, str]:
        elapsed = self.clock() - moment_of(row["start_time"]) - _length(row["pause_duration"])
        promised = _length(row["sla.duration"])
        return {
            "duration": span_of(elapsed), "percentage": f"{100 * elapsed / promised:.2f}",
            "has_breached": "true" if elapsed >= promised else row["has_breached"],
        }  # fmt: skip

    def _put(self, row: Mapping[str, str]) -> None:
        stamped = {
            "sys_updated_on": text_of(self.clock()),
            "sys_mod_count": str(int(row["sys_mod_count"]) + 1),
        }
        self._shelf(TASK_SLA).put(row["sys_id"], {**row, **stamped})


def text_of(moment: dt.datetime) -> str:
    """Return an instant as the product stores it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def moment_of(text: str) -> dt.datetime:
    """Return the instant of a stored text."""
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)


def span_of(span: dt.timedelta) -> str:
    """Return a duration as the product stores it: the time that lies so long after 1970."""
    return text_of(_EPOCH + max(span, dt.timedelta()))


def _length(text: str) -> dt.timedelta:
    return moment_of(text) - _EPOCH
