"""A small IMAP server with injectable faults: the part of RFC 3501 that a reader of mail needs, with IDLE, MOVE, UIDPLUS.

It keeps mails in folders with UIDs that only grow, tells idling clients what arrives, and can be rebuilt (another
UIDVALIDITY, other UIDs). Faults are those of the kit, translated: a `STATUS` is the refusal of a command with the code
of RFC 5530 that means the same; `path` narrows a fault to a command (LOGIN, SELECT, SEARCH, FETCH, STORE, MOVE, IDLE).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from isthmus.connectors.kit.faults import Fault, FaultQueue, Planned

CAPABILITIES = ("IMAP4rev1", "IDLE", "MOVE", "UIDPLUS", "ID")
_CODES = {
    302: "NO [REFERRAL imap://elsewhere.example.test/]",
    400: "BAD",
    401: "NO [AUTHENTICATIONFAILED]",
    403: "NO [NOPERM]",
    404: "NO [NONEXISTENT]",
    429: "NO [LIMIT]",
    500: "NO [SERVERBUG]",
}
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\(([^)]*)\)|(\S+)')
_PARTIAL = re.compile(r"BODY\.PEEK\[\]<0\.(\d+)>")
_READ = frozenset({"LOGIN", "SELECT", "EXAMINE", "SEARCH", "FETCH", "IDLE", "STATUS"})


@dataclass
class Stored:
    """One mail in a folder."""

    uid: int
    raw: bytes
    arrived: dt.datetime
    flags: set[str] = field(default_factory=set)


@dataclass
class Folder:
    """Mails by UID, ascending."""

    validity: int
    next_uid: int = 1
    mails: list[Stored] = field(default_factory=list)

    def add(self, raw: bytes, arrived: dt.datetime) -> Stored:
        """Append a mail."""
        made = Stored(self.next_uid, raw, arrived)
        self.next_uid += 1
        self.mails.append(made)
        return made

    def rebuild(self) -> None:
        """Begin anew, as a server does whose index was lost: the same mails under other UIDs."""
        self.validity += 1
        for number, each in enumerate(self.mails, start=1):
            each.uid = number
        self.next_uid = len(self.mails) + 1


@dataclass(eq=False)
class Talk:
    """One client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    signed_in: bool = False
    folder: Folder | None = None
    idling: str = ""

    async def say(self, *lines: str | bytes) -> None:
        """Send lines."""
        for each in lines:
            self.writer.write(each.encode() if isinstance(each, str) else each)
            self.writer.write(b"\r\n")
        await self.writer.drain()


