"""Framing, formats and senders: whatever way a stream is chopped, the same messages; who fits best may speak."""

import contextlib
import logging
import logging.handlers
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.listening import Peer
from isthmus.connectors.syslog.framing import cut
from isthmus.connectors.syslog.message import read
from isthmus.kernel.errors import Rejected

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=60)


def context(**config):
    simulator = INSTALLED.connector.simulator()
    return INSTALLED.context("hosts", {**simulator.config(""), **config}, secrets=simulator.secrets())


def framed(body, counted):
    return b"%d %s" % (len(body), body) if counted else body + b"\n"


@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=8), st.lists(st.integers(1, 40), max_size=60))
def test_however_a_stream_is_chopped_the_same_messages_come_out(texts, sizes):
    wanted = [f"<34>1 - h a - - - {text}".encode() for text, _ in texts]
    stream = b"".join(framed(body, counted) for body, (_, counted) in zip(wanted, texts, strict=True))
    found, rest = [], b""
    while stream:
        size = sizes.pop() if sizes else len(stream)
        part, stream = stream[:size], stream[size:]
        each = cut(rest + part, 10_000)
        assert not each.broken
        found += each.messages
        rest = each.rest
    assert found == wanted
    assert rest == b""


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_framing_or_the_reader(raw):
    for each in cut(raw, 100).messages:
        with contextlib.suppress(Rejected):
            assert read(each)["severity"]


def test_a_message_that_is_too_long_breaks_the_stream():
    assert cut(b"101 <34>", 100).broken
    assert cut(b"<" * 101, 100).broken
    assert not cut(b"100 <34>", 100).broken


@given(st.integers(0, 191), TEXTS)
def test_facility_and_severity_are_the_two_parts_of_the_priority(priority, text):
    told = read(f"<{priority}>1 - host app - - - {text}".encode())
    assert told["level"] == priority % 8
    assert "time" not in told
    assert told.get("message", "") == text.strip("\r\n\0").removeprefix("\ufeff") or text[-1:] in "\r\n\0"


def test_the_old_format_keeps_its_time_as_text_because_it_has_neither_year_nor_zone():
    told = read(b"<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed for lonvick on /dev/pts/8")
    assert told["time"] == "Oct 11 22:14:15"
    assert (told["host"], told["app"], told["procid"]) == ("mymachine", "su", "77")
    assert told["message"].startswith("'su root' failed")
    found = SOURCE.parse(b"<131>Nov 20 14:57:24 web-02 raid: Degraded", {}, context())
    assert found[0].occurred_at is None


@pytest.mark.parametrize("text", ["just text", "tag: text", "Use the BFG!"])
def test_the_old_format_without_header_is_a_message(text):
    assert read(f"<34>{text}".encode())["message"] == text.removeprefix("tag: ")


def test_what_python_itself_sends_is_read():
    record = logging.LogRecord("app", logging.ERROR, "f", 1, "Degraded array", None, None)
    sent: list[bytes] = []

    class Caught(logging.handlers.SysLogHandler):
        def createSocket(self):  # noqa: N802 - the name is Python's
            class Socket:
                def sendto(self, data, address):
                    sent.append(data)

                sendall = sent.append

                def close(self):
                    pass

            self.socket, self.unixsocket = Socket(), False

    handler = Caught(("192.0.2.1", 514))
    handler.emit(record)
    told = read(sent[0])
    assert (told["severity"], told["message"]) == ("error", "Degraded array")


def test_a_counted_message_may_hold_lines_and_stays_one():
    body = b"<131>1 - web-04 raid - - - Degraded\nin two lines"
    streamed = SOURCE.parse(body, {"x-isthmus-peer": "192.0.2.1"}, context())
    assert [each.values["summary"] for each in streamed] == ["Degraded\nin two lines"]
    posted = SOURCE.parse(
        framed(body, True) + framed(body.replace(b"web-04", b"web-05"), True), {}, context()
    )
    assert [each.external.key for each in posted] == ["web-04/raid", "web-05/raid"]


def test_a_certificate_goes_before_a_name_and_a_name_before_an_address():
    fingerprint = "ab" * 32
    here = context(
        certificates=[fingerprint.upper(), "relay.example.test"], sources=["192.0.2.0/24", "2001:db8::/32"]
    )

    def rated(**peer):
        return SOURCE.admits(Peer(**peer), here)

    by_certificate = rated(address="198.51.100.1", certificate=fingerprint)
    by_name = rated(address="198.51.100.1", certificate="00", names=("relay.example.test",))
    by_address = rated(address="192.0.2.7")
    assert by_certificate > by_name > by_address > 0
    assert rated(address="2001:db8::1") > 0
    assert rated(address="::ffff:192.0.2.7") > 0
    for stranger in ("198.51.100.1", "2001:db9::1", "", "not an address"):
        assert rated(address=stranger) == 0
    assert rated(address="198.51.100.1", certificate="00", names=("other.example.test",)) == 0


def test_the_narrowest_network_is_the_best():
    peer = Peer(address="192.0.2.7")
    assert SOURCE.admits(peer, context(sources=["192.0.2.7"])) > SOURCE.admits(
        peer, context(sources=["192.0.2.0/24"])
    )


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"sources": ["192.0.2.1/24"]}, "no address or network"),
        ({"sources": [], "certificates": [], "secret": None}, "nobody may send"),
    ],
)
def test_a_wrong_configuration_is_refused_when_it_is_saved(config, says):
    with pytest.raises(Rejected) as caught:
        context(**config)
    assert says in str(caught.value)
