"""`kill -9` while mail comes in by SMTP and by IMAP: what was answered with 250, or lies in the mailbox, is one incident."""

from __future__ import annotations

import itertools
import os
import random
import smtplib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.stories.served import Served, free_port, served

from isthmus.connectors.mail.simulator import OURS, MailSimulator

KILLS = int(os.environ.get("ISTHMUS_CHAOS_KILLS", "4"))
MAILS_EACH = 8
SETTLE_SECONDS = 120
"""What was claimed at several deaths in a row keeps its claim, and an unknown outcome is waited out before a look."""
PAUSE_SECONDS = 0.5
TEXT = "Title: {}\nImpact: high\nUrgency: 1"

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(
        os.environ.get("ISTHMUS_TEST_STORE", "sqlite") != "sqlite",
        reason="the served hub is tested on the embedded store",
    ),
]


def hand_over(port: int, raw: bytes) -> None:
    """Send a mail as a queue does: again and again until it is taken. A reply that was lost sends it twice."""
    until = time.monotonic() + 90
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5) as server:
                server.sendmail("alice@example.test", [OURS], raw)
                return
        except (OSError, smtplib.SMTPException):
            assert time.monotonic() < until, "the hub takes no mail any more"
            time.sleep(0.05)


def titles(hub: Served) -> list[str]:
    return sorted(each["title"] for each in hub.ada.all("/incidents"))


def test_killed_between_receiving_and_storing_no_mail_is_lost_and_none_is_doubled(
    _template: Path,  # noqa: PT019 - the directory is copied
    _server: Any,  # noqa: PT019 - its address is
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("ISTHMUS_SMTP_LISTEN", f"127.0.0.1:{port}")
    with served(
        _template, _server, tmp_path / "data", systems=("desk",), polling={"seconds_min": 1, "seconds_max": 2}
    ) as hub:
        desk = hub.sections["connections"]["desk"]
        desk["config"] |= {"smtp_peers": ["127.0.0.1/32"], "imap_after": "move", "imap_move_to": "Done"}
        flow = {"owner": "Desk lead", "system_of_record": "hub", "connections": {"desk": {"direction": "in"}}}
        hub.apply(connections={"desk": desk}, sync={"incident": flow})
        writer, mailbox = MailSimulator(), hub.partners.all["desk"].inside

        over = threading.Event()
        sent: list[str] = []

        def by_smtp(chance: random.Random) -> None:
            for title in named("smtp"):
                hand_over(port, writer.write("Help", TEXT.format(title)))
                sent.append(title)
                time.sleep(chance.uniform(0, PAUSE_SECONDS))

        def by_imap(chance: random.Random) -> None:
            for title in named("imap"):
                raw = writer.write("Help", TEXT.format(title))
                hub.partners.inside(lambda raw=raw: mailbox.deliver(raw))
                sent.append(title)
                time.sleep(chance.uniform(0, PAUSE_SECONDS))

        def named(way: str) -> Iterator[str]:
            """Mails without end as long as the hub is killed: whoever stops before never meets a death."""
            for number in itertools.count():
                if number >= MAILS_EACH and over.is_set():
                    return
                yield f"{way} {number:03}"

        with ThreadPoolExecutor(2) as senders:
            at_work = [
                senders.submit(each, random.Random(hub.random.random())) for each in (by_smtp, by_imap)
            ]
            try:
                for _ in range(max(2, min(KILLS // 2, 10))):
                    time.sleep(hub.random.uniform(0.2, 2.0))
                    hub.hub.kill()
                    hub.hub.start()
            finally:
                over.set()
            for each in at_work:
                each.result()
        hub.fresh()
        wanted = sorted(sent)
        hub.until("every mail", lambda: set(titles(hub)) >= set(wanted), seconds=SETTLE_SECONDS)
        hub.until("an empty inbox", lambda: not mailbox.imap.folders["INBOX"].mails, seconds=SETTLE_SECONDS)
        assert titles(hub) == wanted