class ImapServer:
    """The server of one account. `noted` is called with each command that counts, its method and its status."""

    def __init__(
        self,
        user: str,
        password: str,
        faults: FaultQueue,
        noted: Callable[[str, str, int], None],
        admits: Callable[[], bool] = lambda: True,
    ) -> None:
        self.user, self.password = user, password
        self.folders = {"INBOX": Folder(validity=1_700_000_000), "Done": Folder(validity=1_700_000_001)}
        self.capabilities = CAPABILITIES
        self.read_only = False
        self.tls: ssl.SSLContext | None = None
        self._faults, self._noted, self._admits = faults, noted, admits
        self._server: asyncio.Server | None = None
        self._talks: dict[Talk, asyncio.Task[None]] = {}

    async def start(self, port: int, host: str) -> tuple[str, int]:
        """Listen; return the address."""
        self._server = await asyncio.start_server(self._accept, host, port, ssl=self.tls, limit=1_000_000)
        found = self._server.sockets[0].getsockname()
        return str(found[0]), int(found[1])

    async def stop(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._talks.values()):
            task.cancel()
        await asyncio.gather(*self._talks.values(), return_exceptions=True)

    def idlers(self) -> list[Talk]:
        """Return the connections that idle."""
        return [each for each in self._talks if each.idling]

    def break_off(self) -> None:
        """Break every connection off, as a restart does."""
        for each in self._talks:
            each.writer.transport.abort()

    def deliver(self, raw: bytes, *, folder: str = "INBOX", arrived: dt.datetime | None = None) -> int:
        """Put a mail into a folder and tell who idles there; return its UID."""
        place = self.folders[folder]
        text = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        made = place.add(text, arrived or dt.datetime.now(dt.UTC))
        for each in self._talks:
            if each.idling and each.folder is place and not each.writer.is_closing():
                each.writer.write(b"* %d EXISTS\r\n" % len(place.mails))
        return made.uid

    # Conversation -------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk, task = Talk(reader, writer), asyncio.current_task()
        assert task is not None  # noqa: S101 - the server runs every client in a task of its own
        self._talks[talk] = task
        try:
            await talk.say(f"* OK [CAPABILITY {' '.join(self.capabilities)}] simulated")
            while line := (await reader.readline()).decode("utf-8", "replace").strip():
                tag, _, rest = line.partition(" ")
                if talk.idling:
                    done, talk.idling = talk.idling, ""
                    await talk.say(
                        f"{done} OK done" if tag.upper() == "DONE" else f"{done} BAD expected DONE"
                    )
                elif not await self._obey(talk, tag, rest):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._talks.pop(talk, None)
            writer.close()

    async def _obey(self, talk: Talk, tag: str, rest: str) -> bool:
        """Carry one command out; return whether the conversation goes on."""
        words = _words(rest)
        verb = words.pop(0).upper() if words else ""
        if verb == "UID" and words:
            verb = words.pop(0).upper()
        plain = {"CAPABILITY": self._capability, "NOOP": self._noop, "ID": self._id}
        if verb == "LOGOUT":
            await talk.say("* BYE", f"{tag} OK bye")
            return False
        if verb in plain:
            await plain[verb](talk, tag)
            return True
        counted = {
            "LOGIN": self._login, "SELECT": self._select, "EXAMINE": self._examine, "SEARCH": self._search,
            "FETCH": self._fetch, "STORE": self._store, "MOVE": self._move, "COPY": self._copy,
            "EXPUNGE": self._expunge, "IDLE": self._idle, "STATUS": self._status,
        }  # fmt: skip
        if verb not in counted:
            await talk.say(f"{tag} BAD unknown")
            return True
        return await self._counted(talk, tag, verb, words, counted[verb])

    async def _counted(
        self,
        talk: Talk,
        tag: str,
        verb: str,
        words: list[str],
        act: Callable[[Talk, str, list[str]], Awaitable[None]],
    ) -> bool:
        method = "GET" if verb in _READ else "POST"
        planned = self._faults.take(method, verb)
        fault = planned.fault if planned is not None else None
        if planned is not None and fault is Fault.STATUS:
            self._noted(method, verb, planned.status)
            await talk.say(f"{tag} {_CODES.get(planned.status, 'NO [UNAVAILABLE]')} injected")
            return True
        self._noted(method, verb, 200)
        if fault is Fault.RESET_BEFORE_COMMIT:
            talk.writer.transport.abort()
            return False
        if fault is Fault.LYING_200:
            await talk.say(f"{tag} OK done")
            return True
        if planned is not None and fault is Fault.SLOW:
            await asyncio.sleep(planned.delay_seconds)
        if planned is not None and await _spoilt(talk, planned):
            return False
        if verb != "LOGIN" and not talk.signed_in:
            await talk.say(f"{tag} NO sign in first")
            return True
        await act(talk, tag, words)
        if fault is Fault.RESET_AFTER_COMMIT:
            talk.writer.transport.abort()
            return False
        return True

    # Commands -----------------------------------------------------------------------------------------

    async def _capability(self, talk: Talk, tag: str) -> None:
        await talk.say(f"* CAPABILITY {' '.join(self.capabilities)}", f"{tag} OK done")

    async def _noop(self, talk: Talk, tag: str) -> None:
        await talk.say(f"{tag} OK done")

    async def _id(self, talk: Talk, tag: str) -> None:
        await talk.say('* ID ("name" "Simulated" "version" "1")', f"{tag} OK done")

    async def _login(self, talk: Talk, tag: str, words: list[str]) -> None:
        talk.signed_in = words[:2] == [self.user, self.password] and self._admits()
        await talk.say(f"{tag} OK signed in" if talk.signed_in else f"{tag} NO [AUTHENTICATIONFAILED] no")

    async def _select(self, talk: Talk, tag: str, words: list[str]) -> None:
        await self._opened(talk, tag, words, writing=not self.read_only)

    async def _examine(self, talk: Talk, tag: str, words: list[str]) -> None:
        await self._opened(talk, tag, words, writing=False)

    async def _opened(self, talk: Talk, tag: str, words: list[str], *, writing: bool) -> None:
        place = talk.folder = self.folders.get(words[0])
        if place is None:
            await talk.say(f"{tag} NO [NONEXISTENT] no such folder")
            return
        await talk.say(
            r"* FLAGS (\Seen \Deleted)", f"* {len(place.mails)} EXISTS", "* 0 RECENT",
            f"* OK [UIDVALIDITY {place.validity}] valid", f"* OK [UIDNEXT {place.next_uid}] next",
            f"{tag} OK [{'READ-WRITE' if writing else 'READ-ONLY'}] opened",
        )  # fmt: skip

    async def _status(self, talk: Talk, tag: str, words: list[str]) -> None:
        place = self.folders.get(words[0])
        if place is None:
            await talk.say(f"{tag} NO [NONEXISTENT] no such folder")
            return
        await talk.say(f'* STATUS "{words[0]}" (UIDVALIDITY {place.validity})', f"{tag} OK done")

    async def _search(self, talk: Talk, tag: str, words: list[str]) -> None:
        place, found = _folder(talk), list(_folder(talk).mails)
        if words[0].upper() == "UID":
            found = _chosen(place, words[1])
        elif words[0].upper() == "SINCE":
            since = dt.datetime.strptime(words[1], "%d-%b-%Y").date()  # noqa: DTZ007 - a day, by its name
            found = [each for each in found if each.arrived.date() >= since]
        await talk.say(f"* SEARCH {' '.join(str(each.uid) for each in found)}".rstrip(), f"{tag} OK done")

    async def _fetch(self, talk: Talk, tag: str, words: list[str]) -> None:
        place, items = _folder(talk), words[1].upper()
        partial = _PARTIAL.search(items)
        for each in _chosen(place, words[0]):
            parts = [f"UID {each.uid}".encode()]
            if "RFC822.SIZE" in items:
                parts.append(f"RFC822.SIZE {len(each.raw)}".encode())
            if "INTERNALDATE" in items:
                parts.append(f'INTERNALDATE "{each.arrived:%d-%b-%Y %H:%M:%S} +0000"'.encode())
            if partial is not None:
                text = each.raw[: int(partial[1])]
                parts.append(b"BODY[]<0> {%d}\r\n%s" % (len(text), text))
            number = place.mails.index(each) + 1
            await talk.say(b"* %d FETCH (%s)" % (number, b" ".join(parts)))
        await talk.say(f"{tag} OK done")

    async def _store(self, talk: Talk, tag: str, words: list[str]) -> None:
        for each in _chosen(_folder(talk), words[0]):
            each.flags.update(words[2].split())
        await talk.say(f"{tag} OK done")

    async def _copy(self, talk: Talk, tag: str, words: list[str]) -> None:
        target = self.folders.get(words[1])
        if target is None:
            await talk.say(f"{tag} NO [TRYCREATE] no such folder")
            return
        for each in _chosen(_folder(talk), words[0]):
            target.add(each.raw, each.arrived)
        await talk.say(f"{tag} OK done")

    async def _move(self, talk: Talk, tag: str, words: list[str]) -> None:
        if words[1] not in self.folders:
            await talk.say(f"{tag} NO [TRYCREATE] no such folder")
            return
        place = _folder(talk)
        for each in _chosen(place, words[0]):
            self.folders[words[1]].add(each.raw, each.arrived)
            place.mails.remove(each)
        await talk.say(f"{tag} OK done")

    async def _expunge(self, talk: Talk, tag: str, words: list[str]) -> None:
        place = _folder(talk)
        for each in _chosen(place, words[0]):
            if "\\Deleted" in each.flags:
                place.mails.remove(each)
        await talk.say(f"{tag} OK done")

    async def _idle(self, talk: Talk, tag: str, words: list[str]) -> None:
        del words
        talk.idling = tag
        await talk.say("+ idling")


