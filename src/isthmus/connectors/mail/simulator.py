"""A fake mail server that hands mail over as ours does, with what it found out about the sender."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from isthmus.connectors.kit.simulator import Simulator

OURS = "incidents@hub.example.test"
ALICE = "alice@example.test"


class MailSimulator(Simulator):
    """Writes mails; `sent` holds them. A test carries them to the door."""

    name = "Mail simulator"
    secret = "simulated-mail-server-token"  # noqa: S105 - the fake mail server's own token

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that believes mx.example.test about example.test."""
        del url
        return {
            "secret": {"secret": "env:MAIL_TOKEN"},
            "addresses": [OURS],
            "senders": ["@example.test"],
            "authority": "mx.example.test",
            "tokens": {"printing": {"category": "printing", "impact": "low", "urgency": "low"}},
        }

    def secrets(self) -> dict[str, str]:
        """Return the mail server's token."""
        return {"secret": self.secret}

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
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = make_msgid(domain="example.test")
        for name, value in headers.items():
            del mail[name.replace("_", "-")]
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        self.sent.append(mail.as_bytes())
        return self.sent[-1]

    def seed(self, kind: str, count: int) -> list[str]:
        """Write `count` mails that say everything."""
        del kind
        return [
            self.write(f"Problem {n}", f"Title: Problem {n}\nImpact: high\nUrgency: low").decode()
            for n in range(count)
        ]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Answer a mail."""
        del kind, values
        self.write("Re: Problem", "It is still so.", In_Reply_To=f"<{key}>")
