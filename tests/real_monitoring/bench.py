"""What the tests say about the hub: its alerts, its incidents, and what people do there."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.real_monitoring.systems import until
from tests.stories.served import Served

MONITORING = {
    "times": {"wait": "PT0S", "stable": "PT2S", "reopen": "PT0S", "flap_changes": 50},
    "tellings": {"prometheus": {"silence": True}},
}


@dataclass
class Bench:
    """A served hub with real systems on it."""

    hub: Served
    stack: ExitStack
    connections: dict[str, Any] = field(default_factory=dict)

    def connect(self, name: str, **entry: Any) -> None:
        """Connect a system; its polls come every second or two, unless the entry says otherwise."""
        self.connections[name] = {"polling": {"seconds_min": 1, "seconds_max": 2}, **entry}
        self.hub.apply(connections=self.connections, monitoring=MONITORING)

    # Reading ------------------------------------------------------------------------------------------

    def alerts(self, connection: str, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of a connection whose labels fit, the newest first."""
        found = self.hub.ada.get("/alerts", connection=connection, limit="100")["items"]
        return [each for each in found if labels.items() <= each["labels"].items()]

    def alert(self, connection: str, **labels: str) -> dict[str, Any]:
        """Return the one alert that fits."""
        found = self.alerts(connection, **labels)
        assert len(found) == 1, found
        return found[0]

    def incident(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.hub.ada.get(f"/incidents/{key}")
        return found

    def incidents(self, connection: str) -> list[dict[str, Any]]:
        """Return the incidents that alerts of a connection belong to."""
        keys = {each["incident"] for each in self.alerts(connection) if each["incident"]}
        return [self.incident(key) for key in sorted(keys)]

    def until_alert(
        self, connection: str, what: str, host: str, *, seconds: float = 60, **fields: Any
    ) -> dict[str, Any]:
        """Return the alert about a host once its fields are as said; fail with `what` after a while."""

        def look() -> dict[str, Any] | None:
            for each in self.alerts(connection, host=host):
                if all(each[name] == value for name, value in fields.items()):
                    return each
            return None

        found = until(f"{what} ({host})", look, seconds=seconds)
        assert found is not None
        return found

    def until_incident(self, key: str, state: str, *, seconds: float = 60) -> dict[str, Any]:
        """Return an incident once it is in a state."""
        return (
            until(
                f"incident {key} to be {state}",
                lambda: (found := self.incident(key))["state"] == state and found,
                seconds=seconds,
            )
            or {}
        )

    # Acting -------------------------------------------------------------------------------------------

    def act(self, action: str, alert: dict[str, Any], comment: str = "") -> dict[str, Any]:
        """Have Ada do something with an alert."""
        found: dict[str, Any] = self.hub.ada.post(f"/alerts/{alert['id']}/{action}", {"comment": comment})
        return found

    def killed_and_started_again(self) -> None:
        """`kill -9` of every process of the hub at once; it comes up on the same data."""
        self.hub.hub.kill()
        self.hub.hub.start()
