"""The door of mail: mail servers hand mail over by SMTP (RFC 5321), spoken with aiosmtpd.

Off unless `smtp_listen` says where. A recipient's address names the connection, a peer is admitted by its network or by
signing in, and a mail takes the way of every message: judged, checked, appended. **250 is answered only after the
message is on disk**; 4xx leaves it with the sender while the disk or the queue is full, 5xx refuses it and says why
without a word of the mail. Everything is bounded: peers, peers per address, failed sign-ins, commands, recipients,
bytes, silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, cast

import structlog
from aiosmtpd.smtp import SMTP

from isthmus.connectors.kit.mailing import Mailing, Relay
from isthmus.hub import metrics
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.entrance import Entrances
from isthmus.hub.intake.listening import Address, parse_address, server_tls
from isthmus.hub.intake.mail_handover import Counted, Handover
from isthmus.hub.intake.refusals import Refusals
from isthmus.kernel.errors import NeedsOperator
from isthmus.ledger.ids import Source
from isthmus.settings import Settings

_log = structlog.get_logger(__name__)
# The library tells of every command and address at these levels.
logging.getLogger("mail.log").addHandler(logging.NullHandler())
logging.getLogger("mail.log").propagate = False

PEERS_MAX: Final = 200
PEERS_AN_ADDRESS_MAX: Final = 20
SILENCE_SECONDS_MAX: Final = 300.0
"""RFC 5321 4.5.3.2.7: at least five minutes. A mail has to be through in that time, too."""
COMMANDS_MAX: Final = {"AUTH": 3, "STARTTLS": 1, "EHLO": 20, "HELO": 20, "*": 2_000}
"""Of one kind on one connection; who has more to say comes again."""
REFUSED: Final = {
    "421": "too-many", "500": "protocol", "501": "protocol", "503": "protocol", "530": "tls", "538": "tls",
    "552": "size", "553": "protocol", "555": "protocol",
}  # fmt: skip
"""What the protocol refuses by itself, by its reply, as reasons for the counters."""
FAILURES_MAX: Final = 10
FAILURES_SECONDS: Final = 600.0
FAILING_MAX: Final = 10_000
"""Addresses whose failed sign-ins are remembered; beyond, the oldest are forgotten."""


class Mails:
    """The listener of one front process."""

    def __init__(
        self, entrances: Entrances, appender: Callable[[], Appender], refusals: Refusals, source: Source
    ) -> None:
        self._entrances = entrances
        self._refusals = refusals
        self._source = source
        self._appender = appender
        self._server: asyncio.Server | None = None
        self._talks: dict[_Talk, str] = {}
        self._failures: dict[str, list[float]] = {}

    @property
    def address(self) -> Address | None:
        """Return where it listens, None if it does not."""
        if self._server is None or not self._server.sockets:
            return None
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(str(host), int(port))

    async def start(self, settings: Settings) -> None:
        """Listen where the settings say; do nothing without `smtp_listen`."""
        if not settings.smtp_listen:
            return
        wanted = parse_address(settings.smtp_listen, "ISTHMUS_SMTP_LISTEN")
        secured = server_tls(settings.smtp_certificate, settings.smtp_key, "", "ISTHMUS_SMTP_")
        if settings.smtp_require_tls and secured is None:
            raise NeedsOperator(
                "ISTHMUS_SMTP_REQUIRE_TLS needs a certificate.", remedy="Set ISTHMUS_SMTP_CERTIFICATE."
            )
        name = settings.smtp_name or "isthmus.invalid"
        handover = Handover(self._entrances, self._appender, self._refusals, self._source, self, name)

        def talk() -> _Talk:
            return _Talk(self, handover, settings, name, secured)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(talk, wanted.host, wanted.port, reuse_port=True)
        _log.info("mail_listens", address=settings.smtp_listen, starttls=secured is not None)

    async def stop(self) -> None:
        """Stop listening and hang up; what was not answered with 250 the senders still have."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for talk in list(self._talks):
            talk.hang_up()
        await asyncio.sleep(0)

    # Who may speak

    def turned_away(self, peer: str) -> str:
        """Return the reply to a peer that may not speak, "" if it may."""
        if len(self._talks) >= PEERS_MAX or Counter(self._talks.values())[peer] >= PEERS_AN_ADDRESS_MAX:
            self._refusals.add("", peer, "too-many")
            return "421 4.7.0 Too many connections, come again later."
        if self._failed_lately(peer) >= FAILURES_MAX:
            self._refusals.add("", peer, "sign-in")
            return "421 4.7.0 Too many failed sign-ins, come again later."
        if not self._known(Relay(address=peer)):
            self._refusals.add("", peer, "stranger")
            return "554 5.7.1 This hub takes no mail from you."
        return ""

    def _known(self, relay: Relay) -> bool:
        return any(
            isinstance(each.source, Mailing)
            and (each.source.admits(relay, each.context) or each.source.offers_sign_in(each.context))
            for each in self._entrances.by_path.values()
        )

    def failed(self, peer: str) -> None:
        """Remember a failed sign-in."""
        self._refusals.add("", peer, "sign-in")
        if peer not in self._failures and len(self._failures) >= FAILING_MAX:
            del self._failures[next(iter(self._failures))]
        self._failures.setdefault(peer, []).append(time.monotonic())

    def _failed_lately(self, peer: str) -> int:
        since = time.monotonic() - FAILURES_SECONDS
        lately = [each for each in self._failures.pop(peer, []) if each > since][-FAILURES_MAX:]
        if lately:
            self._failures[peer] = lately
        return len(lately)

    def refused(self, peer: str, reply: str) -> None:
        """Count what the protocol refuses by itself."""
        if reason := REFUSED.get(reply[:3]):
            self._refusals.add("", peer, reason)

    def begun(self, talk: _Talk, peer: str) -> None:
        """Count a conversation."""
        self._talks[talk] = peer
        metrics.MAIL_PEERS.set(len(self._talks))

    def ended(self, talk: _Talk) -> None:
        """Forget a conversation."""
        self._talks.pop(talk, None)
        metrics.MAIL_PEERS.set(len(self._talks))


