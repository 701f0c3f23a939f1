"""Hands mail to a submission server: one connection per message, in a thread, everything bounded in time.

Until the server has the whole text nothing has happened. What breaks between the last line and its answer is
unknown, and a mail server cannot be asked: then the hub takes another way instead of sending twice.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any, cast

from isthmus.connectors.kit import doubt, pacing
from isthmus.connectors.kit.address_guard import AddressRefusedError, connected
from isthmus.connectors.kit.ports import Context, Probe, Written
from isthmus.connectors.smtp import mapping
from isthmus.connectors.smtp.config import SmtpConfig
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json

_BUSY = frozenset({421, 450, 451, 452})


class MailClient:
    """The client of one submission server."""

    def __init__(self, context: Context) -> None:
        self._config = cast("SmtpConfig", context.config)
        self._connection = context.connection
        self._password = context.secret("password")
        self._seconds = context.limits.request_seconds_max
        self._private = context.allow_private_addresses

    async def close(self) -> None:
        """Nothing is held between messages."""

    async def probe(self) -> Probe:
        """Greet the server and sign in, without sending anything."""
        await pacing.wait()
        return await asyncio.to_thread(self._probed)

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Hand one mail over; `ref.key` is its Message-ID."""
        if doubt.exists():
            raise Rejected(
                "The mail server may have the message already, and it cannot be asked.",
                remedy="Give the channel a fall-back, or look at the server's log.",
            )
        sent = mapping.mail(message, idempotency_key, self._config, at=time.time())
        await pacing.wait()
        said = await asyncio.to_thread(self._send, sent)
        ref = ExternalRef(
            connection=self._connection, kind="message", key=str(sent["Message-ID"]), label=said
        )
        return Written(ref=ref)

    # In a thread

    def _probed(self) -> Probe:
        server = self._opened()
        try:
            offered = ", ".join(sorted(server.esmtp_features))
        finally:
            _leave(server)
        return Probe(product="SMTP", version="", notes=(f"Offers: {offered}",) if offered else ())

    def _send(self, mail: EmailMessage) -> str:
        server = self._opened()
        asked = "MAIL"
        try:
            recipient = str(mail["To"])
            self._expect(server.mail(self._config.sender), asked)
            asked = "RCPT"
            self._expect(server.rcpt(recipient), asked)
            asked = "DATA"
            code, text = server.data(mail.as_bytes())
            self._expect((code, text), "DATA")
            # The server's words hold its name for the message, never the recipient: they are evidence.
            return text.decode("utf-8", "replace")[:200]
        except IsthmusError:
            raise
        except smtplib.SMTPDataError as cause:  # refused before the text went out
            self._expect((cause.smtp_code, b""), "DATA")
            raise
        except (OSError, smtplib.SMTPException) as cause:
            where = self._where()
            if asked == "DATA":
                raise UnknownOutcome(
                    f"{where} broke off while it took the message.", remedy="Another way is taken."
                ) from cause
            raise Retryable(f"{where} broke off.", remedy="It is tried again by itself.") from cause
        finally:
            _leave(server)

    def _expect(self, answer: tuple[int, bytes], asked: str) -> None:
        code = answer[0]
        if 200 <= code < 400:
            return
        text = f"{self._where()} answered {code} to {asked}."
        if code in _BUSY or 400 <= code < 500:
            raise Retryable(text, remedy="It is tried again by itself.")
        if code in {530, 535}:
            raise NeedsOperator(
                text, remedy="The account or its password is wrong: renew the connection's secret."
            )
        raise Rejected(text, remedy="The server does not take this sender or recipient.")

    def _opened(self) -> smtplib.SMTP:
        config = self._config
        try:
            made = self._connected()
            if config.security == "starttls":
                made.starttls(context=ssl.create_default_context())
            made.ehlo_or_helo_if_needed()
            if config.user:
                made.login(config.user, self._password)
        except AddressRefusedError as cause:
            raise NeedsOperator(
                f"{self._where()}: the address is inside a private or local network.",
                remedy="Use a public address, or allow private addresses for this installation.",
            ) from cause
        except smtplib.SMTPAuthenticationError:
            # `from None`: the library's error quotes what the server said about the credential.
            raise NeedsOperator(
                f"{self._where()} refuses the account.", remedy="Renew the connection's user and password."
            ) from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as cause:
            # Hung up during the handshake, as a server does that is being restarted.
            raise self._unconnected() from cause
        except ssl.SSLError as cause:
            raise NeedsOperator(
                f"{self._where()}: the TLS certificate is not trusted, or TLS is not spoken there.",
                remedy="Install the issuing authority's certificate, or correct port and security.",
            ) from cause
        except smtplib.SMTPNotSupportedError as cause:
            raise NeedsOperator(
                f"{self._where()} offers neither STARTTLS nor sign-in as the connection asks.",
                remedy="Set security to tls or none, or leave out the user.",
            ) from cause
        except smtplib.SMTPResponseException as cause:
            self._expect((cause.smtp_code, b""), "our greeting")
            raise
        except (OSError, smtplib.SMTPException) as cause:
            raise self._unconnected() from cause
        return made

    def _connected(self) -> smtplib.SMTP:
        config, private = self._config, self._private
        name = mapping.domain_of(config)

        class Guarded(smtplib.SMTP):
            """Decides on the address before it is connected to."""

            def _get_socket(self, host: str, port: int, timeout: float) -> Any:
                made = connected(host, port, timeout, private=private)
                if config.security != "tls":
                    return made
                try:
                    return ssl.create_default_context().wrap_socket(made, server_hostname=host)
                except BaseException:
                    made.close()
                    raise

        return Guarded(config.host, config.port, local_hostname=name, timeout=self._seconds)

    def _unconnected(self) -> Retryable:
        return Retryable(f"{self._where()}: no connection.", remedy="It is tried again by itself.")

    def _where(self) -> str:
        return f"{self._config.host}:{self._config.port}"


def _leave(server: smtplib.SMTP) -> None:
    """End a conversation; the message has been answered before, so no fault here means anything."""
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()
