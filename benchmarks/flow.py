"""Webhook → rule → ticket in another system, read back; the same calls by a bare client; and merges of edits.

The partner is the ServiceNow simulator in a process of its own, so every call crosses a socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import load, payloads, serving, world
from benchmarks.figures import Figure, Scale

PARTNER = "snow"
FLOW_TARGET, DELIVERY_TARGET = 500, 0.3
CALLS_AT_ONCE = 32
_TABLE = "/api/now/table/incident"
_PAGE = 50
_SHAPE = {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}


def run(scale: Scale, directory: Path) -> list[Figure]:
    from isthmus.connectors.kit import registry

    build = registry.find("servicenow").connector.simulator
    assert build is not None
    shape: Any = build()
    port = serving.free_port()
    url = f"http://127.0.0.1:{port}"
    secrets = shape.secrets()
    os.environ |= {
        "SERVICENOW_PASSWORD": secrets["password"],
        "SERVICENOW_WEBHOOK_SECRET": secrets["webhook_secret"],
    }
    entry = {
        "connector": "servicenow", "config": shape.config(url), "limits": {"requests_per_minute": 6_000_000},
        "polling": {"enabled": False},
    }  # fmt: skip
    made = world.make(directory / "hub", connections={PARTNER: entry}, routes=[PARTNER])
    command = [sys.executable, "-m", "isthmus.connectors.kit.simulator", "servicenow", "--port", str(port)]
    with serving.process(command, port):
        figures = _flow(made, scale, directory, url, shape)
        figures.append(_merges(made))
    return figures


def _flow(made: world.World, scale: Scale, directory: Path, url: str, shape: Any) -> list[Figure]:
    webhooks = payloads.bodies(0, scale.tickets, 1, payloads.Shape(per_incident=1))
    bodies = load.write_bodies(directory / "webhooks", webhooks)
    book = serving.Book(made.directory)
    with serving.hub(made) as hub:
        since = time.perf_counter()
        sent = load.generate(
            port=hub.port, path=f"/ingest/alertmanager/{world.CONNECTION}", headers=made.headers,
            bodies=str(bodies), connections=8, seconds=60, requests=scale.tickets,
        )  # fmt: skip
        backlog = scale.tickets - _linked(book)
        while _linked(book) < scale.tickets or _owed(book):
            if time.perf_counter() - since > 300:
                raise RuntimeError(f"{_linked(book)} of {scale.tickets} tickets after five minutes")
            time.sleep(0.05)
        rate = scale.tickets / (time.perf_counter() - since)
    book.close()
    calls = _calls(url, shape)
    span = max(each["at"] for each in calls) - min(each["at"] for each in calls)
    kinds = Counter(_kind(each) for each in calls)
    per_ticket = {kind: round(count / scale.tickets, 2) for kind, count in kinds.items()}
    bare = asyncio.run(_bare(url, shape, kinds, scale.tickets))
    return [
        Figure(
            name="webhook → rule → ticket read back", value=rate, unit="tickets/s", target=FLOW_TARGET,
            notes={"tickets": scale.tickets, "backlog when all were accepted": backlog, "accepted/s": round(sent["per_second"])},
        ),
        Figure(
            name="deliveries with read-back", value=scale.tickets / span, unit="tickets/s", against="bare aiohttp",
            other=bare, target=DELIVERY_TARGET, judged="ratio", notes={"calls per ticket": per_ticket},
        ),
    ]  # fmt: skip


def _linked(book: serving.Book) -> int:
    return int(book.one("SELECT COUNT(*) FROM sync_link WHERE external_key <> ''") or 0)


def _owed(book: serving.Book) -> int:
    return int(book.one("SELECT COUNT(*) FROM hub_due WHERE lane = ?", PARTNER) or 0)


def _authorisation(shape: Any) -> dict[str, str]:
    return {"Authorization": aiohttp.BasicAuth(shape.integration_user, shape.token).encode()}


def _calls(url: str, shape: Any) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/_simulator/calls", headers=_authorisation(shape))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(json.loads(answer.read()))


def _kind(call: dict[str, Any]) -> str:
    """Return what a call is: `POST incident`, `GET incident/<key>`, `GET sys_journal_field`, …"""
    parts = str(call["path"]).removeprefix("/api/now/").removeprefix("table/").split("/")
    return f"{call['method']} {parts[0]}{'/<key>' if len(parts) > 1 else ''}"


async def _bare(url: str, shape: Any, kinds: Counter[str], tickets: int) -> float:
    """Make as many calls of each kind as the hub made, as fast as a client without a memory can."""
    body = {
        "short_description": "DiskFull on host-00001",
        "impact": "2",
        "urgency": "2",
        "correlation_id": "x" * 26,
    }
    connector = aiohttp.TCPConnector(limit=CALLS_AT_ONCE)
    headers = {**_authorisation(shape), "Accept": "application/json"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
        keys: list[str] = []

        async def call(kind: str) -> None:
            method, _, place = kind.partition(" ")
            table = place.removesuffix("/<key>")
            path = f"/api/now/table/{table}" + (f"/{keys[0]}" if "<key>" in place else "")
            sent = body if method in {"POST", "PATCH"} else None
            query = (
                _SHAPE
                if sent or "<key>" in place
                else {**_SHAPE, "sysparm_limit": "1", "sysparm_query": "sys_idINx"}
            )
            async with session.request(method, path, params=query, json=sent) as answer:
                said = await answer.json()
                if method == "POST" and not keys:
                    keys.append(said["result"]["sys_id"]["value"])

        await call("POST incident")
        since = time.perf_counter()
        left = iter([kind for kind, count in kinds.items() for _ in range(count)])

        async def worker() -> None:
            for kind in left:
                await call(kind)

        await asyncio.gather(*(worker() for _ in range(CALLS_AT_ONCE)))
        return tickets / (time.perf_counter() - since)


def _merges(made: world.World) -> Figure:
    """Every ticket is edited at the partner; the pages of the poll that shows it are merged by the pump."""
    from isthmus.connectors.kit.ports import encode_observations
    from isthmus.hub import connections
    from isthmus.hub.intake import shared
    from isthmus.hub.intake.message import POLL, Draft
    from isthmus.hub.pump.pump import Pump
    from isthmus.ledger import scope
    from isthmus.ledger.ids import source

    book = serving.Book(made.directory)
    linked = book.column("SELECT external_key FROM sync_link")
    before = book.one("SELECT COUNT(*) FROM ledger_entry WHERE kind = 'incident'")
    with scope.everywhere("the benchmark merges"):
        opened = connections.open(PARTNER)
        seen = asyncio.run(_all(opened.client))
        edited = [
            replace(
                each,
                values={**each.values, "title": f"{each.values['title']} (seen)"},
                version=_later(each.version),
            )
            for each in seen
            if "title" in each.values and each.external.key in linked
        ]
        log = shared.log()
        for start in range(0, len(edited), _PAGE):
            draft = Draft(
                id=source.new_id(), trace=source.new_trace(), received_at=source.now(), door=POLL,
                connector="servicenow@1", headers=[], body=encode_observations(edited[start : start + _PAGE]),
            )  # fmt: skip
            log.append(PARTNER, [draft])
        pump = Pump(log)
        since = time.perf_counter()
        while pump.round():
            pass
        rate = len(edited) / (time.perf_counter() - since)
    taken = book.one("SELECT COUNT(*) FROM ledger_entry WHERE kind = 'incident'") - before
    parked = book.one("SELECT COUNT(*) FROM hub_parked_message")
    book.close()
    return Figure(
        name="merges of partner edits",
        value=rate,
        unit="merges/s",
        notes={"taken over": taken, "of": len(edited), "parked": parked},
    )


async def _all(client: Any) -> list[Any]:
    found = []
    async for page in client.changed_since("incident", ""):
        found += page.observations
    await client.close()
    return found


def _later(version: str) -> str:
    return str(int(version) + 1) if version.isdigit() else version
