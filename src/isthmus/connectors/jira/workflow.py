"""Changing a status: transitions of the workflow, looked up and taken one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.connectors.jira.client import JiraClient, Transition
from isthmus.connectors.jira.config import JiraConfig
from isthmus.connectors.kit.moves import way
from isthmus.kernel.errors import Problem, Rejected


class Workflow:
    """The workflow of a connection's issues. `field_of` turns a Jira field into a canonical name."""

    def __init__(self, client: JiraClient, config: JiraConfig, field_of: Callable[[str], str]) -> None:
        self._client, self._config, self._field_of = client, config, field_of

    def path(self, start: str, end: str) -> list[str] | None:
        """Return the statuses to pass from `start` to `end`, by the connection's table."""
        return way(self._config.workflow, start, end)

    async def walk(self, key: str, start: str, end: str, resolution: Any) -> None:
        """Take every step from `start` to `end`; nothing happens if the table knows no way."""
        for status in self.path(start, end) or ():
            await self.step(key, status, resolution)

    async def step(self, key: str, status: str, resolution: Any) -> None:
        """Take the transition that leads to a status, with the resolution if its screen has one."""
        offered = await self._client.transitions(key)
        step = next((each for each in offered if each.to == status), None)
        if step is None:
            raise Rejected(
                f"Jira's workflow offers no transition to {status!r} from here.",
                remedy="Correct the connection's workflow table, or its value table of states.",
                problems=(Problem(path="/state", message="no such transition"),),
            )
        await self._client.transition(key, step.id, self._screen(step, resolution))

    def _screen(self, step: Transition, resolution: Any) -> dict[str, Any]:
        given = {"resolution": resolution or {"name": self._config.resolution}}
        fields = {name: value for name, value in given.items() if name in step.fields}
        missing = sorted(step.required - set(fields))
        if missing:
            raise Rejected(
                "Jira's transition demands fields that the hub does not fill.",
                remedy="Take the fields off the transition's screen, or map them.",
                problems=tuple(
                    Problem(path=f"/{self._field_of(each) or each}", message="is demanded")
                    for each in missing
                ),
            )
        return fields