class _Talk(SMTP):
    """One peer's conversation. Who may not speak is told so in place of the greeting."""

    line_length_limit = 65_536
    """More than RFC 5321 allows: a mail with one long line is better read than refused."""

    def __init__(
        self, door: Mails, handover: Handover, settings: Settings, name: str, secured: ssl.SSLContext | None
    ) -> None:
        self._door = door
        self._away = False
        super().__init__(
            handover,
            data_size_limit=settings.intake_bytes_max,
            enable_SMTPUTF8=True,
            hostname=name,
            ident="Isthmus",
            tls_context=secured,
            require_starttls=settings.smtp_require_tls,
            timeout=SILENCE_SECONDS_MAX,
            authenticator=handover.sign_in,
            auth_require_tls=True,
            command_call_limit=dict(COMMANDS_MAX),
            loop=asyncio.get_running_loop(),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or turn away. It is called again when STARTTLS is through."""
        if self.session is None:
            peer = str((transport.get_extra_info("peername") or ("",))[0])
            if reply := self._door.turned_away(peer):
                self._away = True
                writing = cast("asyncio.WriteTransport", transport)
                writing.write(f"{reply}\r\n".encode())
                writing.close()
                return
            self._door.begun(self, peer)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End the conversation."""
        self._door.ended(self)
        if not self._away and self.transport is not None:
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """Take note that the peer says no more."""
        return False if self._away else super().eof_received()

    async def push(self, status: Any) -> None:
        """Reply. What was decided by the handover was counted there."""
        if isinstance(status, str) and not isinstance(status, Counted) and self.session is not None:
            self._door.refused(str((self.session.peer or ("",))[0]), status)
        await super().push(status)

    def hang_up(self) -> None:
        """Close the connection in the middle of whatever is said."""
        transport: Any = self.transport
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.abort()
