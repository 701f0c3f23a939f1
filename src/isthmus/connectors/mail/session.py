"""One connection to an IMAP server, with IMAPClient: bounded in time and size, guarded, faults as reactions.

Everything here blocks, and is called from one thread at a time (`client.py` gives each session its own); `abort` may
be called from any thread and ends whatever is waited for.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from imapclient import IMAPClient

from isthmus.connectors.kit.address_guard import connected
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.mailbox import Envelope
from isthmus.kernel.errors import NeedsOperator, Retryable

HEARD_SECONDS: Final = 20.0
"""How long one look for news waits at most."""
OVERHEAD_BYTES: Final = 65_536
_NEWS = (b"EXISTS", b"RECENT")


class AnswerTooLargeError(OSError):
    """The server announces more bytes than anything we asked for can have."""


class Session:
    """A mailbox, signed in to and selected. `bytes_max` bounds any single answer, `seconds` any single wait."""

    def __init__(
        self, config: MailConfig, password: str, *, seconds: float, bytes_max: int, private: bool
    ) -> None:
        self._config, self._password = config, password
        self._seconds, self._bytes_max, self._private = seconds, bytes_max, private
        self._imap: _Client | None = None
        self._idling = False

    def open(self) -> None:
        """Connect, secure the connection and sign in."""
        config = self._config
        trust = ssl.create_default_context(cadata=config.imap_ca or None)
        imap = self._imap = _Client(
            config.imap_host,
            config.imap_port,
            trust=trust if config.imap_security == "tls" else None,
            seconds=self._seconds,
            bytes_max=self._bytes_max + OVERHEAD_BYTES,
            private=self._private,
        )
        if config.imap_security == "starttls":
            imap.starttls(trust)
        if imap.has_capability("LOGINDISABLED"):
            raise NeedsOperator(
                f"{self.where} takes no password over this connection.",
                remedy="Set imap_security to tls or starttls.",
            )
        # LOGIN takes plain words only; what holds more goes as AUTHENTICATE PLAIN, in UTF-8.
        plain = re.fullmatch(r"[\w.@+=~-]+", config.imap_user, re.ASCII) and self._password.isascii()
        (imap.login if plain else imap.plain_login)(config.imap_user, self._password)

    def close(self) -> None:
        """Take leave; no fault here means anything."""
        imap, self._imap = self._imap, None
        if imap is not None:
            # Whoever idles is expected to say DONE first; hanging up is understood as well.
            if not self._idling:
                with contextlib.suppress(Exception):
                    imap.logout()
            with contextlib.suppress(Exception):
                imap.shutdown()

    def abort(self) -> None:
        """Break the connection off: whoever waits for the server gets an error at once."""
        imap = self._imap
        if imap is not None:
            with contextlib.suppress(OSError, AttributeError):
                # Not the TLS socket's own `shutdown`: it takes the session away from under the waiting thread.
                socket.socket.shutdown(imap.socket(), socket.SHUT_RDWR)

    @property
    def where(self) -> str:
        """The server, for people."""
        return f"{self._config.imap_host}:{self._config.imap_port}"

    # Reading ------------------------------------------------------------------------------------------

    def product(self) -> tuple[str, str]:
        """Return what the server calls itself, and the protocol that it speaks."""
        imap = self._held()
        spoken = next((each for each in ("IMAP4rev2", "IMAP4rev1") if imap.has_capability(each)), "IMAP4")
        named: Mapping[bytes, bytes] = {}
        if imap.has_capability("ID"):
            given = imap.id_({"name": "Isthmus"})
            named = _pairs(given[0] if given else ())
        return named.get(b"name", b"IMAP").decode("ascii", "replace")[:60], spoken

    def can(self, capability: str) -> bool:
        """Return whether the server offers an extension."""
        return bool(self._held().has_capability(capability))

    def select(self, *, writing: bool) -> int:
        """Open the folder; return its UIDVALIDITY."""
        found = self._held().select_folder(self._config.imap_folder, readonly=not writing)
        validity = found.get(b"UIDVALIDITY")
        if not isinstance(validity, int):
            raise NeedsOperator(
                f"{self.where} gives the folder no UIDVALIDITY, so new mail cannot be told from old.",
                remedy="Use a folder of a server that keeps UIDs (RFC 3501).",
            )
        return validity

    def look_at(self, folder: str) -> None:
        """Raise unless another folder exists and may be seen."""
        self._held().folder_status(folder, ["UIDVALIDITY"])

    def newer(self, read: int, since: dt.date) -> list[int]:
        """Return the UIDs above `read`, ascending; of a folder that was never read, only what arrived `since`."""
        criteria: list[Any] = ["UID", f"{read + 1}:*"] if read else ["SINCE", since]
        # `n:*` always names the last mail, also where its UID is lower.
        return sorted(each for each in self._held().search(criteria) if each > read)

    def envelopes(self, uids: Sequence[int]) -> list[Envelope]:
        """Return size and arrival of mails, ascending; those that are gone meanwhile are left out."""
        found = self._held().fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
        return [
            Envelope(uid=uid, size=found[uid][b"RFC822.SIZE"], arrived=_moment(found[uid]))
            for uid in sorted(found)
            if b"RFC822.SIZE" in found[uid]
        ]

    def texts(self, uids: Sequence[int], bytes_max: int) -> dict[int, bytes]:
        """Return the first `bytes_max` bytes of mails, without marking them as read."""
        found = self._held().fetch(uids, [f"BODY.PEEK[]<0.{bytes_max}>"])
        texts = {
            uid: next((value for name, value in parts.items() if name.startswith(b"BODY[")), None)
            for uid, parts in found.items()
        }
        return {uid: text for uid, text in texts.items() if isinstance(text, bytes)}

    # Marking ------------------------------------------------------------------------------------------

    def mark_seen(self, uids: Sequence[int]) -> None:
        """Mark mails as read."""
        self._held().add_flags(uids, [b"\\Seen"], silent=True)

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails to another folder; those that are gone already are no error."""
        imap = self._held()
        if imap.has_capability("MOVE"):
            imap.move(uids, folder)
            return
        imap.copy(uids, folder)
        imap.add_flags(uids, [b"\\Deleted"], silent=True)
        # Without UIDPLUS the removal is left to whoever tidies the folder: a plain EXPUNGE removes others' mail too.
        if imap.has_capability("UIDPLUS"):
            imap.uid_expunge(uids)

    # Listening ----------------------------------------------------------------------------------------

    def idle(self) -> None:
        """Have the server tell what happens (RFC 2177)."""
        self._idling = True
        self._held().idle()

    def heard(self, seconds: float) -> bool:
        """Wait for at most `seconds` (and `HEARD_SECONDS`) for news; return whether mail arrived."""
        imap, wait = self._held(), min(seconds, HEARD_SECONDS)
        began = time.monotonic()
        told = imap.idle_check(timeout=wait)
        if any(each[:1] == (b"BYE",) for each in told):
            raise Retryable(f"{self.where} ends the connection.", remedy="It is opened again by itself.")
        if not told and time.monotonic() - began < wait / 2:
            # Readable, and nothing to read: the other end is gone.
            raise Retryable(f"{self.where} hung up.", remedy="It is opened again by itself.")
        return any(len(each) > 1 and each[1] in _NEWS for each in told)

    def done(self) -> None:
        """End IDLE."""
        self._held().idle_done()
        self._idling = False

    def _held(self) -> _Client:
        if self._imap is None:
            raise Retryable(f"{self.where} is not connected.", remedy="It is opened again by itself.")
        return self._imap


