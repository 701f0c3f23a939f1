"""A fake mail server: it hands mail over as ours does, with what it found out about the sender, and keeps a mailbox.

Posting is carried by the test; the mailbox is a real IMAP server (`simulated_imap.py`), which mail is delivered to.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any
from urllib.parse import urlsplit

from isthmus.connectors.kit.simulator import Call, Simulator
from isthmus.connectors.mail.simulated_imap import ImapServer

OURS = "incidents@hub.example.test"
ALICE = "alice@example.test"
WHOLE = "Title: Problem {}\nImpact: high\nUrgency: low"


class MailSimulator(Simulator):
    """`write` composes a mail, `deliver` puts one into the mailbox. `sent` holds everything that was written."""

    name = "Mail simulator"
    speaks_http = False
    secret = "simulated-mail-server-token"  # noqa: S105 - the fake mail server's own token
    token = "simulated-mailbox-password"  # noqa: S105 - the fake mailbox's own password
    user = "incidents"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.imap = ImapServer(self.user, self.token, self.faults, self._note, lambda: not self.revoked)

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that believes mx.example.test about example.test, with the mailbox at `url`, if any."""
        split = urlsplit(url)
        mailbox = {
            "imap_host": split.hostname, "imap_port": split.port or 143, "imap_security": "none",
            "imap_user": self.user, "imap_password": {"secret": "env:IMAP_PASSWORD"},
        }  # fmt: skip
        return {
            "secret": {"secret": "env:MAIL_TOKEN"},
            "addresses": [OURS],
            "senders": ["@example.test"],
            "authority": "mx.example.test",
            "tokens": {"printing": {"category": "printing", "impact": "low", "urgency": "low"}},
            **(mailbox if url else {}),
        }

    def secrets(self) -> dict[str, str]:
        """Return the mail server's token and the mailbox's password."""
        return {"secret": self.secret, "imap_password": self.token}

    def sign(self, body: bytes) -> dict[str, str]:
        """Authenticate as the mail server does."""
        del body
        return {"Authorization": f"Bearer {self.secret}", "Content-Type": "message/rfc822"}

    def write(self, subject: str, text: str, *, to: str = OURS, sender: str = ALICE, **headers: str) -> bytes:
        """Write (and keep) one mail."""
        mail = EmailMessage()
        domain = sender.rpartition("@")[2]
        mail["Authentication-Results"] = f"mx.example.test; dmarc=pass header.from={domain}"
        mail["From"], mail["To"], mail["Subject"] = sender, to, subject
        mail["Date"] = format_datetime(dt.datetime.now(dt.UTC))
        mail["Message-ID"] = make_msgid(domain="example.test")
        for name, value in headers.items():
            del mail[name.replace("_", "-")]
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        self.sent.append(mail.as_bytes())
        return self.sent[-1]

    def deliver(self, raw: bytes, **where: Any) -> str:
        """Put a mail into the mailbox; return its Message-ID."""
        self.imap.deliver(raw, **where)
        return str(message_from_bytes(raw, policy=policy.default)["Message-ID"]).strip("<>")

    def seed(self, kind: str, count: int) -> list[str]:
        """Deliver `count` mails that say everything."""
        del kind
        return [self.deliver(self.write(f"Problem {n}", WHOLE.format(n))) for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Answer a mail."""
        del kind, values
        self.deliver(self.write("Re: Problem", "It is still so.", In_Reply_To=f"<{key}>"))

    def break_streams(self) -> None:
        """Break every connection to the mailbox off."""
        self.imap.break_off()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Start the mailbox; the address is written like a URL, as other simulators do."""
        found, taken = await self.imap.start(port, host)
        return f"imap://{found}:{taken}"

    async def stop(self) -> None:
        """Stop serving."""
        await self.imap.stop()
        await self.outbox.close()

    def _note(self, method: str, verb: str, status: int) -> None:
        self.calls.append(
            Call(method=method, path=verb, query={}, headers={}, body=b"", status=status, at=time.time())
        )
        if verb == "FETCH":
            while self.after_read:
                self.after_read.pop(0)()
