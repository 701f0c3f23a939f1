"""A fake PagerDuty: incidents with a log and notes, webhooks v3, the used part of REST v2."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.pagerduty.simulated_events import EventsApi

_STATUS_WORDS = {"triggered": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
_ROWS_MAX = 10_000


class PagerDutySimulator(Simulator):
    """REST v2, Events v2 and webhooks v3 as far as the hub can see them.

    `events` is the Events API with its integrations. `shows_keys` False: incidents leave out their key, as those with
    alerts do. `users` are the e-mail addresses that may write.
    """

    name = "PagerDuty simulator"
    webhook_secret = "simulated-subscription-secret"  # noqa: S105 - the fake vendor's own password
    recipient = "Checkout"

    def __init__(self) -> None:
        super().__init__()
        self.events = EventsApi(self)
        self.shows_keys = True
        self.users = {"hub@example.test"}

    @property
    def routing_key(self) -> str:
        """The key of the integration that connections use."""
        return self.events.routing_key

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with webhook, REST and events."""
        return {
            "url": url,
            "events_url": url,
            "secret": {"secret": "env:PAGERDUTY_WEBHOOK_SECRET"},
            "api_token": {"secret": "env:PAGERDUTY_API_TOKEN"},
            "routing_key": {"secret": "env:PAGERDUTY_ROUTING_KEY"},
            "from": "hub@example.test",
        }

    def secrets(self) -> dict[str, str]:
        """Return the subscription's secret, the API key and the integration's key."""
        return {"secret": self.webhook_secret, "api_token": self.token, "routing_key": self.routing_key}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries the API key (Events v2 carries a routing key instead)."""
        if request.path == "/v2/enqueue":
            return True
        return request.headers.get("Authorization", "") == f"Token token={self.token}"

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign as during a rotation: an old signature first, then the valid one."""
        digest = hmac.new(self.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        return {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={digest}"}

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of both APIs."""
        return [
            web.get("/abilities", self._abilities),
            web.get("/incidents", self._list),
            web.get("/incidents/{id}", self._get),
            web.put("/incidents/{id}", self._put),
            web.get("/incidents/{id}/alerts", self._alerts),
            web.get("/incidents/{id}/notes", self._notes),
            web.post("/incidents/{id}/notes", self._note),
            web.get("/log_entries", self._log_entries),
            web.post("/v2/enqueue", self.events.enqueue),
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Return the alerts that events raised: one for all events of a key while it is open."""
        return self.events.raised()

    def trigger(
        self,
        title: str,
        *,
        urgency: str = "high",
        key: str = "",
        service: str = "Checkout",
        service_id: str = "PSVC001",
    ) -> str:
        """Open an incident and tell by webhook; return its id."""
        number = self.shelf("alert").next_number()
        name = f"PI{number:06d}"
        incident = {
            "id": name,
            "type": "incident",
            "number": number,
            "incident_number": number,
            "status": "triggered",
            "incident_key": key or f"key-{number}",
            "created_at": _now(),
            "last_status_change_at": _now(),
            "title": title,
            "html_url": f"https://acme.pagerduty.example.test/incidents/{name}",
            "urgency": urgency,
            "service": {"id": service_id, "type": "service_reference", "summary": service},
            "priority": None,
            "assignees": [],
            "assignments": [],
            "teams": [],
            "acknowledgements": [],
        }
        self.shelf("alert").put(name, incident)
        self._tell(incident, "triggered", "Events API")
        return name

    def turn(self, name: str, status: str, actor: str = "") -> dict[str, Any]:
        """Change the status of an incident, as a person or the API does."""
        incident = self.shelf("alert").get(name)
        if incident is None:
            raise web.HTTPNotFound
        who = actor or self.human
        if incident["status"] not in {status, "resolved"}:
            incident |= {"status": status, "last_status_change_at": _now()}
            incident["acknowledgements"] = (
                [{"at": _now(), "acknowledger": {"id": "PUSR001", "summary": who}}]
                if status == "acknowledged"
                else []
            )
            self.shelf("alert").put(name, incident)
            self._tell(incident, status, who)
        return incident

    def seed(self, kind: str, count: int) -> list[str]:
        """Open `count` incidents."""
        del kind
        return [self.trigger(f"Seeded incident {n}") for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Acknowledge an incident: the one thing that people do to it first."""
        del kind, values
        self.turn(key, "acknowledged")

    def _tell(self, incident: dict[str, Any], status: str, who: str) -> None:
        # One moment for the incident, its log and the webhook.
        number, now = self.shelf("log").next_number(), incident["last_status_change_at"]
        agent = {"id": "PUSR001", "type": "user_reference", "summary": who}
        self.shelf("log").put(
            f"R{number:06d}",
            {
                "id": f"R{number:06d}",
                "type": f"{_STATUS_WORDS[status]}_log_entry",
                "created_at": now,
                "agent": agent,
                "incident_id": incident["id"],
            },
        )
        shown = {name: value for name, value in self._shown(incident).items() if name not in _REST_ONLY}
        event = {
            "id": f"01EVENT{number:06d}",
            "event_type": f"incident.{status}",
            "resource_type": "incident",
            "occurred_at": now,
            "agent": agent,
            "client": None,
            "data": shown,
        }
        self.emit({"event": event})

    def _shown(self, incident: dict[str, Any]) -> dict[str, Any]:
        return incident if self.shows_keys else {**incident, "incident_key": None}

    async def _abilities(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"abilities": ["teams", "urgencies"]})

    async def _list(self, request: web.Request) -> web.Response:
        asked = request.query
        statuses, services = asked.getall("statuses[]", []), asked.getall("service_ids[]", [])
        rows = [
            each
            for _, each in self.shelf("alert").all()
            if (not statuses or each["status"] in statuses)
            and (not services or each["service"]["id"] in services)
            and self.events.holds(each, asked.get("incident_key", ""))
        ]
        if asked.get("sort_by", "").endswith(":desc"):
            rows.reverse()
        return _page(request, "incidents", [self._shown(each) for each in rows])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response({"incident": self._shown(self._found(request))})

    async def _put(self, request: web.Request) -> web.Response:
        name = self._found(request)["id"]
        if request.headers.get("From", "") not in self.users:
            return _unknown_user()
        asked = (await request.json())["incident"]
        if "assignments" in asked:
            self._assign(name, [each["assignee"] for each in asked["assignments"]])
        if "status" in asked:
            self.turn(name, asked["status"], self.integration_user)
        return web.json_response({"incident": self._shown(self._found(request))})

    def _assign(self, name: str, assignees: list[dict[str, Any]]) -> None:
        """Assign an incident: it is triggered again, and its new assignee is notified."""
        incident = self.shelf("alert").get(name) or {}
        incident |= {"status": "triggered", "acknowledgements": [], "last_status_change_at": _now()}
        incident["assignments"] = [{"at": _now(), "assignee": each} for each in assignees]
        incident["assignees"] = assignees
        self.shelf("alert").put(name, incident)

    async def _alerts(self, request: web.Request) -> web.Response:
        name, key = self._found(request)["id"], request.query.get("alert_key", "")
        rows = [each for each in self.events.of(name) if not key or each["alert_key"] == key]
        return _page(request, "alerts", rows)

    async def _notes(self, request: web.Request) -> web.Response:
        name = self._found(request)["id"]
        notes = [each for _, each in self.shelf("note").all() if each["incident"] == name]
        return web.json_response({"notes": notes})

    async def _note(self, request: web.Request) -> web.Response:
        incident = self._found(request)
        if request.headers.get("From", "") not in self.users:
            return _unknown_user()
        number = self.shelf("note").next_number()
        note = {
            "id": f"PN{number}",
            "content": (await request.json())["note"]["content"],
            "incident": incident["id"],
            "created_at": _now(),
        }
        self.shelf("note").put(note["id"], note)
        return web.json_response({"note": note}, status=201)

    async def _log_entries(self, request: web.Request) -> web.Response:
        since, until = request.query["since"], request.query["until"]
        rows = [
            {**each, "incident": self._shown(self.shelf("alert").get(each["incident_id"]) or {})}
            for _, each in self.shelf("log").all()
            if since <= each["created_at"] <= until
        ]
        return _page(request, "log_entries", rows[::-1])

    def _found(self, request: web.Request) -> dict[str, Any]:
        incident = self.shelf("alert").get(request.match_info["id"])
        if incident is None:
            raise web.HTTPNotFound(
                text='{"error": {"message": "Not Found"}}', content_type="application/json"
            )
        return incident


_REST_ONLY = ("acknowledgements", "assignments", "last_status_change_at", "incident_number")


def _unknown_user() -> web.Response:
    return web.json_response({"error": {"message": "Requester User Not Found", "code": 2100}}, status=400)


def _page(request: web.Request, name: str, rows: list[dict[str, Any]]) -> web.Response:
    offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "25"))
    if offset + limit > _ROWS_MAX:
        said = {
            "message": "Invalid Input Provided",
            "code": 2001,
            "errors": ["Offset must be less than 10000."],
        }
        return web.json_response({"error": said}, status=400)
    shown = rows[offset : offset + limit]
    return web.json_response(
        {name: shown, "limit": limit, "offset": offset, "total": None, "more": offset + limit < len(rows)}
    )


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
