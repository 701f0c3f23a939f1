"""A fake Icinga 2: hosts and services with hard and soft states, actions, comments, downtimes and an event stream."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import re
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

_ATTEMPTS = 2


class Icinga2Simulator(Simulator):
    """Version 2.13 as far as the hub can see it; what it answers was recorded from a real one (`fixtures/api`)."""

    name = "Icinga 2 simulator"
    user = "hub"
    password = "simulated-icinga-password"  # noqa: S105 - the fake vendor's own password

    def __init__(self) -> None:
        super().__init__()
        self.permissions = ["*"]
        self._listeners: list[asyncio.Queue[bytes]] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to the API."""
        return {"url": url, "user": self.user, "password": {"secret": "env:ICINGA_PASSWORD"}}

    def secrets(self) -> dict[str, str]:
        """Return the API user's password."""
        return {"password": self.password}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries the API user's credential."""
        pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return request.headers.get("Authorization", "") == f"Basic {pair}"

    def refuse(self, request: web.Request) -> web.Response:
        """Answer as Icinga does to a wrong password."""
        del request
        said = {"error": 401, "status": "Unauthorized. Please check your user credentials."}
        return web.json_response(said, status=401)

    def routes(self) -> list[web.RouteDef]:
        """Return the used part of API v1."""
        return [
            web.get("/v1", self._me),
            web.post("/v1/objects/{kind}", self._objects),
            web.post("/v1/events", self._events),
            web.post("/v1/actions/{action}", self._action),
        ]

    # What happens there -------------------------------------------------------------------------------

    def add(self, name: str, **attrs: Any) -> str:
        """Add a host, or a service named host!service, that is fine."""
        host, _, check = name.partition("!")
        self.shelf("object").put(
            name,
            {
                "__name": name, "name": check or host, "host_name": host, "display_name": check or host,
                "address": "192.0.2.7", "acknowledgement": 0, "downtime_depth": 0, "state": 0, "state_type": 1,
                "check_attempt": 1, "last_hard_state": 0, "last_hard_state_change": time.time(), "notes_url": "",
                "action_url": "", "vars": None, **attrs,
            },
        )  # fmt: skip
        return name

    def check(self, name: str, state: int, output: str = "", *, times: int = _ATTEMPTS) -> None:
        """Let a check find `state`, `times` times: the second failure in a row is hard, a recovery at once."""
        for _ in range(times):
            held = self._object(name)
            if "last_check_result" not in held:
                held |= {
                    "state": 0,
                    "last_hard_state": 0,
                }  # Never checked: whatever it shows, nobody has found it.
            soft = state != 0 and held["last_hard_state"] == 0 and held["check_attempt"] < _ATTEMPTS
            attempt = held["check_attempt"] + 1 if soft else 1
            before, now = (held["state"], held["state_type"]), time.time()
            result = {"execution_end": now, "output": output or f"QUEUE {state} - depth is {state}50 "}
            held |= {
                "state": state, "state_type": 0 if soft else 1, "check_attempt": attempt, "last_check_result": result,
            }  # fmt: skip
            if not soft and held["last_hard_state"] != state:
                held |= {"last_hard_state": state, "last_hard_state_change": now}
                if state == 0 and held["acknowledgement"]:
                    self._clear(held)
            self.shelf("object").put(name, held)
            if before != (state, held["state_type"]):
                told = {"state": state, "state_type": held["state_type"], "check_result": result}
                self._tell(
                    "StateChange", held, acknowledgement=bool(held["acknowledgement"]),
                    downtime_depth=held["downtime_depth"], **told,
                )  # fmt: skip

    def acknowledge(self, name: str, author: str, comment: str = "") -> None:
        """Let a person acknowledge a problem."""
        held = {**self._object(name), "acknowledgement": 1}
        self.shelf("object").put(name, held)
        self._comment(held, author, comment, 4)
        self._tell(
            "AcknowledgementSet", held, author=author, comment=comment, state=held["state"], state_type=1
        )

    def withdraw(self, name: str) -> None:
        """Let a person take an acknowledgement back."""
        held = self._object(name)
        self._clear(held)
        self.shelf("object").put(name, held)

    def downtime(self, name: str, author: str, comment: str = "", *, minutes: float = 60) -> str:
        """Let a person put an object in downtime; return the downtime's name."""
        now = time.time()
        return self._schedule(self._object(name), author, comment, now, now + minutes * 60)

    def end_downtime(self, name: str) -> None:
        """Let a person remove a downtime."""
        gone = self.shelf("downtime").get(name)
        if gone is None:
            return
        self.shelf("downtime").remove(name)
        held = self._object(gone["object"])
        held["downtime_depth"] = max(0, held["downtime_depth"] - 1)
        self.shelf("object").put(gone["object"], held)
        self._tell("DowntimeRemoved", None, downtime=_bare(gone))

    def delete(self, name: str) -> None:
        """Let an object disappear from the configuration."""
        self.shelf("object").remove(name)

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` services fail, or put as many in downtime."""
        first = self.shelf(kind).next_number() * 1_000
        names = [self.add(f"host-{first + n}.example.test!queue-depth") for n in range(count)]
        if kind == "silence":
            return [self.downtime(name, "grace", "seeded") for name in names]
        for name in names:
            self.check(name, 2)
        return names

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Acknowledge a problem as a person would; a downtime gets another comment."""
        if kind == "silence":
            held = self.shelf("downtime").get(key)
            if held is not None:
                self.shelf("downtime").put(key, {**held, "comment": str(dict(values))})
        else:
            self.acknowledge(key, self.human, str(dict(values)))

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the downtimes that carry our mark."""
        shelf = self.shelf("downtime" if kind == "silence" else "comment")
        return [key for key, each in shelf.all() if f"[isthmus:{correlation}]" in json.dumps(each)]

    # API ----------------------------------------------------------------------------------------------

    async def _me(self, request: web.Request) -> web.Response:
        del request
        found = {"user": self.user, "permissions": self.permissions, "version": "r2.13.6-1", "info": ""}
        return web.json_response({"results": [found]})

    async def _objects(self, request: web.Request) -> web.Response:
        if request.headers.get("X-HTTP-Method-Override") != "GET":
            return web.json_response({"error": 400, "status": "Invalid request."}, status=400)
        asked = await request.json()
        kind = request.match_info["kind"].removesuffix("s")
        found = [
            {"attrs": _chosen(each, asked), "joins": self._joins(each, asked), "meta": {}, "name": key, "type": kind.capitalize()}
            for key, each in self._all(kind)
            if _fits(asked, each)
        ]  # fmt: skip
        if not found and asked.get("filter"):
            return web.json_response({"error": 404, "status": "No objects found."}, status=404)
        return web.json_response({"results": found})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._listeners.append(queue)
        self.hold_open(request)
        try:
            while True:
                await response.write(await queue.get())
        finally:
            self._listeners.remove(queue)

    async def _action(self, request: web.Request) -> web.Response:
        asked, action = await request.json(), request.match_info["action"]
        kind = asked["type"].lower()
        targets = [(key, each) for key, each in self._all(kind) if _fits(asked, each)]
        if not targets:
            return web.json_response({"results": []}, status=500 if kind == "downtime" else 404)
        results = [self._act(action, key, each, asked) for key, each in targets]
        return web.json_response({"results": results}, status=max(each["code"] for each in results))

    def _act(self, action: str, key: str, held: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        author, said = asked.get("author", ""), asked.get("comment", "")
        if action == "acknowledge-problem" and (held["state"] == 0 or held["acknowledgement"]):
            what = "already acknowledged" if held["acknowledgement"] else "OK"
            return {"code": 409, "status": f"Service {key} is {what}."}
        actions: dict[str, Callable[[], object]] = {
            "acknowledge-problem": lambda: self.acknowledge(key, author, said),
            "remove-acknowledgement": lambda: self.withdraw(key),
            "add-comment": lambda: self._comment(held, author, said, 1),
            "schedule-downtime": lambda: self._schedule_all(held, author, said, asked),
            "remove-downtime": lambda: self.end_downtime(key),
        }
        if action not in actions:
            return {"code": 404, "status": f"Action '{action}' does not exist."}
        actions[action]()
        return {"code": 200, "status": f"Successfully did {action} for object '{key}'."}

    # Parts --------------------------------------------------------------------------------------------

    def _object(self, name: str) -> dict[str, Any]:
        return self.shelf("object").get(name) or self.shelf("object").get(self.add(name)) or {}

    def _all(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        if kind in {"comment", "downtime"}:
            return list(self.shelf(kind).all())
        return [
            (key, each) for key, each in self.shelf("object").all() if ("!" in key) is (kind == "service")
        ]

    def _joins(self, each: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        if not asked.get("joins"):
            return {}
        host = self.shelf("object").get(each["host_name"]) or {}
        return {"host": {"address": host.get("address", "192.0.2.7"), "vars": host.get("vars")}}

    def _comment(self, held: Mapping[str, Any], author: str, text: str, entry_type: int) -> None:
        name = f"{held['__name']}!{uuid.uuid4()}"
        host, _, check = held["__name"].partition("!")
        self.shelf("comment").put(
            name,
            {
                "__name": name, "host_name": host, "service_name": check, "author": author, "text": text,
                "entry_time": time.time(), "entry_type": entry_type,
            },
        )  # fmt: skip

    def _clear(self, held: dict[str, Any]) -> None:
        held["acknowledgement"] = 0
        host, _, check = held["__name"].partition("!")
        for key, each in list(self.shelf("comment").all()):
            if (each["host_name"], each["service_name"], each["entry_type"]) == (host, check, 4):
                self.shelf("comment").remove(key)
        self._tell("AcknowledgementCleared", held, state=held["state"], state_type=held["state_type"])

    def _schedule_all(
        self, held: Mapping[str, Any], author: str, comment: str, asked: Mapping[str, Any]
    ) -> None:
        also = [
            each
            for _, each in self._all("service")
            if asked.get("all_services") and each["host_name"] == held["host_name"]
        ]
        for each in (held, *also):
            self._schedule(each, author, comment, asked["start_time"], asked["end_time"])

    def _schedule(self, held: Mapping[str, Any], author: str, comment: str, start: float, end: float) -> str:
        name = f"{held['__name']}!{uuid.uuid4()}"
        host, _, check = held["__name"].partition("!")
        made = {
            "__name": name, "host_name": host, "service_name": check, "author": author, "comment": comment,
            "start_time": start, "end_time": end, "entry_time": time.time(), "parent": "", "object": held["__name"],
        }  # fmt: skip
        self.shelf("downtime").put(name, made)
        now = self._object(held["__name"])
        self.shelf("object").put(held["__name"], {**now, "downtime_depth": now["downtime_depth"] + 1})
        self._tell("DowntimeTriggered", None, downtime=_bare(made))
        return name

    def _tell(self, kind: str, held: Mapping[str, Any] | None, **more: Any) -> None:
        event: dict[str, Any] = {"type": kind, "timestamp": time.time(), **more}
        if held is not None:
            event["host"], _, check = held["__name"].partition("!")
            if check:
                event["service"] = check
        for queue in self._listeners:
            queue.put_nowait(json.dumps(event).encode() + b"\n")


def _bare(downtime: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in downtime.items() if name != "object"}


def _chosen(each: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    wanted = asked.get("attrs")
    return {
        name: value for name, value in each.items() if name != "object" and (not wanted or name in wanted)
    }


_FILTERS: tuple[tuple[str, Any], ...] = (
    (r"\w+\.last_hard_state != 0", lambda held, *_: held["last_hard_state"] != 0),
    (r"\w+\.__name in (\w+)", lambda held, has, name: held["__name"] in has[name]),
    (r"\w+\.__name == (\w+)", lambda held, has, name: held["__name"] == has[name]),
    (r"comment\.entry_type == (\w+)", lambda held, has, name: held["entry_type"] == has[name]),
    (
        r"match\((\w+), \w+\.(\w+)\)",
        lambda held, has, name, field: fnmatch.fnmatchcase(held[field], has[name].replace("[", "[[]")),
    ),
    (r"(\w+)\.(\w+) == (\w+)", lambda held, has, kind, field, name: _value(held, kind, field) == has[name]),
    (r"(\w+)\.(\w+) != (\w+)", lambda held, has, kind, field, name: _value(held, kind, field) != has[name]),
    (
        r"regex\((\w+), (\w+)\.(\w+)\)",
        lambda held, has, name, kind, field: re.search(has[name], _value(held, kind, field)) is not None,
    ),
    (
        r"!regex\((\w+), (\w+)\.(\w+)\)",
        lambda held, has, name, kind, field: re.search(has[name], _value(held, kind, field)) is None,
    ),
)
"""The filter expressions that the client writes, and nothing more: another one is a fault of the client."""


def _value(held: Mapping[str, Any], kind: str, field: str) -> str:
    host, _, check = str(held["__name"]).partition("!")
    if field == "name":
        return host if kind == "host" else check
    return str(held[field])


def _fits(asked: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    expression, has = asked.get("filter", ""), asked.get("filter_vars", {})
    parts = [each.strip() for each in expression.split(" && ")] if expression else []
    return all(_part(each.removeprefix("(").removesuffix(")") if each.startswith("(") else each, held, has)
               for each in parts)  # fmt: skip


def _part(expression: str, held: Mapping[str, Any], has: Mapping[str, Any]) -> bool:
    for pattern, judge in _FILTERS:
        found = re.fullmatch(pattern, expression)
        if found:
            return bool(judge(held, has, *found.groups()))
    raise AssertionError(f"The client wrote a filter that the simulator does not know: {expression}")
