"""A fake Nagios with its agent: hosts and services, notifications that are signed, a status, and commands.

What the agent does (signatures, the shape of its answers, the commands that it writes) is the shipped script's own code;
only Nagios itself is fake: it carries the external commands out, silently ignoring what it does not understand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.nagios import isthmus_nagios as agent
from isthmus.connectors.nagios.mapping import HOST_STATES, SERVICE_STATES
from isthmus.kernel.instant import Instant
from isthmus.kernel.signature import SCHEMES


class NagiosSimulator(Simulator):
    """Nagios Core 4.4 as far as the hub can see it. `deaf`: commands are taken and have no effect."""

    name = "Nagios simulator"
    secret = "simulated-nagios-secret"  # noqa: S105 - the fake vendor's own password

    def __init__(self) -> None:
        super().__init__()
        self.deaf = False
        self.commands: list[str] = []
        self._gate = agent.Gatekeeper([self.secret])

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection with notifications and agent."""
        return {"url": url, "secret": {"secret": "env:NAGIOS_SECRET"}, "confirm_seconds": 0.0}

    def secrets(self) -> dict[str, str]:
        """Return the shared secret."""
        return {"secret": self.secret}

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign as the shipped script does."""
        return SCHEMES["isthmus"].sign(body, self.secret, Instant(time.time_ns() // 1_000))

    def authorised(self, request: web.Request) -> bool:
        """Return whether the agent's own gatekeeper lets the request in."""
        body = request._read_bytes or b""  # noqa: SLF001 - read by the middleware already
        try:
            self._gate.check({name.lower(): value for name, value in request.headers.items()}, body)
        except agent.RefusedError:
            return False
        return True

    def routes(self) -> list[web.RouteDef]:
        """Return the agent's two paths."""
        return [web.post("/v1/status", self._status), web.post("/v1/commands", self._commands)]

    # What happens there -------------------------------------------------------------------------------

    def add(self, name: str, **block: str) -> str:
        """Add a host, or a service named host;service, that is fine."""
        host, _, check = name.partition(";")
        now = str(int(time.time()))
        held = {
            "host_name": host, **({"service_description": check} if check else {}), "current_state": "0",
            "state_type": "1", "last_state_change": now, "plugin_output": "OK", "long_plugin_output": "",
            "problem_has_been_acknowledged": "0", "scheduled_downtime_depth": "0", "current_problem_id": "0", **block,
        }  # fmt: skip
        self.shelf("object").put(name, held)
        return name

    def check(self, name: str, state: int, output: str = "", *, hard: bool = True, at: int = 0) -> None:
        """Let a check find `state`; nothing is notified yet."""
        held = self._object(name)
        if held["current_state"] != str(state):
            held["last_state_change"] = str(at or int(time.time()))
        if state and held["current_problem_id"] == "0":
            held["current_problem_id"] = str(self.shelf("problem").next_number())
        if not state:
            held |= {"problem_has_been_acknowledged": "0", "current_problem_id": "0"}
        held |= {"current_state": str(state), "state_type": "1" if hard or not state else "0"}
        held["plugin_output"] = output or f"QUEUE {state} - depth is {state}50"
        self.shelf("object").put(name, held)

    def notify(self, name: str, kind: str = "", *, author: str = "", comment: str = "") -> dict[str, Any]:
        """Send (and return) a notification about an object, as the shipped script words it."""
        held = self._object(name)
        host, _, check = name.partition(";")
        what = "SERVICE" if check else "HOST"
        words = {number: word for word, number in (SERVICE_STATES if check else HOST_STATES).items()}
        macros = {
            "NOTIFICATIONTYPE": kind or ("RECOVERY" if held["current_state"] == "0" else "PROBLEM"),
            "HOSTNAME": host, "HOSTADDRESS": "192.0.2.7", "SERVICEDESC": check,
            f"{what}STATE": words[int(held["current_state"])],
            f"{what}STATETYPE": "HARD" if held["state_type"] == "1" else "SOFT",
            f"{what}OUTPUT": held["plugin_output"], f"LAST{what}STATECHANGE": held["last_state_change"],
            f"{what}PROBLEMID": held["current_problem_id"],
            f"{what}NOTIFICATIONID": str(self.shelf("notification").next_number()),
            "TIMET": str(int(time.time())), "NOTIFICATIONAUTHOR": author, "NOTIFICATIONCOMMENT": comment,
        }  # fmt: skip
        told = agent.notification(macros)
        self.emit(told)
        return told

    def delete(self, name: str) -> None:
        """Let an object disappear from the configuration."""
        self.shelf("object").remove(name)

    def carry_out(self, command: str) -> None:
        """Do what an external command says, as Nagios does: silently, and not at all if it makes no sense."""
        self.commands.append(command)
        verb, *words = command.split(";")
        if self.deaf:
            return
        if verb.startswith("DEL_"):
            kind = "service" if verb == "DEL_SVC_DOWNTIME" else "host"
            self._end(f"{kind}:{words[0]}")
            return
        size = 2 if "_SVC_" in verb and not verb.startswith("SCHEDULE_HOST_SVC") else 1
        name, rest = ";".join(words[:size]), words[size:]
        held = self.shelf("object").get(name)
        if held is None:
            return
        if verb.startswith("ACKNOWLEDGE_") and held["current_state"] != "0":
            self.shelf("object").put(name, {**held, "problem_has_been_acknowledged": "1"})
            self._comment(name, rest[3], rest[4], 4)
        elif verb.startswith("REMOVE_"):
            self.shelf("object").put(name, {**held, "problem_has_been_acknowledged": "0"})
        elif verb.startswith("ADD_"):
            self._comment(name, rest[1], rest[2], 1)
        elif verb.startswith("SCHEDULE_"):
            self._schedule(name, rest[0], rest[1], rest[5], rest[6])

    def seed(self, kind: str, count: int) -> list[str]:
        """Let `count` services fail, or put as many in downtime."""
        first = self.shelf(kind).next_number() * 1_000
        names = [self.add(f"host-{first + n}.example.test;Queue depth") for n in range(count)]
        if kind == "silence":
            now = int(time.time())
            return [self._schedule(name, str(now), str(now + 3_600), "grace", "seeded") for name in names]
        for name in names:
            self.check(name, 2)
        return names

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Acknowledge a problem as a person would; a downtime gets another comment."""
        if kind == "silence":
            held = self.shelf("downtime").get(key)
            if held is not None:
                self.shelf("downtime").put(key, {**held, "comment": str(dict(values))})
            return
        held = self._object(key)
        self.shelf("object").put(key, {**held, "problem_has_been_acknowledged": "1"})
        self._comment(key, self.human, str(dict(values)), 4)

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the downtimes or comments that carry our mark."""
        shelf = self.shelf("downtime" if kind == "silence" else "comment")
        return [key for key, each in shelf.all() if f"[isthmus:{correlation}]" in str(each)]

    # The agent ----------------------------------------------------------------------------------------

    async def _status(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read())
        return web.json_response(agent.standing(self._file(), time.time(), asked.get("names", ())))

    async def _commands(self, request: web.Request) -> web.Response:
        try:
            command = agent.command(msgspec.json.decode(await request.read()))
        except agent.RefusedError as refusal:
            return web.json_response({"error": refusal.text}, status=refusal.status)
        self.carry_out(command)
        return web.json_response({"passed_on": True}, status=202)

    def _file(self) -> str:
        """Return Nagios' status file."""
        now = int(time.time())
        parts = [
            ("info", {"created": str(now), "version": "4.4.6"}),
            ("programstatus", {"program_start": str(now)}),
        ]
        for kind in ("object", "comment", "downtime"):
            word = {"object": "status"}.get(kind, kind)
            parts += [
                (("service" if "service_description" in each else "host") + word, each)
                for _, each in self.shelf(kind).all()
            ]
        return "".join(
            f"{name} {{\n" + "".join(f"\t{key}={value}\n" for key, value in held.items()) + "\t}\n\n"
            for name, held in parts
        )

    # Parts --------------------------------------------------------------------------------------------

    def _object(self, name: str) -> dict[str, Any]:
        return self.shelf("object").get(name) or self.shelf("object").get(self.add(name)) or {}

    def _comment(self, name: str, author: str, text: str, entry_type: int) -> None:
        host, _, check = name.partition(";")
        number = self.shelf("comment").next_number()
        held = {
            "host_name": host, **({"service_description": check} if check else {}), "entry_type": str(entry_type),
            "comment_id": str(number), "author": author, "comment_data": text, "entry_time": str(int(time.time())),
        }  # fmt: skip
        self.shelf("comment").put(str(number), held)

    def _schedule(self, name: str, start: str, end: str, author: str, comment: str) -> str:
        host, _, check = name.partition(";")
        number = self.shelf("downtime").next_number()
        key = f"{'service' if check else 'host'}:{number}"
        held = {
            "host_name": host, **({"service_description": check} if check else {}), "downtime_id": str(number),
            "start_time": start, "end_time": end, "entry_time": str(int(time.time())), "author": author,
            "comment": comment,
        }  # fmt: skip
        self.shelf("downtime").put(key, held)
        self._depth(name, 1)
        return key

    def _end(self, key: str) -> None:
        held = self.shelf("downtime").get(key)
        if held is not None:
            self.shelf("downtime").remove(key)
            self._depth(agent.key_of(held["host_name"], held.get("service_description", "")), -1)

    def _depth(self, name: str, step: int) -> None:
        held = self._object(name)
        depth = max(0, int(held["scheduled_downtime_depth"]) + step)
        self.shelf("object").put(name, {**held, "scheduled_downtime_depth": str(depth)})
