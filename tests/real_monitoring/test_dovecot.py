"""A real Dovecot: heard by IDLE, moved once the hub has it, rebuilt while the hub was dead."""

from __future__ import annotations

import pytest
from tests.real_monitoring.bench import Bench
from tests.real_monitoring.dovecot import Dovecot
from tests.real_monitoring.systems import until

from isthmus.connectors.mail.simulator import WHOLE, MailSimulator

pytestmark = pytest.mark.real_monitoring


def letter(number: int) -> bytes:
    return MailSimulator().write("Help", WHOLE.format(number))


def titles(bench: Bench) -> list[str]:
    found = bench.hub.ada.get("/incidents", limit="200")["items"]
    return sorted(each["title"] for each in found if each["title"].startswith("Problem"))


def test_new_mail_is_an_incident_long_before_the_poll_is_due(bench: Bench, dovecot: Dovecot) -> None:
    for number in (1, 2):
        dovecot.save(letter(number))
        until("the incident", lambda number=number: f"Problem {number}" in titles(bench), seconds=30)
    assert titles(bench) == ["Problem 1", "Problem 2"]
    until("the move", lambda: (dovecot.count("INBOX"), dovecot.count("Archive")) == (0, 2))


def test_a_mailbox_that_was_rebuilt_while_the_hub_was_dead_is_read_without_a_double(
    bench: Bench, dovecot: Dovecot
) -> None:
    stranger = MailSimulator().write("Hello", "x", sender="eve@other.test")
    dovecot.save(stranger)
    dovecot.save(letter(3))
    until("the incident", lambda: "Problem 3" in titles(bench), seconds=30)
    bench.hub.hub.kill()
    repeated = letter(4)
    for each in (repeated, repeated, letter(5)):
        dovecot.save(each)
    dovecot.rebuild()
    bench.hub.hub.start()
    bench.hub.fresh()
    until("what came meanwhile", lambda: "Problem 5" in titles(bench), seconds=60)
    until("all but the stranger's mail moved", lambda: dovecot.count("INBOX") == 1)
    assert titles(bench) == [f"Problem {number}" for number in range(1, 6)]
