"""The mailbox of a connection: new mail is fetched by polls, and IDLE rings for them (RFC 3501, RFC 2177).

A poll signs in, reads what lies above the stored mark page by page, and marks or moves a page only when it is resumed
behind it: then the hub has it on disk. What it owed when it was interrupted is in the mark, and done by the next one.
Mail that may not enter (`trust.py`) is counted and stays where it lies. The library blocks, so each session has a
thread of its own, which ends with it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from operator import methodcaller
from typing import TYPE_CHECKING, Any, TypeVar, cast

from isthmus.connectors.kit import pacing
from isthmus.connectors.kit.mailing import CUT_HEADER
from isthmus.connectors.kit.ports import Context, Fetched, Page, Probe
from isthmus.connectors.mail import mailbox
from isthmus.connectors.mail.config import MailConfig
from isthmus.connectors.mail.mailbox import Envelope, Mark
from isthmus.connectors.mail.trust import refused
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Rejected

if TYPE_CHECKING:
    from isthmus.connectors.mail.session import Session

T = TypeVar("T")
PAGE_BYTES_MAX = 8_000_000
ENVELOPES_MAX = 500
UID_HEADER = "x-isthmus-uid"
"""Where a mail lies, for whoever looks for it: folder, UIDVALIDITY and UID."""
CHANGE = "change the folder"
TARGET = "find the folder of imap_move_to"


class MailboxClient:
    """A `Poller` and `Streamer` over one mailbox."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._config = cast("MailConfig", context.config)
        self._open: list[Session] = []

    async def close(self) -> None:
        """Break off whatever is under way."""
        for session in list(self._open):
            session.abort()

    async def probe(self) -> Probe:
        """Sign in and look at the folder."""
        if not self._config.called:
            raise NeedsOperator(
                "This connection has no mailbox to read.",
                remedy="Give imap_host, or let mail be handed over.",
            )
        async with self._session() as box:
            product, spoken = await box.call("to say what it is", lambda each: each.product())
            await box.call("to open the folder", lambda each: each.select(writing=False))
            idle = box.held.can("IDLE")
            missing = await self._missing(box)
        notes = () if idle else ("It has no IDLE: set streaming: false, the polls go on.",)
        return Probe(product=product, version=spoken, missing_scopes=missing, notes=notes)

    async def _missing(self, box: _Box) -> tuple[str, ...]:
        """Return what the account may not do, changing nothing."""
        after, target = self._config.imap_after, self._config.imap_move_to
        looks: dict[str, Callable[[Any], object]] = {}
        if after != "leave":
            looks[CHANGE] = lambda each: each.select(writing=True)
        if after == "move":
            looks[TARGET] = lambda each: each.look_at(target)
        missing = []
        for wanted, look in looks.items():
            try:
                await box.call(f"to {wanted}", look)
            except NeedsOperator:
                missing.append(wanted)
        return tuple(missing)

    # Polls --------------------------------------------------------------------------------------------

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield the mail that arrived since, raw, in pages; see the module about what is marked when."""
        del kind
        writing = self._config.imap_after != "leave"
        async with self._session() as box:
            validity = await box.call("to open the folder", lambda each: each.select(writing=writing))
            today = dt.datetime.now(dt.UTC).date()
            mark = mailbox.begin(
                watermark, validity=validity, today=today, history_days=self._config.imap_history_days
            )
            mark, told = await self._settle(box, mark), watermark
            async for page, mark_behind in self._pages(box, mark, today):
                told = mark_behind.text()
                yield Page(messages=page.messages, refused=page.refused, watermark=told)
                mark = await self._settle(box, mark_behind)
            if mark.text() != told:
                yield Page(watermark=mark.text())

    async def _pages(self, box: _Box, mark: Mark, today: dt.date) -> AsyncIterator[tuple[Page, Mark]]:
        """Yield pages of new mail, each with the mark behind it."""
        limits, first = self._context.limits, mark
        uids = await box.call("for new mail", lambda each: each.newer(first.read, first.since))
        for start in range(0, len(uids), ENVELOPES_MAX):
            asked = uids[start : start + ENVELOPES_MAX]
            envelopes = await box.call("for sizes", methodcaller("envelopes", asked))
            for page in mailbox.pages(
                envelopes,
                count_max=limits.page_size_max,
                bytes_max=PAGE_BYTES_MAX,
                mail_bytes_max=limits.body_bytes_max,
            ):
                entered, refused, taken = await self._read(box, page, first.validity)
                owed = taken if self._config.imap_after != "leave" else []
                mark = mailbox.advanced(mailbox.settled(mark), page, owed, today)
                yield Page(messages=entered, refused=refused), mark

    async def _read(
        self, box: _Box, page: Sequence[Envelope], validity: int
    ) -> tuple[list[Fetched], list[str], list[int]]:
        """Return the mails of a page that enter, the reasons of those that do not, and the UIDs of those that do."""
        most = self._context.limits.body_bytes_max
        uids = [each.uid for each in page]
        texts = await box.call("for mail", lambda each: each.texts(uids, most))
        entered: list[Fetched] = []
        refused: list[str] = []
        taken: list[int] = []
        for each in page:
            text = texts.get(each.uid)
            if text is None:
                continue  # Somebody removed it meanwhile.
            if reason := self._refusal(text):
                refused.append(reason)
                continue
            headers = [(UID_HEADER, f"{self._config.imap_folder};{validity};{each.uid}")]
            if each.size > len(text) and len(text) >= most:
                headers.append((CUT_HEADER, str(each.size)))
            entered.append(Fetched(body=text, headers=headers))
            taken.append(each.uid)
        return entered, refused, taken

    def _refusal(self, text: bytes) -> str:
        try:
            found = refused(text, self._config)
        except Rejected:
            return "shape"
        return "" if found is None else found.reason

    async def _settle(self, box: _Box, mark: Mark) -> Mark:
        """Mark or move what the hub has; return the mark without it."""
        uids, config = list(mark.owed), self._config
        if uids and config.imap_after == "seen":
            await box.call("to mark mail as read", lambda each: each.mark_seen(uids))
        elif uids and config.imap_after == "move":
            await box.call("to move mail", lambda each: each.move(uids, config.imap_move_to))
        return mailbox.settled(mark)

    # IDLE ---------------------------------------------------------------------------------------------

    async def stream(self, kind: str) -> AsyncIterator[Page]:
        """Ring when mail arrives. It rings whenever IDLE begins too: nobody tells what came just before."""
        del kind
        async with self._session() as box:
            await box.call("to open the folder", lambda each: each.select(writing=False))
            while True:
                await box.call("for IDLE", lambda each: each.idle())
                yield Page(news=True)
                until = time.monotonic() + self._config.imap_idle_seconds
                while (left := until - time.monotonic()) > 0:
                    if await box.call("for news", methodcaller("heard", left), paced=False):
                        yield Page(news=True)
                await box.call("to end IDLE", lambda each: each.done())

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[_Box]:
        # Imported here: importing a connector must be quick, and the hub imports all of them.
        from isthmus.connectors.mail.session import Session

        limits = self._context.limits
        session = Session(
            self._config,
            self._context.secret("imap_password"),
            seconds=limits.request_seconds_max,
            bytes_max=limits.body_bytes_max,
            private=self._context.allow_private_addresses,
        )
        box = _Box(session)
        self._open.append(session)
        try:
            await box.call("to sign in", lambda each: each.open())
            yield box
        finally:
            self._open.remove(session)
            box.end()


class _Box:
    """A session with its thread. Whoever stops waiting for it breaks it off: the thread must not outlive the wait."""

    def __init__(self, session: Session) -> None:
        self.held = session
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="imap")

    async def call(self, asked: str, act: Callable[[Any], T], *, paced: bool = True) -> T:
        """Run `act(session)` in the session's thread; a fault becomes the error that calls for the right reaction."""
        if paced:
            await pacing.wait()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act, self.held)
        except asyncio.CancelledError:
            self.held.abort()
            raise
        except Exception as fault:
            from isthmus.connectors.mail.reactions import reaction

            found: IsthmusError = reaction(fault, self.held.where, asked)
            if found is fault:
                raise
            # The library's texts quote what the server said, and a server may repeat a password.
            raise found from None

    def end(self) -> None:
        """Take leave in the thread, without waiting for it."""
        self._thread.submit(self.held.close)
        self._thread.shutdown(wait=False)
