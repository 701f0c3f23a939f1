#!/usr/bin/env python3
"""Isthmus beside Nagios: one file for the Nagios host, Python 3.9 or newer, nothing else to install.

    isthmus_nagios.py notify --config FILE     a notification command: tells the hub what Nagios notifies of
    isthmus_nagios.py agent  --config FILE     a small service: shows the hub how everything stands, and passes
                                               acknowledgements, downtimes and comments on to Nagios' command pipe

FILE is JSON: {"hub": "https://hub/ingest/nagios/<connection>", "secret_file": "…", "status_file": "…",
"command_file": "…", "listen": "127.0.0.1:5680", "certificate": "…", "key": "…"}. Both directions are signed with
HMAC-SHA256 over `<time>:<body>` in X-Isthmus-Signature; what is older than five minutes, or was heard before, is refused.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import hmac
import json
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

AGE_SECONDS_MAX = 300
BODY_BYTES_MAX = 1_000_000
STATUS_BYTES_MAX = 200_000_000
STALE_SECONDS = 300
SEEN_MAX = 10_000
TEXT_MAX = 3_000
PIPE_BYTES_MAX = 4_096
"""The most that the kernel writes to a pipe in one piece: longer commands could be torn apart by another writer."""
TRIES, WAIT_SECONDS = 4, (1, 3, 8)

Block = dict[str, str]


class RefusedError(Exception):
    """A request that is not done: the HTTP status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


# Signatures -----------------------------------------------------------------------------------------------


def signature(secret: str, moment: str, body: bytes) -> str:
    """Return the signature of a body that is sent at `moment` (seconds since 1970, as text)."""
    return "sha256=" + hmac.new(secret.encode(), moment.encode() + b":" + body, hashlib.sha256).hexdigest()


