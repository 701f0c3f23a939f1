"""The door of streams: syslog senders keep a connection open and push messages through it (RFC 6587, RFC 5425).

Off unless `stream_listen` says where. A peer is taken by the connection whose source admits it best; a stranger is
counted and hung up on. Nothing is answered on such a stream, so back-pressure is TCP's own: no more is read from a
peer until what it sent is durable. Everything is bounded: peers, peers per address, bytes per message, silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from isthmus.connectors.kit.listening import PEER_HEADER, Listening, Peer
from isthmus.hub import metrics
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.entrance import Entrance, Entrances
from isthmus.hub.intake.listening import Address, parse_address, server_tls
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.message import STREAM, Draft
from isthmus.hub.intake.refusals import Refusals
from isthmus.kernel.errors import Rejected
from isthmus.ledger.ids import Source
from isthmus.settings import Settings

_log = structlog.get_logger(__name__)

PEERS_MAX: Final = 500
PEERS_AN_ADDRESS_MAX: Final = 50
READ_BYTES: Final = 65_536
SILENCE_SECONDS_MAX: Final = 3_600.0
HANDSHAKE_SECONDS_MAX: Final = 10.0
RETRY_SECONDS: Final = 0.5
GROUP_MAX: Final = 500
"""Messages of one peer that wait for the disk together."""


class Streams:
    """The listener of one front process."""

    def __init__(
        self, entrances: Entrances, appender: Callable[[], Appender], refusals: Refusals, source: Source
    ) -> None:
        self._entrances = entrances
        self._appender = appender
        self._refusals = refusals
        self._source = source
        self._server: asyncio.Server | None = None
        self._peers: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> Address | None:
        """Return where it listens, None if it does not."""
        if self._server is None or not self._server.sockets:
            return None
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(str(host), int(port))

    async def start(self, settings: Settings) -> None:
        """Listen where the settings say; do nothing without `stream_listen`."""
        if not settings.stream_listen:
            return
        wanted = parse_address(settings.stream_listen, "ISTHMUS_STREAM_LISTEN")
        secured = tls(settings)
        self._server = await asyncio.start_server(
            self._accept,
            wanted.host,
            wanted.port,
            ssl=secured,
            ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX if secured else None,
            limit=READ_BYTES,
            reuse_port=True,
        )
        _log.info("streams_listen", address=settings.stream_listen, tls=secured is not None)

    async def stop(self) -> None:
        """Stop listening and hang up; what was durable stays, the rest the senders have."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the server runs every peer in a task of its own
        self._tasks.add(task)
        peer = _peer(writer)
        self._peers[peer.address] += 1
        metrics.STREAM_PEERS.set(self._peers.total())
        try:
            await self._serve(peer, reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # The peer is gone, or silent for too long.
        except asyncio.CancelledError:
            # The hub stops: the peer sees a closed connection and comes again.
            pass
        except Exception:  # noqa: BLE001 - one peer's fault must not stop the others
            _log.exception("stream_failed", address=peer.address)
        finally:
            self._peers[peer.address] -= 1
            self._peers += Counter()
            metrics.STREAM_PEERS.set(self._peers.total())
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, peer: Peer, reader: asyncio.StreamReader) -> None:
        if self._peers.total() > PEERS_MAX or self._peers[peer.address] > PEERS_AN_ADDRESS_MAX:
            self._refusals.add("", peer.address, "too-many")
            return
        entrance = self._entrance_of(peer)
        if entrance is None:
            self._refusals.add("", peer.address, "stranger")
            return
        name, buffer = entrance.connection, b""
        while True:
            async with asyncio.timeout(SILENCE_SECONDS_MAX):
                part = await reader.read(READ_BYTES)
            current = self._entrance_of(peer)
            if current is None or current.connection != name:
                self._refusals.add(name, peer.address, "stranger")
                return  # The blueprint changed: who may speak is asked anew.
            source = current.source
            assert isinstance(source, Listening)  # noqa: S101 - `_entrance_of` takes no other
            # A last line may end with the connection; a counted message that is not whole stays one.
            ending = b"\n" if not part and buffer[:1] == b"<" else b""
            cut = source.cut(buffer + part + ending, min(current.bytes_max, READ_BYTES))
            await self._keep(current, peer, [each for each in cut.messages if each.strip()])
            if cut.broken:
                self._refusals.add(name, peer.address, "framing")
                return
            if not part:
                return
            buffer = cut.rest

    def _entrance_of(self, peer: Peer) -> Entrance | None:
        """Return the connection that admits a peer best; two that do so equally well are none."""
        rated = [
            (fit, each)
            for each in self._entrances.by_path.values()
            if isinstance(each.source, Listening) and (fit := each.source.admits(peer, each.context))
        ]
        if not rated:
            return None
        best = max(fit for fit, _ in rated)
        fitting = [each for fit, each in rated if fit == best]
        return fitting[0] if len(fitting) == 1 else None

    async def _keep(self, entrance: Entrance, peer: Peer, messages: list[bytes]) -> None:
        """Make messages durable, in their order; what has no shape is counted and left."""
        headers = [(PEER_HEADER, peer.address)]
        drafts = []
        for body in messages:
            try:
                entrance.source.check(body, dict(headers), entrance.context)
            except Rejected:
                self._refusals.add(entrance.connection, peer.address, "shape")
                continue
            drafts.append(
                Draft(
                    id=self._source.new_id(),
                    trace=self._source.new_trace(),
                    received_at=self._source.now(),
                    door=STREAM,
                    connector=entrance.stamp,
                    headers=headers,
                    body=body,
                )
            )
        for start in range(0, len(drafts), GROUP_MAX):
            await self._durable(entrance.connection, drafts[start : start + GROUP_MAX])
        metrics.STREAM_MESSAGES.labels(entrance.connection).inc(len(drafts))

    async def _durable(self, connection: str, drafts: list[Draft]) -> None:
        """Wait until drafts are on disk. A full queue or disk stops the reading, and so the sender."""
        waiting = list(drafts)
        while waiting:
            futures: list[asyncio.Future[int]] = []
            with contextlib.suppress(LogUnavailable):
                for each in waiting:
                    futures.append(self._appender().submit(connection, each))  # noqa: PERF401 - those before the fault count
            sent, waiting = waiting[: len(futures)], waiting[len(futures) :]
            results = await asyncio.gather(*futures, return_exceptions=True)
            failed = [
                draft
                for draft, result in zip(sent, results, strict=True)
                if isinstance(result, BaseException)
            ]
            # Those that failed go first: the order in which they came is kept as far as the disk allows.
            waiting = [*failed, *waiting]
            if waiting:
                await asyncio.sleep(RETRY_SECONDS)


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS that the settings ask for, None for plain TCP; raise `NeedsOperator` on what is unusable."""
    return server_tls(
        settings.stream_certificate, settings.stream_key, settings.stream_authorities, "ISTHMUS_STREAM_"
    )


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = str((writer.get_extra_info("peername") or ("",))[0])
    secured = writer.get_extra_info("ssl_object")
    if secured is None:
        return Peer(address=address)
    raw, told = secured.getpeercert(binary_form=True), secured.getpeercert() or {}
    if not raw:
        return Peer(address=address)
    subject = [value for part in told.get("subject", ()) for name, value in part if name == "commonName"]
    others = [value for name, value in told.get("subjectAltName", ()) if name == "DNS"]
    return Peer(
        address=address,
        certificate=hashlib.sha256(raw).hexdigest(),
        names=tuple(dict.fromkeys([*others, *subject])),
    )
