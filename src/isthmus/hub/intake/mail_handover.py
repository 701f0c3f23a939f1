"""What a mail server says, and what it is answered: the hooks of aiosmtpd, one transaction after the other.

One transaction goes to one connection: a recipient of another one is asked to come again (452), as RFC 5321 has it for
recipients beyond a limit, so that one answer is true for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate
from typing import Final, NamedTuple, Protocol, cast

import structlog
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from isthmus.connectors.kit.mailing import Mailing, Relay
from isthmus.hub import metrics
from isthmus.hub.intake.appender import Appender
from isthmus.hub.intake.entrance import Entrance, Entrances
from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.message import MAIL, Draft
from isthmus.hub.intake.refusals import Refusals
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import SECOND
from isthmus.ledger.ids import Source

_log = structlog.get_logger(__name__)

RECIPIENTS_MAX: Final = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")


class Refusal(NamedTuple):
    """Why something is not taken: the reply, and connection and reason for the counters."""

    reply: str
    connection: str
    reason: str


class Counted(str):
    """A reply whose refusal was counted already, with its connection."""

    __slots__ = ()


class Guard(Protocol):
    """Who remembers failed sign-ins."""

    def failed(self, peer: str) -> None:
        """Remember one."""
        ...


class Handover:
    """The handler of every conversation of a listener; it holds nothing of any of them."""

    def __init__(
        self,
        entrances: Entrances,
        appender: Callable[[], Appender],
        refusals: Refusals,
        source: Source,
        guard: Guard,
        name: str,
    ) -> None:
        self._entrances = entrances
        self._appender = appender
        self._refusals = refusals
        self._source = source
        self._guard = guard
        self._name = name

    def sign_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        """Find the connections whose account this is."""
        del server, envelope, mechanism
        user, password = (
            (_text(given.login), _text(given.password)) if isinstance(given, LoginPassword) else ("", "")
        )
        names = frozenset(
            each.connection
            for each, source in self._mailing()
            if source.signs_in(user, password, each.context)
        )
        if not names:
            self._guard.failed(_peer(session))
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=names)

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender. One with control characters would write headers of its own into our trace lines (`_draft`),
        above those that the proof of a sender reads."""
        del server
        if _CONTROL.search(address):
            return self._refuse(session, Refusal("553 5.1.7 This is no address.", "", "protocol"))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient that is ours."""
        del server, options
        found = self._entrance(address, session)
        if isinstance(found, Refusal):
            return self._refuse(session, found)
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 Too many recipients, send the rest in another transaction."
        if envelope.rcpt_tos:
            first = self._entrance(envelope.rcpt_tos[0], session)
            if isinstance(first, Refusal) or first.connection != found.connection:
                return "452 4.5.3 This recipient is another connection's, send in another transaction."
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        """Make a mail durable, then say so."""
        del server
        entrance = self._entrance(
            envelope.rcpt_tos[0], session
        )  # Asked anew: the blueprint may have changed.
        if isinstance(entrance, Refusal):
            return self._refuse(session, entrance)
        content = cast("bytes", envelope.original_content)
        if len(content) > entrance.bytes_max:
            reply = f"552 5.3.4 The mail exceeds {entrance.bytes_max} bytes."
            return self._refuse(session, Refusal(reply, entrance.connection, "size"))
        draft = self._draft(entrance, session, envelope, content)
        if (refused := _judged(entrance, draft.body)) is not None:
            return self._refuse(session, refused)
        try:
            await self._appender().submit(entrance.connection, draft)
        except LogUnavailable:
            reply = "451 4.3.1 It cannot be kept now, send it again later."
            return self._refuse(session, Refusal(reply, entrance.connection, "unavailable"))
        metrics.MAIL_MESSAGES.labels(entrance.connection).inc()
        return f"250 2.0.0 Kept as {draft.id}"

    async def handle_exception(self, error: Exception) -> str:
        """Leave the mail with its sender after a fault of ours."""
        _log.exception("mail_failed", error=type(error).__name__)
        return "451 4.3.0 A fault of this hub, send it again later."

    def _draft(self, entrance: Entrance, session: Session, envelope: Envelope, content: bytes) -> Draft:
        """Return the message: the mail under the lines that RFC 5321 4.4 has its last server put on top."""
        now, made = self._source.now(), self._source.new_id()
        said = session.host_name or ""
        helo = said if _NAME.fullmatch(said) else "unknown"
        kind = "ESMTP" + ("S" if session.ssl else "") + ("A" if session.authenticated else "")
        sender = (envelope.mail_from or "").strip("<>")
        lines = [
            f"Return-Path: <{sender}>",
            *(f"Delivered-To: {each}" for each in envelope.rcpt_tos),
            f"Received: from {helo} ([{_peer(session)}])",
            f"\tby {self._name} with {kind} id {made};",
            f"\t{formatdate(now / SECOND)}",
        ]
        trace = "".join(f"{each}\r\n" for each in lines).encode("utf-8", "surrogateescape")
        return Draft(
            id=made,
            trace=self._source.new_trace(),
            received_at=now,
            door=MAIL,
            connector=entrance.stamp,
            headers=[],
            body=trace + content,
        )

    def _entrance(self, recipient: str, session: Session) -> Entrance | Refusal:
        """Return the one connection whose address this is and that admits the peer."""
        fitting = [each for each in self._mailing() if each[1].receives(recipient, each[0].context)]
        if not fitting:
            return Refusal("550 5.1.1 There is no such address here.", "", "recipient")
        relay = Relay(address=_peer(session))
        signed: frozenset[str] = session.auth_data or frozenset()
        admitted = [
            each
            for each, source in fitting
            if each.connection in signed or source.admits(relay, each.context)
        ]
        if not admitted:
            offered = any(source.offers_sign_in(each.context) for each, source in fitting)
            reply = (
                "530 5.7.0 Sign in first." if offered else "550 5.7.1 This address takes no mail from you."
            )
            return Refusal(reply, fitting[0][0].connection, "stranger")
        if len(admitted) > 1:
            return Refusal(
                "451 4.3.5 Two connections have this address.", admitted[0].connection, "ambiguous"
            )
        if admitted[0].closed:
            reply = "451 4.3.2 This connection cannot receive now, send it again later."
            return Refusal(reply, admitted[0].connection, "closed")
        return admitted[0]

    def _mailing(self) -> list[tuple[Entrance, Mailing]]:
        return [
            (each, each.source)
            for each in self._entrances.by_path.values()
            if isinstance(each.source, Mailing)
        ]

    def _refuse(self, session: Session, refused: Refusal) -> str:
        """Count a refusal; nothing of the mail is kept."""
        self._refusals.add(refused.connection, _peer(session), refused.reason)
        return Counted(refused.reply)


def _judged(entrance: Entrance, body: bytes) -> Refusal | None:
    """Return why a mail may not enter, None if it may."""
    source = cast("Mailing", entrance.source)
    try:
        refused = source.judge(body, entrance.context)
        entrance.source.check(body, {}, entrance.context)
    except Rejected as fault:
        return Refusal(f"554 5.6.0 {fault.text}", entrance.connection, "shape")
    if refused is None:
        return None
    return Refusal(f"550 5.7.1 {refused.text}", entrance.connection, refused.reason)


def _peer(session: Session) -> str:
    return str(session.peer[0]) if session.peer else ""


def _text(given: bytes) -> str:
    return given.decode("utf-8", "replace")