class _Client(IMAPClient):
    """The library's client, on a connection of ours."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        trust: ssl.SSLContext | None,
        seconds: float,
        bytes_max: int,
        private: bool,
    ) -> None:
        self._made = (host, port, trust, seconds, bytes_max, private)
        super().__init__(host, port, ssl=trust is not None, ssl_context=trust, timeout=seconds)
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - the library's name
        return _Connection(*self._made)


class _Connection(imaplib.IMAP4):
    """Decides on the address that is really connected to, and takes no answer beyond a limit."""

    def __init__(
        self,
        host: str,
        port: int,
        trust: ssl.SSLContext | None,
        seconds: float,
        bytes_max: int,
        private: bool,  # noqa: FBT001 - passed on as it came
    ) -> None:
        self._trust, self._bytes_max, self._private = trust, bytes_max, private
        super().__init__(host, port, timeout=seconds)

    def read(self, size: int) -> bytes:
        """Read a literal."""
        if size > self._bytes_max:
            raise AnswerTooLargeError(f"An answer of {size} bytes exceeds {self._bytes_max}.")
        return super().read(size)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        made = connected(self.host, self.port, timeout, private=self._private)
        if self._trust is None:
            return made
        try:
            return self._trust.wrap_socket(made, server_hostname=self.host)
        except BaseException:
            made.close()
            raise


def _moment(parts: Mapping[bytes, Any]) -> dt.datetime | None:
    found = parts.get(b"INTERNALDATE")
    return found.astimezone(dt.UTC) if isinstance(found, dt.datetime) and found.tzinfo else None


def _pairs(listed: Sequence[Any]) -> dict[bytes, bytes]:
    items = list(listed) if isinstance(listed, (list, tuple)) else []
    pairs = zip(items[::2], items[1::2], strict=False)
    return {
        name.lower(): value for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)
    }