class Gatekeeper:
    """Lets signed, fresh requests in, each once."""

    def __init__(self, secrets: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._secrets = [each for each in secrets if each]
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `RefusedError` unless the request is authentic, fresh and new."""
        stated, moment = headers.get("x-isthmus-signature", ""), headers.get("x-isthmus-timestamp", "")
        if not self._secrets:
            raise RefusedError(403, "The agent has no secret and accepts nothing.")
        if not stated or not moment.isdigit():
            raise RefusedError(401, "The request is not signed.")
        if abs(self._clock() - int(moment)) > AGE_SECONDS_MAX:
            raise RefusedError(401, "The request is too old or from the future.")
        matched = False
        for each in self._secrets:  # All are compared: the time taken says nothing about which matched.
            matched |= hmac.compare_digest(signature(each, moment, body).encode(), stated.encode())
        if not matched:
            raise RefusedError(401, "The signature is wrong.")
        with self._lock:
            if stated in self._seen:
                raise RefusedError(401, "The request was heard before.")
            self._seen[stated] = None
            while len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)


# Notifications --------------------------------------------------------------------------------------------


def notification(macros: Mapping[str, str]) -> dict[str, Any]:
    """Return what the hub is told of a notification; `macros` by name, without NAGIOS_."""
    check = macros.get("SERVICEDESC", "")
    what = "SERVICE" if check else "HOST"
    texts = {
        "type": macros.get("NOTIFICATIONTYPE", ""),
        "host": macros.get("HOSTNAME", ""),
        "address": macros.get("HOSTADDRESS", ""),
        "check": check,
        "state": macros.get(f"{what}STATE", ""),
        "state_type": macros.get(f"{what}STATETYPE", ""),
        "output": macros.get(f"{what}OUTPUT", ""),
        "long_output": macros.get(f"LONG{what}OUTPUT", ""),
        "notes_url": macros.get(f"{what}NOTESURL", "") or macros.get("HOSTNOTESURL", ""),
        "author": macros.get("NOTIFICATIONAUTHOR", ""),
        "comment": macros.get("NOTIFICATIONCOMMENT", ""),
    }
    numbers = {
        "at": macros.get("TIMET", ""),
        "changed_at": macros.get(f"LAST{what}STATECHANGE", ""),
        "problem_id": macros.get(f"{what}PROBLEMID", ""),
        "notification_id": macros.get(f"{what}NOTIFICATIONID", ""),
    }
    return {
        "version": 1,
        **{name: text[:TEXT_MAX] for name, text in texts.items()},
        **{name: int(text) if text.isdigit() else 0 for name, text in numbers.items()},
    }


def macros_of(environment: Mapping[str, str], arguments: Sequence[str]) -> dict[str, str]:
    """Return the macros: from the environment (enable_environment_macros=1), or given as NAME=value."""
    found = {name[7:]: value for name, value in environment.items() if name.startswith("NAGIOS_")}
    for each in arguments:
        name, _, value = each.partition("=")
        found[name] = value
    return found


def notify(config: Mapping[str, Any], arguments: Sequence[str]) -> int:
    """Tell the hub of one notification; what cannot be told now is left to the hub's poll of the agent."""
    told = notification(macros_of(os.environ, arguments))
    if not told["type"] or not told["host"]:
        _say("No macros: set enable_environment_macros=1 in nagios.cfg, or give them as NAME=value.")
        return 2
    body, secret = json.dumps(told).encode(), _secrets(config)[0]
    for attempt in range(TRIES):
        try:
            _post(str(config["hub"]), body, secret, config)
        except urllib.error.HTTPError as refusal:
            if refusal.code < 500 and refusal.code != 429:
                _say(f"The hub refused the notification: {refusal.code}.")
                return 1
        except OSError as fault:
            _say(f"The hub was not reached: {type(fault).__name__}.")
        else:
            return 0
        if attempt + 1 < TRIES:
            time.sleep(WAIT_SECONDS[attempt])
    return 1


def _post(url: str, body: bytes, secret: str, config: Mapping[str, Any]) -> None:
    if not url.startswith(("https://", "http://")):
        raise SystemExit("`hub` must be an http or https address.")
    moment = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-Isthmus-Timestamp": moment,
        "X-Isthmus-Signature": signature(secret, moment, body),
    }
    request = urllib.request.Request(url, data=body, method="POST", headers=headers)  # noqa: S310
    trust = (
        ssl.create_default_context(cafile=config.get("hub_ca") or None) if url.startswith("https") else None
    )
    with urllib.request.urlopen(request, timeout=10, context=trust) as answer:  # noqa: S310
        answer.read(1_000)


# Status ---------------------------------------------------------------------------------------------------


def blocks(text: str) -> list[tuple[str, Block]]:
    """Return the blocks of a status file: `name {`, lines `key=value`, `}`."""
    found: list[tuple[str, Block]] = []
    name, held = "", Block()
    for line in text.splitlines():
        bare = line.strip()
        if bare.endswith("{") and "=" not in bare:
            name, held = bare[:-1].strip(), Block()
        elif bare == "}":
            found.append((name, held))
        elif "=" in bare:
            key, _, value = bare.partition("=")
            held[key] = value
    return found


