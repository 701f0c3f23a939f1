"""The Events API v2 of the fake PagerDuty: events of one key, at one integration, are one alert while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from isthmus.connectors.pagerduty.simulator import PagerDutySimulator

ALERT = "event_alert"
_STATUS = {"acknowledge": "acknowledged", "resolve": "resolved"}
_SEVERITIES = ("critical", "error", "warning", "info")
_BYTES_MAX, _SUMMARY_MAX = 512_000, 1_024


class EventsApi:
    """Integrations by their key, each of one service.

    `dropped`: events are taken and nothing comes of them, as when an event rule drops them or the service is disabled.
    `deaf`: follow-ups are taken and change nothing. `grouped`: new alerts join this incident, as alert grouping does.
    `allowed`: how many events are still taken before the service is throttled (None: any number).
    """

    routing_key = "0123456789abcdef0123456789abcdef"

    def __init__(self, vendor: PagerDutySimulator) -> None:
        self._vendor = vendor
        self.integrations = {self.routing_key: ("PSVC001", "Checkout")}
        self.dropped = self.deaf = False
        self.grouped = ""
        self.allowed: int | None = None

    def raised(self) -> list[dict[str, Any]]:
        """Return the alerts that events raised, oldest first."""
        return [each for _, each in self._vendor.shelf(ALERT).all()]

    def of(self, incident: str) -> list[dict[str, Any]]:
        """Return the alerts of an incident."""
        return [each for each in self.raised() if each["incident"]["id"] == incident]

    def holds(self, incident: dict[str, Any], key: str) -> bool:
        """Return whether an incident, or an alert of it, has the key ("" fits all)."""
        if not key or incident["incident_key"] == key:
            return True
        return any(each["alert_key"] == key for each in self.of(incident["id"]))

    async def enqueue(self, request: web.Request) -> web.Response:
        """Take one event: 202 as soon as it is well-formed."""
        body = await request.read()
        if self.allowed is not None and self.allowed <= 0:
            said: dict[str, Any] = {
                "status": "throttle exceeded",
                "message": "Requests for this service are arriving too quickly.",
            }
            return web.json_response(said, status=429, headers={"Retry-After": "17"})
        asked = msgspec.json.decode(body)
        if errors := self._errors(asked, len(body)):
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return web.json_response(said, status=400)
        if self.allowed is not None:
            self.allowed -= 1
        number = self._vendor.shelf("event").next_number()
        key = asked.get("dedup_key") or f"drawn-{number}"
        self._vendor.shelf("event").put(str(number), {**asked, "dedup_key": key})
        if not self.dropped:
            self._work(asked, key)
        return web.json_response(
            {"status": "success", "message": "Event processed", "dedup_key": key}, status=202
        )

    def _errors(self, asked: dict[str, Any], size: int) -> list[str]:
        found = []
        if len(str(asked.get("routing_key", ""))) != 32:
            found.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        elif asked["routing_key"] not in self.integrations:
            found.append("'routing_key' is not that of an integration")
        if asked.get("event_action") not in {"trigger", *_STATUS}:
            found.append("'event_action' is invalid")
        if asked.get("event_action") in _STATUS and not asked.get("dedup_key"):
            found.append("'dedup_key' is missing")
        if asked.get("event_action") == "trigger":
            payload = asked.get("payload") or {}
            found += [
                f"'payload.{name}' is missing" for name in ("summary", "source") if not payload.get(name)
            ]
            if payload.get("severity") not in _SEVERITIES:
                found.append("'payload.severity' is invalid (must be one of the following: 'critical', …)")
        if size > _BYTES_MAX or len(str(asked.get("dedup_key") or "")) > 255:
            found.append("the event is too large")
        return found

    def _work(self, asked: dict[str, Any], key: str) -> None:
        routing, vendor = asked["routing_key"], self._vendor
        held = next(
            (
                each
                for each in self.raised()
                if each["integration"] == routing
                and each["alert_key"] == key
                and each["status"] != "resolved"
            ),
            None,
        )
        if asked["event_action"] == "trigger":
            if held is not None and self._over(held):
                vendor.shelf(ALERT).put(held["id"], {**held, "status": "resolved"})
                held = None
            if held is None:
                self._raise(asked, routing, key)
            return
        if held is None or self.deaf:
            return
        status = _STATUS[asked["event_action"]]
        if status == "resolved":
            vendor.shelf(ALERT).put(held["id"], {**held, "status": "resolved"})
        if status == "acknowledged" or all(
            each["status"] == "resolved" for each in self.of(held["incident"]["id"])
        ):
            vendor.turn(held["incident"]["id"], status, "Events API")

    def _over(self, held: dict[str, Any]) -> bool:
        """Return whether somebody has resolved the incident: its alerts are resolved with it."""
        incident = self._vendor.shelf("alert").get(held["incident"]["id"])
        return incident is None or incident["status"] == "resolved"

    def _raise(self, asked: dict[str, Any], routing: str, key: str) -> None:
        payload, vendor = asked["payload"], self._vendor
        service_id, service = self.integrations[routing]
        incident = self.grouped or vendor.trigger(
            payload["summary"][:_SUMMARY_MAX], key=key, service=service, service_id=service_id,
            urgency="low" if payload["severity"] in {"info", "warning"} else "high",
        )  # fmt: skip
        name = f"PA{vendor.shelf(ALERT).next_number():06d}"
        alert = {
            "id": name, "type": "alert", "alert_key": key, "status": "triggered", "summary": payload["summary"],
            "severity": payload["severity"], "incident": {"id": incident, "type": "incident_reference"},
            "integration": routing, "body": {"details": payload.get("custom_details", {})},
        }  # fmt: skip
        vendor.shelf(ALERT).put(name, alert)
