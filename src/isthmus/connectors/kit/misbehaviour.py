"""How a simulated vendor misbehaves: one small function per fault of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from isthmus.connectors.kit.faults import Fault, Planned

if TYPE_CHECKING:
    from isthmus.connectors.kit.simulator import Simulator

Commit = Callable[[], Awaitable[web.StreamResponse]]
Misbehaviour = Callable[["Simulator", web.Request, Commit, Planned], Awaitable[web.StreamResponse]]
_HTML = "<html><head><title>Service unavailable</title></head><body>Please try later.</body></html>"
_OVERSIZED_BYTES = 40_000_000


async def answer(
    simulator: Simulator, request: web.Request, commit: Commit, planned: Planned | None
) -> web.StreamResponse:
    """Return the vendor's answer to a request, as the planned fault has it."""
    if planned is None:
        return await commit()
    return await _MISBEHAVIOURS[planned.fault](simulator, request, commit, planned)


def reset(request: web.Request) -> web.Response:
    """Break the connection; the returned response never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _status(_: Simulator, __: web.Request, ___: Commit, planned: Planned) -> web.StreamResponse:
    after = planned.retry_after_seconds
    headers = {} if after is None else {"Retry-After": f"{after:g}"}
    return web.json_response({"error": "injected"}, status=planned.status, headers=headers)


async def _timeout_after(
    simulator: Simulator, request: web.Request, commit: Commit, planned: Planned
) -> web.StreamResponse:
    await commit()
    simulator.outbox.flush_soon()
    await asyncio.sleep(planned.hang_seconds)
    return reset(request)


async def _commit_late(
    simulator: Simulator, request: web.Request, commit: Commit, planned: Planned
) -> web.StreamResponse:
    async def act() -> None:
        await commit()
        await simulator.outbox.flush()

    await request.read()
    simulator.outbox.later(planned.delay_seconds, act)
    await asyncio.sleep(planned.hang_seconds)
    return reset(request)


async def _reset_before(_: Simulator, request: web.Request, __: Commit, ___: Planned) -> web.StreamResponse:
    return reset(request)


async def _reset_after(
    simulator: Simulator, request: web.Request, commit: Commit, _: Planned
) -> web.StreamResponse:
    await commit()
    simulator.outbox.flush_soon()
    return reset(request)


async def _lie(simulator: Simulator, _: web.Request, commit: Commit, __: Planned) -> web.StreamResponse:
    with simulator.undone():
        return await commit()


async def _bad_json(_: Simulator, __: web.Request, commit: Commit, ___: Planned) -> web.StreamResponse:
    response = await commit()
    return web.Response(text=_HTML, content_type="text/html", status=response.status)


async def _drift(_: Simulator, __: web.Request, commit: Commit, planned: Planned) -> web.StreamResponse:
    response = await commit()
    if (
        planned.drift is None
        or not isinstance(response, web.Response)
        or not isinstance(response.body, bytes)
    ):
        return response
    return web.json_response(planned.drift(msgspec.json.decode(response.body)), status=response.status)


async def _oversized(_: Simulator, __: web.Request, commit: Commit, ___: Planned) -> web.StreamResponse:
    await commit()
    return web.Response(body=b" " * _OVERSIZED_BYTES, content_type="application/json")


async def _slow(_: Simulator, __: web.Request, commit: Commit, planned: Planned) -> web.StreamResponse:
    response = await commit()
    await asyncio.sleep(planned.delay_seconds)
    return response


_MISBEHAVIOURS: Mapping[Fault, Misbehaviour] = {
    Fault.STATUS: _status,
    Fault.TIMEOUT_AFTER_COMMIT: _timeout_after,
    Fault.COMMIT_AFTER_TIMEOUT: _commit_late,
    Fault.RESET_BEFORE_COMMIT: _reset_before,
    Fault.RESET_AFTER_COMMIT: _reset_after,
    Fault.LYING_200: _lie,
    Fault.BAD_JSON: _bad_json,
    Fault.SCHEMA_DRIFT: _drift,
    Fault.OVERSIZED: _oversized,
    Fault.SLOW: _slow,
}