def standing(text: str, now: float, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return how everything stands: what is a problem in a hard state, or in downtime, or was asked for by name."""
    objects, comments, downtimes = [], [], []
    program: Block = {}
    created = 0
    wanted = set(names)
    for name, held in blocks(text):
        if name == "info":
            created, program = int(held.get("created", "0")), {**program, "version": held.get("version", "")}
        elif name == "programstatus":
            program = {**program, "start": held.get("program_start", "")}
        elif name in {"hoststatus", "servicestatus"}:
            shown = _object(held)
            if shown["firing"] or shown["downtime_depth"] or shown["name"] in wanted:
                objects.append(shown)
        elif name in {"hostcomment", "servicecomment"}:
            comments.append(_comment(held))
        elif name in {"hostdowntime", "servicedowntime"}:
            downtimes.append(_downtime(held))
    if now - created > STALE_SECONDS:
        raise RefusedError(503, "Nagios has not written its status for more than five minutes.")
    return {
        "version": program.get("version", ""),
        "started": int(program.get("start") or 0),
        "created": created,
        "objects": objects,
        "comments": comments,
        "downtimes": downtimes,
    }


def key_of(host: str, check: str) -> str:
    """Return the name of a host or service: Nagios allows no semicolon in either."""
    return f"{host};{check}" if check else host


def _object(held: Block) -> dict[str, Any]:
    host, check = held.get("host_name", ""), held.get("service_description", "")
    state, hard = int(held.get("current_state", "0")), held.get("state_type") == "1"
    return {
        "name": key_of(host, check),
        "host": host,
        "check": check,
        "state": state,
        "firing": hard and state != 0,
        "changed_at": int(held.get("last_state_change", "0")),
        "output": held.get("plugin_output", "")[:TEXT_MAX],
        "long_output": held.get("long_plugin_output", "")[:TEXT_MAX],
        "acknowledged": held.get("problem_has_been_acknowledged") == "1",
        "downtime_depth": int(held.get("scheduled_downtime_depth", "0")),
        "problem_id": int(held.get("current_problem_id", "0")),
    }


def _comment(held: Block) -> dict[str, Any]:
    return {
        "name": key_of(held.get("host_name", ""), held.get("service_description", "")),
        "acknowledges": held.get("entry_type") == "4",
        "author": held.get("author", ""),
        "text": held.get("comment_data", "")[:TEXT_MAX],
        "at": int(held.get("entry_time", "0")),
    }


def _downtime(held: Block) -> dict[str, Any]:
    host, check = held.get("host_name", ""), held.get("service_description", "")
    return {
        "id": int(held.get("downtime_id", "0")),
        "name": key_of(host, check),
        "host": host,
        "check": check,
        "start": int(held.get("start_time", "0")),
        "end": int(held.get("end_time", "0")),
        "at": int(held.get("entry_time", "0")),
        "author": held.get("author", ""),
        "comment": held.get("comment", "")[:TEXT_MAX],
    }


# Commands -------------------------------------------------------------------------------------------------


def command(asked: Mapping[str, Any]) -> str:
    """Return the external command that does what is asked; `RefusedError` for anything that is not on the list."""
    what = str(asked.get("do", ""))
    if what == "remove_downtime":
        kind = "SVC" if asked.get("check") else "HOST"
        return f"DEL_{kind}_DOWNTIME;{int(asked.get('id', 0))}"
    host, check = _name(asked.get("host")), _name(asked.get("check") or "")
    if not host:
        raise RefusedError(422, "A host must be named.")
    kind, target = ("SVC", f"{host};{check}") if check else ("HOST", host)
    author, comment = _text(asked.get("author") or "Isthmus"), _text(asked.get("comment") or "By Isthmus.")
    if what == "acknowledge":
        sticky = 2 if asked.get("sticky", True) else 1
        # Not persistent: a comment that outlives its acknowledgement would name somebody who gave it back.
        return f"ACKNOWLEDGE_{kind}_PROBLEM;{target};{sticky};{int(bool(asked.get('notify')))};0;{author};{comment}"
    if what == "unacknowledge":
        return f"REMOVE_{kind}_ACKNOWLEDGEMENT;{target}"
    if what == "comment":
        return f"ADD_{kind}_COMMENT;{target};1;{author};{comment}"
    if what == "downtime":
        start, end = int(asked.get("start", 0)), int(asked.get("end", 0))
        if not 0 < start < end:
            raise RefusedError(422, "A downtime needs a start and a later end.")
        return f"SCHEDULE_{kind}_DOWNTIME;{target};{start};{end};1;0;{end - start};{author};{comment}"
    raise RefusedError(422, "This agent does not do that.")


def pass_on(pipe: str, line: str, now: float) -> None:
    """Write one command into Nagios' pipe, in one piece."""
    raw = f"[{int(now)}] {line}\n".encode()
    if len(raw) > PIPE_BYTES_MAX:
        raise RefusedError(413, "The command is too long for the pipe.")
    try:
        handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as fault:
        if fault.errno in {errno.ENXIO, errno.ENOENT}:
            raise RefusedError(503, "Nagios does not read its command pipe.") from fault
        raise RefusedError(
            500, f"The command pipe cannot be opened ({errno.errorcode.get(fault.errno or 0)})."
        ) from fault
    try:
        os.write(handle, raw)
    except BlockingIOError as fault:
        raise RefusedError(503, "Nagios' command pipe is full.") from fault
    finally:
        os.close(handle)


def _name(value: object) -> str:
    text = str(value or "")
    if any(each in text for each in ";\n\r") or len(text) > 250:
        raise RefusedError(422, "A name holds a semicolon or a line break.")
    return text


def _text(value: object) -> str:
    """Return a text as a command can carry it: a semicolon would begin the next argument, a line break a command."""
    return " ".join(str(value).replace(";", ",").split())[:TEXT_MAX]


# The agent ------------------------------------------------------------------------------------------------


def answer(
    config: Mapping[str, Any], path: str, asked: Mapping[str, Any], now: float
) -> tuple[int, dict[str, Any]]:
    """Return status and body of the answer to an authentic request."""
    if path == "/v1/status":
        names = [str(each) for each in asked.get("names", [])][:10_000]
        with Path(str(config["status_file"])).open(encoding="utf-8", errors="replace") as file:
            return 200, standing(file.read(STATUS_BYTES_MAX), now, names)
    if path == "/v1/commands":
        pass_on(str(config["command_file"]), command(asked), now)
        return 202, {"passed_on": True}
    raise RefusedError(404, "There is no such path.")


def handler(config: Mapping[str, Any], gate: Gatekeeper) -> type:
    """Return the request handler of an agent."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self) -> None:
            status: int
            body: dict[str, Any]
            try:
                raw = self.rfile.read(_bounded(self.headers.get("Content-Length") or "0"))
                gate.check({name.lower(): value for name, value in self.headers.items()}, raw)
                status, body = answer(config, self.path, json.loads(raw), time.time())
            except RefusedError as refusal:
                status, body = refusal.status, {"error": refusal.text}
            except (ValueError, TypeError, AttributeError):
                status, body = 422, {"error": "The body is not what this path takes."}
            except OSError as fault:
                status, body = 503, {"error": f"The status cannot be read ({type(fault).__name__})."}
            said = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def _bounded(stated: str) -> int:
    """Return the size of a body, if it is one that may be read."""
    size = int(stated)
    if not 0 < size <= BODY_BYTES_MAX:
        raise RefusedError(413, "The body is empty or too large.")
    return size


def serve(config: Mapping[str, Any]) -> ThreadingHTTPServer:
    """Return the agent's server, ready to serve."""
    host, _, port = str(config.get("listen", "127.0.0.1:5680")).rpartition(":")
    made = ThreadingHTTPServer((host, int(port)), handler(config, Gatekeeper(_secrets(config))))
    if config.get("certificate"):
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(str(config["certificate"]), str(config["key"]) if config.get("key") else None)
        # The handshake is the handler's, within its time limit: who connects and says nothing holds up nobody.
        made.socket = trust.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    return made


def _secrets(config: Mapping[str, Any]) -> list[str]:
    """Return the secrets that are valid, the one that we sign with first; one a line in the file."""
    lines = Path(str(config["secret_file"])).read_text(encoding="utf-8").split()
    if not lines:
        raise SystemExit(f"{config['secret_file']} is empty.")
    return lines


def _say(text: str) -> None:
    sys.stderr.write(f"isthmus_nagios: {text}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the two modes."""
    parser = argparse.ArgumentParser(description="Isthmus beside Nagios")
    parser.add_argument("mode", choices=("notify", "agent"))
    parser.add_argument("--config", required=True, type=Path)
    parser.add_argument("macros", nargs="*", help="NAME=value, where environment macros are off")
    asked = parser.parse_args(arguments)
    config = json.loads(asked.config.read_text(encoding="utf-8"))
    if asked.mode == "notify":
        return notify(config, asked.macros)
    with serve(config) as server:
        _say(f"listening on {server.server_address[0]!s}:{server.server_address[1]}")
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
