"""A small mail server with injectable faults: it speaks enough SMTP for a submission, and keeps what it took.

Faults are those of the kit, translated: a `STATUS` of 4xx or 5xx is the reply to MAIL, `path` may name RCPT or
DATA instead; the resets and time-outs happen around the end of the text.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import time
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from isthmus.connectors.kit.faults import Fault, Planned
from isthmus.connectors.kit.mailing import own_id
from isthmus.connectors.kit.simulator import Call, Simulator

_REPLIES = {
    429: 451,
    503: 421,
    500: 451,
    502: 451,
    504: 451,
    401: 530,
    403: 550,
    400: 554,
    404: 550,
    422: 554,
}
"""HTTP-shaped faults as a mail server says them."""


class MailSimulator(Simulator):
    """`received` are the mails that were taken, parsed."""

    name = "Mail server simulator"
    speaks_http = False
    token = "simulated-mail-password"  # noqa: S105 - the fake server's own

    def __init__(self) -> None:
        super().__init__()
        self.recipient = "ada@example.test"
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[Any]] = set()

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to this server."""
        split = urlsplit(url)
        return {
            "host": split.hostname or "127.0.0.1", "port": split.port or 25, "security": "none", "sender": "hub@example.test",
            "user": "hub", "password": {"secret": "env:SMTP_PASSWORD"},
        }  # fmt: skip

    def secrets(self) -> dict[str, str]:
        """Return the account's password."""
        return {"password": self.token}

    @property
    def received(self) -> list[EmailMessage]:
        """Return the mails, oldest first."""
        return [
            email.message_from_string(item["raw"], _class=EmailMessage, policy=email.policy.default)
            for _, item in self.shelf("message").all()
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Return the mails as plain values, oldest first."""
        return [
            {"to": each["To"], "title": each["Subject"], "id": each["Message-ID"], "text": _text(each)}
            for each in self.received
        ]

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the mails whose id follows from a key."""
        del kind
        wanted = own_id(correlation, "example.test")
        return [each["Message-ID"] for each in self.received if each["Message-ID"] == wanted]

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Start serving; the address is written like a URL, as other simulators do."""
        self._server = await asyncio.start_server(self._talk, host, port, limit=10_000_000)
        found = self._server.sockets[0].getsockname()
        return f"smtp://{found[0]}:{found[1]}"

    async def stop(self) -> None:
        """Stop serving and break off what is under way."""
        for each in self._talks:
            each.cancel()
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._server.wait_closed(), 1)
            self._server = None
        await self.outbox.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._talks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._conversation(reader, writer)
        writer.close()
        if task is not None:
            self._talks.discard(task)

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 simulated ESMTP")
        planned: Planned | None = None
        while line := (await reader.readline()).decode("utf-8", "replace").strip():
            verb = line[:4].upper()
            if verb in {"EHLO", "HELO"}:
                writer.write(b"250-simulated\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n")
                await writer.drain()
            elif verb == "AUTH":
                await say("535 5.7.8 no" if self.revoked or not _knows(line, self.token) else "235 2.7.0 yes")
            elif verb in {"MAIL", "RCPT"}:
                planned = planned or self.faults.take("POST", verb)
                code = _refusal(planned)
                self._note(verb, code or 250)
                await say(f"{code} no" if code else "250 2.1.0 yes")
                if code:
                    planned = None
            elif verb == "DATA":
                await say("354 go on")
                text = (await reader.readuntil(b"\r\n.\r\n"))[:-5]
                if await self._end_of_text(text, planned, writer):
                    return
                await say(f"250 2.0.0 taken as {len(self.shelf('message'))}")
                planned = None
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 2.0.0 yes")

    async def _end_of_text(self, text: bytes, planned: Planned | None, writer: asyncio.StreamWriter) -> bool:
        """Take the text as the fault has it; return whether the conversation is over."""
        fault = planned.fault if planned is not None else None
        if fault is Fault.RESET_BEFORE_COMMIT:
            writer.transport.abort()
            return True
        raw = text.replace(b"\r\n..", b"\r\n.").decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        if fault is not Fault.LYING_200:
            self.shelf("message").put(f"m{self.shelf('message').next_number()}", {"raw": raw})
        self._note("DATA", 250)
        if fault is Fault.TIMEOUT_AFTER_COMMIT and planned is not None:
            await asyncio.sleep(planned.hang_seconds)
        if fault in {Fault.RESET_AFTER_COMMIT, Fault.TIMEOUT_AFTER_COMMIT, Fault.BAD_JSON}:
            writer.transport.abort()
            return True
        return False

    def _note(self, verb: str, code: int) -> None:
        self.calls.append(
            Call(method="POST", path=verb, query={}, headers={}, body=b"", status=code, at=time.time())
        )


def _refusal(planned: Planned | None) -> int:
    return (
        _REPLIES.get(planned.status, planned.status)
        if planned is not None and planned.fault is Fault.STATUS
        else 0
    )


def _knows(line: str, password: str) -> bool:
    import base64

    try:
        return password.encode() in base64.b64decode(line.split()[2])
    except (IndexError, ValueError):
        return False


def _text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content())
