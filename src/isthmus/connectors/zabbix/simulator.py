"""A fake Zabbix: triggers whose problems come and go, a media type that signs, and the used part of the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.instant import Instant
from isthmus.kernel.signature import SCHEMES

_CLOSE, _ACKNOWLEDGE, _MESSAGE, _UNACKNOWLEDGE, _SUPPRESS, _UNSUPPRESS = 1, 2, 4, 16, 32, 64


class ZabbixSimulator(Simulator):
    """Version 7.0 as its documentation describes it."""

    name = "Zabbix simulator"
    secret = "simulated-media-type-secret"  # noqa: S105 - the fake vendor's own password

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with media type and API."""
        return {
            "url": url,
            "secret": {"secret": "env:ZABBIX_SECRET"},
            "api_token": {"secret": "env:ZABBIX_API_TOKEN"},
        }

    def secrets(self) -> dict[str, str]:
        """Return the media type's secret and the API token."""
        return {"secret": self.secret, "api_token": self.token}

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign as the media type's script does."""
        return SCHEMES["isthmus"].sign(body, self.secret, Instant(time.time_ns() // 1_000))

    def authorised(self, request: web.Request) -> bool:
        """Return whether the token is ours; the version may be asked for without one."""
        asked = msgspec.json.decode(request._read_bytes or b"{}")  # noqa: SLF001 - read by the middleware already
        return asked.get("method") == "apiinfo.version" or super().authorised(request)

    def refuse(self, request: web.Request) -> web.Response:
        """Answer as Zabbix does to a wrong token: with a 200."""
        del request
        return _error(-32602, "Invalid params.", "Not authorized.")

    def routes(self) -> list[web.RouteDef]:
        """Return the one path of the API."""
        return [web.post("/api_jsonrpc.php", self._rpc)]

    # What happens there -------------------------------------------------------------------------------

    def add_host(self, name: str) -> str:
        """Add a host; return its id."""
        for key, each in self.shelf("host").all():
            if each["host"] == name:
                return key
        key = str(10_000 + self.shelf("host").next_number())
        self.shelf("host").put(key, {"hostid": key, "host": name})
        return key

    def add_trigger(self, host: str, *, manual_close: bool = True) -> str:
        """Add a trigger on a host; return its id."""
        key = str(20_000 + self.shelf("trigger").next_number())
        held = {"triggerid": key, "url": "", "host": self.add_host(host), "manual_close": manual_close}
        self.shelf("trigger").put(key, held)
        return key

    def problem(
        self, trigger: str, *, severity: int = 4, tags: Mapping[str, str] | None = None, at: int = 0
    ) -> str:
        """Let a trigger find a problem; return the event's id. Nothing is notified yet."""
        key = str(30_000 + self.shelf("event").next_number())
        listed = [{"tag": name, "value": value} for name, value in (tags or {}).items()]
        held = {
            "eventid": key, "objectid": trigger, "clock": str(at or int(time.time())), "value": "1",
            "name": "Queue is too deep", "severity": str(severity), "acknowledged": "0", "suppressed": "0",
            "opdata": "250", "tags": listed, "r_eventid": "0", "updates": [],
        }  # fmt: skip
        self.shelf("event").put(key, held)
        return key

    def recover(self, event: str, *, at: int = 0) -> str:
        """Let a problem end; return the id of the event that ended it."""
        key = str(30_000 + self.shelf("event").next_number())
        held = self._event(event)
        clock = str(at or int(time.time()))
        self.shelf("event").put(event, {**held, "r_eventid": key, "r_clock": clock})
        self.shelf("event").put(
            key, {"eventid": key, "objectid": held["objectid"], "clock": clock, "value": "0", "updates": []}
        )
        return key

    def update(self, event: str, bits: int, *, message: str = "", name: str = "Grace") -> None:
        """Update a problem as a person does in the frontend."""
        held = self._event(event)
        if bits & _CLOSE:
            self.recover(event)
            held = self._event(event)
        for bit, field, value in (
            (_ACKNOWLEDGE, "acknowledged", "1"), (_UNACKNOWLEDGE, "acknowledged", "0"),
            (_SUPPRESS, "suppressed", "1"), (_UNSUPPRESS, "suppressed", "0"),
        ):  # fmt: skip
            if bits & bit:
                held[field] = value
        made = {
            "clock": str(int(time.time())), "action": str(bits), "message": message, "username": name.lower(),
            "name": name, "surname": "Hopper",
        }  # fmt: skip
        self.shelf("event").put(event, {**held, "updates": [*held["updates"], made]})

    def notify(self, event: str, *, update: bool = False) -> dict[str, Any]:
        """Send (and return) a notification about a problem, as the media type's script words it."""
        held = self._event(event)
        trigger = self.shelf("trigger").get(held["objectid"]) or {}
        host = (self.shelf("host").get(trigger["host"]) or {})["host"]
        over = held["r_eventid"] != "0"
        last = held["updates"][-1] if update and held["updates"] else {}
        told = {
            "version": 1, "event_id": event, "recovery_id": held["r_eventid"] if over else "",
            "trigger_id": held["objectid"], "value": 0 if over else 1, "update": update, "name": held["name"],
            "severity": int(held["severity"]), "host": host, "host_name": host, "address": "192.0.2.7",
            "opdata": held["opdata"], "url": "", "tags": held["tags"], "started_at": int(held["clock"]),
            "ended_at": int(held.get("r_clock", 0)), "at": int(time.time()), "acknowledged": held["acknowledged"] == "1",
            "user": f"{last['name']} {last['surname']}" if last else "", "action": "acknowledged" if last else "",
            "message": last.get("message", ""),
        }  # fmt: skip
        self.emit(told)
        return told

    def maintain(self, host: str, *, name: str = "Window", repeated: bool = False) -> str:
        """Let a person put a host in maintenance; return the period's id."""
        now = int(time.time())
        period = {"timeperiod_type": "3" if repeated else "0", "start_date": str(now), "period": "3600"}
        return self._maintain(
            {"name": name, "active_since": now, "active_till": now + 3_600, "hosts": [{"hostid": self.add_host(host)}],
             "timeperiods": [period], "description": "a person's"}
        )  # fmt: skip

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` triggers find a problem, or put as many hosts in maintenance."""
        first = self.shelf(kind).next_number() * 1_000
        hosts = [f"host-{first + n}.example.test" for n in range(count)]
        if kind == "silence":
            return [f"maintenance:{self.maintain(host, name=f'Window of {host}')}" for host in hosts]
        triggers = [self.add_trigger(host) for host in hosts]
        for trigger in triggers:
            self.problem(trigger)
        return triggers

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Acknowledge a problem as a person would; a maintenance gets another description."""
        if kind == "silence":
            held = self.shelf("maintenance").get(key.partition(":")[2])
            if held is not None:
                self.shelf("maintenance").put(
                    held["maintenanceid"], {**held, "description": str(dict(values))}
                )
            return
        for event, held in list(self.shelf("event").all()):
            if held["objectid"] == key and held["value"] == "1":
                self.update(event, _ACKNOWLEDGE | _MESSAGE, message=str(dict(values)))

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the maintenance periods or events that carry our mark."""
        shelf = self.shelf("maintenance" if kind == "silence" else "event")
        return [key for key, each in shelf.all() if f"[isthmus:{correlation}]" in str(each)]

    # API ----------------------------------------------------------------------------------------------

    async def _rpc(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method, params = asked["method"], asked["params"]
        methods: dict[str, Callable[[Any], Any]] = {
            "apiinfo.version": lambda _: "7.0.4", "problem.get": self._problems, "event.get": self._events,
            "trigger.get": self._triggers, "host.get": self._hosts, "event.acknowledge": self._acknowledge,
            "maintenance.get": self._maintenances, "maintenance.create": lambda params: {"maintenanceids": [self._maintain(params)]},
            "maintenance.delete": self._delete,
        }  # fmt: skip
        if method == "apiinfo.version" and "Authorization" in request.headers:
            return _error(
                -32602,
                "Invalid params.",
                'The "apiinfo.version" method must be called without authorization.',
            )
        if method not in methods:
            return _error(-32602, "Invalid params.", f'Incorrect method "{method}".')
        try:
            result = methods[method](params)
        except _RefusedError as refusal:
            return _error(-32500, "Application error.", str(refusal))
        return web.json_response({"jsonrpc": "2.0", "result": result, "id": asked["id"]})

    def _problems(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = [
            {name: each[name] for name in params["output"]} | ({"tags": each["tags"]} if "selectTags" in params else {})
            for key, each in self.shelf("event").all()
            if each["value"] == "1" and each["r_eventid"] == "0"
            and ("objectids" not in params or each["objectid"] in params["objectids"])
            and ("eventids" not in params or key in params["eventids"])
            and int(key) >= int(params.get("eventid_from", "0"))
        ]  # fmt: skip
        found.sort(key=lambda each: int(each["eventid"]))
        return found[: int(params.get("limit", 10_000))]

    def _events(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = [
            {name: each[name] for name in params["output"]}
            | ({"acknowledges": each["updates"]} if "selectAcknowledges" in params else {})
            for key, each in self.shelf("event").all()
            if ("eventids" not in params or key in params["eventids"])
            and ("objectids" not in params or each["objectid"] in params["objectids"])
            and ("value" not in params or int(each["value"]) in params["value"])
        ]  # fmt: skip
        found.sort(key=lambda each: int(each["eventid"]), reverse=params.get("sortorder") == "DESC")
        return found[: int(params.get("limit", 10_000))]

    def _triggers(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"triggerid": key, "url": each["url"], "hosts": [self.shelf("host").get(each["host"])]}
            for key, each in self.shelf("trigger").all()
            if key in params["triggerids"]
        ]

    def _hosts(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [each for _, each in self.shelf("host").all() if each["host"] in params["filter"]["host"]]

    def _acknowledge(self, params: Mapping[str, Any]) -> dict[str, Any]:
        bits = params["action"]
        for event in params["eventids"]:
            held = self.shelf("event").get(event)
            if held is None:
                raise _RefusedError("No permissions to referred object or it does not exist!")
            trigger = self.shelf("trigger").get(held["objectid"]) or {}
            if bits & _CLOSE and not trigger["manual_close"]:
                raise _RefusedError("Cannot close problem: trigger does not allow manual closing.")
            if bits & _SUPPRESS and "suppress_until" not in params:
                raise _RefusedError('Invalid parameter "/": the parameter "suppress_until" is missing.')
            self.update(event, bits, message=params.get("message", ""), name="Isthmus")
        return {"eventids": params["eventids"]}

    def _maintenances(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                **{name: str(each[name]) for name in params["output"]},
                "hosts": [self.shelf("host").get(host["hostid"]) for host in each["hosts"]], "hostgroups": [],
                "timeperiods": [{name: str(value) for name, value in one.items()} for one in each["timeperiods"]],
            }
            for key, each in self.shelf("maintenance").all()
            if "maintenanceids" not in params or key in params["maintenanceids"]
        ]  # fmt: skip

    def _maintain(self, params: Mapping[str, Any]) -> str:
        if len(params["name"]) > 128:
            raise _RefusedError('Invalid parameter "/1/name": value is too long.')
        if any(each["name"] == params["name"] for _, each in self.shelf("maintenance").all()):
            raise _RefusedError(f'Maintenance "{params["name"]}" already exists.')
        key = str(40_000 + self.shelf("maintenance").next_number())
        self.shelf("maintenance").put(key, {**params, "maintenanceid": key})
        return key

    def _delete(self, params: list[str]) -> dict[str, Any]:
        for key in params:
            if self.shelf("maintenance").get(key) is None:
                raise _RefusedError("No permissions to referred object or it does not exist!")
            self.shelf("maintenance").remove(key)
        return {"maintenanceids": params}

    def _event(self, key: str) -> dict[str, Any]:
        return self.shelf("event").get(key) or {}


class _RefusedError(Exception):
    """What the API answers with an application error."""


def _error(code: int, message: str, data: str) -> web.Response:
    return web.json_response(
        {"jsonrpc": "2.0", "error": {"code": code, "message": message, "data": data}, "id": 1}
    )