async def _spoilt(talk: Talk, planned: Planned) -> bool:
    """Answer as a fault has it that leaves no conversation; return whether it was one."""
    if planned.fault is Fault.BAD_JSON:
        await talk.say("<html><title>Service unavailable</title></html>")
    elif planned.fault is Fault.OVERSIZED:
        await talk.say("* 1 FETCH (BODY[]<0> {400000000}")
    elif planned.fault not in {Fault.TIMEOUT_AFTER_COMMIT, Fault.COMMIT_AFTER_TIMEOUT}:
        return False
    await asyncio.sleep(planned.hang_seconds)
    talk.writer.transport.abort()
    return True


def _folder(talk: Talk) -> Folder:
    if talk.folder is None:
        raise ConnectionError("no folder is open")
    return talk.folder


def _chosen(place: Folder, uids: str) -> list[Stored]:
    """Return the mails of a UID set; `n:*` always names the last one."""
    wanted: set[int] = set()
    last = place.mails[-1].uid if place.mails else 0
    for part in uids.split(","):
        low, _, high = part.partition(":")
        first = int(low)
        end = last if high == "*" else int(high or low)
        wanted |= {each.uid for each in place.mails if min(first, end) <= each.uid <= max(first, end)}
    return [each for each in place.mails if each.uid in wanted]


def _words(text: str) -> list[str]:
    """Return the words of a command; quoted strings and parenthesised lists are one word."""
    return [
        re.sub(r"\\(.)", r"\1", found[1])
        if found[1] is not None
        else (found[2] if found[2] is not None else found[3])
        for found in _WORD.finditer(text)
    ]
