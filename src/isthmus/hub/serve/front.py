"""The front: everything that is asked from outside. Raw ASGI for what is fast or waits, WSGI for the rest.

/ingest/<connector>/<connection>   the intake door
/live/…                            server-sent events
/gate/wait                         long poll for pipelines
/healthz, /metrics                 for those who watch the hub
everything else                    Django (pages, API) in a bounded pool of threads
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.urls import get_resolver
from prometheus_client import generate_latest

from isthmus import django_settings
from isthmus.hub import metrics
from isthmus.hub.asgi import App, Receive, Scope, Send, answer
from isthmus.hub.gate_wait import GateWait
from isthmus.hub.intake import shared as shared_log
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.current_entrances import CurrentEntrances
from isthmus.hub.intake.door import Door
from isthmus.hub.intake.mails import Mails
from isthmus.hub.intake.refusals import FLUSH_SECONDS, Refusals
from isthmus.hub.intake.streams import Streams
from isthmus.hub.live import Live
from isthmus.hub.serve.process import announce_errands
from isthmus.hub.serve.refusal_journal import flush
from isthmus.hub.serve.shared import ENGINE, figures_of
from isthmus.hub.tail import Tail
from isthmus.ledger import scope as book_scope
from isthmus.ledger.ids import source

if TYPE_CHECKING:
    from isthmus.hub.serve.shared import Shared

_log = structlog.get_logger(__name__)

WSGI_THREADS = 16
REFRESH_SECONDS = 0.5
ENGINE_LATE_SECONDS = 30.0


class Front:
    """The ASGI application of one front process."""

    def __init__(self, wsgi: Any, shared: Shared, run_dir: Path, url: str, *, alone: bool) -> None:
        self._shared = shared
        self._run_dir = run_dir
        self._url = url
        self._alone = alone
        self._entrances = CurrentEntrances()
        self._refusals = Refusals()
        self._tail = Tail()
        self._appender: Appender | None = None
        self._stopped = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="entrances", daemon=True)
        self._django: App = WSGIMiddleware(wsgi, workers=WSGI_THREADS)  # type: ignore[assignment]
        self._door = Door(self._entrances, self._current_appender, self._refusals, source)
        self._streams = Streams(self._entrances, self._current_appender, self._refusals, source)
        self._mails = Mails(self._entrances, self._current_appender, self._refusals, source)
        self._raw: list[tuple[str, App]] = [
            ("/live/", Live(self._tail)),
            ("/gate/wait", GateWait(self._tail)),
            ("/healthz", self._healthz),
            ("/metrics", self._metrics),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to whom it belongs."""
        if scope["type"] == "http":
            path = scope["path"]
            if path.startswith("/ingest/"):
                await self._door(scope, receive, send)
                return
            for prefix, app in self._raw:
                if path.startswith(prefix):
                    await app(scope, receive, send)
                    return
            await self._django(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._refresh)
        log = await loop.run_in_executor(None, shared_log.log)
        self._appender = Appender(
            log,
            queue_max=django_settings.ISTHMUS.intake_queue_max,
            loop=loop,
            notify=self._shared.messages.ring,
        )
        self._appender.start()
        await self._streams.start(django_settings.ISTHMUS)
        await self._mails.start(django_settings.ISTHMUS)
        self._tail.start(loop)
        self._keeper.start()
        note = {"pid": os.getppid(), "url": self._url}
        (self._run_dir / "endpoint.json").write_text(json.dumps(note))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        (self._run_dir / "endpoint.json").unlink(missing_ok=True)
        self._stopped.set()
        await self._streams.stop()
        await self._mails.stop()
        self._tail.stop()
        await loop.run_in_executor(None, self._appender.stop)
        await loop.run_in_executor(None, self._flush_refusals)
        await send({"type": "lifespan.shutdown.complete"})

    def _current_appender(self) -> Appender:
        assert self._appender is not None  # noqa: S101 - requests come after start-up
        return self._appender

    def _keep(self) -> None:
        """Follow the blueprint, and journal what was refused once a minute."""
        waited = 0.0
        while not self._stopped.wait(REFRESH_SECONDS):
            waited += REFRESH_SECONDS
            try:
                self._refresh()
                if waited >= FLUSH_SECONDS:
                    waited = 0.0
                    self._flush_refusals()
            except Exception:  # noqa: BLE001 - a store that is away for a moment leaves the entrances as they were
                _log.exception("refresh_failed")
                close_old_connections()

    def _refresh(self) -> None:
        with book_scope.everywhere("the door's entrances"):
            self._entrances.refresh()

    def _flush_refusals(self) -> None:
        with book_scope.everywhere("the door's refusals"):
            flush(self._refusals, source.now())

    async def _healthz(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 while the hub works; 503 if a process of the engine has not come round for half a minute."""
        del scope, receive
        ages = self._shared.heartbeats.ages()
        late = [role for role, age in ages.items() if age is None or age > ENGINE_LATE_SECONDS]
        late = [] if self._alone else late
        said = {
            "status": "late" if late else "ok",
            "late": late,
            "seconds_ago": {role: None if age is None else round(age, 1) for role, age in ages.items()},
            "intake_waiting": self._appender.waiting if self._appender else 0,
            "streams": self._streams.address is not None,
            "mail": self._mails.address is not None,
        }
        await answer(send, 503 if late else 200, json.dumps(said).encode(), [(b"cache-control", b"no-store")])

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Prometheus text of this process, and of the engine's as they last left it."""
        del scope, receive
        self._count()
        body = generate_latest(metrics.FRONT)
        for role in ENGINE:
            with suppress(FileNotFoundError):
                body += figures_of(self._run_dir, role).read_bytes()
        headers = [
            (b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _count(self) -> None:
        appender = self._appender
        if appender is None:
            return
        metrics.WAITING.set(appender.waiting)
        metrics.ACCEPTED.set(appender.messages)
        metrics.GROUPS.set(appender.groups)
        for (connection, reason), count in list(self._refusals.total.items()):
            metrics.REFUSED.labels(connection, reason).set(count)


@cache
def preload() -> Any:
    """Load everything that requests need, before the fork; return the WSGI application.

    Pages and API are found through Django's settings: the hub does not know them by name.
    """
    application = get_wsgi_application()
    _ = get_resolver().url_patterns
    return application


def main(listening: socket.socket, shared: Shared, run_dir: Path, url: str, *, alone: bool) -> None:
    """Serve until SIGTERM."""
    announce_errands(shared.errands)
    app = Front(preload(), shared, run_dir, url, alone=alone)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run(sockets=[listening])
