"""Against a real SMTP server in this process (aiosmtpd): what it receives, and how its refusals are met."""

import asyncio
import email
import email.policy
import socket
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from isthmus.connectors.kit import doubt, registry
from isthmus.connectors.kit.conformance.playing import hanging_up
from isthmus.connectors.kit.mailing import own_id
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable

# The library warns of what this test wants: sign-in on the loopback without TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
INSTALLED = registry.at(Path(__file__).parents[1])
MESSAGE = {
    "recipient": "ada@example.test", "title": "INC-000007: Priorität 1", "text": "Zürich – ありがとう\n.\nfine", "severity": "critical",
    "facts": [["Due", "14:30"]], "link": "https://hub.example.test/incidents/1", "thread": "", "locale": "en",
    "actions": [{"id": "acknowledge", "label": "I take it", "url": "https://hub.example.test/a/1?b=c&d=e"}],
}  # fmt: skip


class Mailbox:
    """Takes what it is given; `answers` are its next replies to RCPT."""

    def __init__(self):
        self.got, self.answers = [], []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - the library's name
        said = self.answers.pop(0) if self.answers else "250 OK"
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the library's name
        self.got.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return "250 queued as 42"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served():
    mailbox, port = Mailbox(), free_port()
    running = Controller(
        mailbox, hostname="127.0.0.1", port=port, auth_required=True, auth_require_tls=False,
        authenticator=lambda _server, _session, _envelope, _mechanism, data: AuthResult(success=data.password == b"secret", handled=False),
    )  # fmt: skip
    running.start()
    yield mailbox, port
    running.stop()


def client(port, password="secret", **more):
    config = {
        "host": "127.0.0.1", "port": port, "security": "none", "sender": "hub@example.test", "user": "hub",
        "password": {"secret": "env:P"}, **more,
    }  # fmt: skip
    private = more.pop("private", True)
    config.pop("private", None)
    return INSTALLED.connector.open(
        INSTALLED.context("mail", config, secrets={"password": password}, allow_private_addresses=private)
    )


def send(port, key="key-1", password="secret", **more):
    message = {**MESSAGE, **more}

    async def act():
        doubt.raised(happened_perhaps=False)
        return await client(port, password).notify(message=message, idempotency_key=key)

    return asyncio.run(act())


def test_the_mail_is_whole_automatic_and_named_by_our_key(served):
    mailbox, port = served
    written = send(port)
    ((sender, recipients, raw),) = mailbox.got
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert (sender, recipients) == ("hub@example.test", ["ada@example.test"])
    assert mail["Subject"] == "INC-000007: Priorität 1"
    assert mail["Message-ID"] == written.ref.key == own_id("key-1", "example.test")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "queued as 42" in written.ref.label
    plain = mail.get_body(("plain",)).get_content()
    assert "ありがとう\n.\nfine" in plain.replace("\r\n", "\n"), "a line with a dot alone survives"
    assert "I take it: https://hub.example.test/a/1?b=c&d=e" in plain
    assert 'href="https://hub.example.test/a/1?b=c&amp;d=e"' in mail.get_body(("html",)).get_content()


def test_a_later_mail_about_the_same_follows_the_first(served):
    mailbox, port = served
    first = send(port)
    send(port, "key-2", thread=first.ref.key)
    mail = email.message_from_bytes(mailbox.got[1][2], policy=email.policy.default)
    assert mail["In-Reply-To"] == first.ref.key


@pytest.mark.parametrize(
    ("answer", "reaction"), [("450 later", Retryable), ("550 nobody", Rejected), ("452 full", Retryable)]
)
def test_the_servers_answer_decides_the_reaction(served, answer, reaction):
    mailbox, port = served
    mailbox.answers.append(answer)
    with pytest.raises(reaction) as caught:
        send(port)
    assert "ada@" not in str(caught.value), "no recipient in an error"
    assert mailbox.got == []


def test_a_wrong_password_needs_an_operator_and_is_not_shown(served):
    _, port = served
    with pytest.raises(NeedsOperator) as caught:
        send(port, password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_starttls_is_demanded_not_hoped_for(served):
    _, port = served

    async def act():
        await client(port, security="starttls").notify(message=MESSAGE, idempotency_key="k")

    with pytest.raises(NeedsOperator):
        asyncio.run(act())


def test_a_private_address_is_refused_where_they_are_ruled_out(served):
    mailbox, port = served

    async def act():
        await client(port, private=False).notify(message=MESSAGE, idempotency_key="k")

    with pytest.raises(NeedsOperator, match="private"):
        asyncio.run(act())
    assert mailbox.got == []


def test_an_address_that_is_refused_is_not_even_connected_to():
    async def act(port):
        with pytest.raises(NeedsOperator, match="private"):
            await client(port, private=False).probe()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        asyncio.run(act(server.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_server_that_hangs_up_during_the_handshake_is_tried_again():
    async def act():
        async with hanging_up() as port:
            with pytest.raises(Retryable):
                await client(port, security="tls").probe()

    asyncio.run(act())


@pytest.mark.parametrize(
    "recipient", ["", "ada", "ada@x.test, ben@x.test", "ada@x.test\nBcc: all@x.test", "Ada <ada@x.test>"]
)
def test_a_recipient_is_one_plain_address(served, recipient):
    mailbox, port = served
    with pytest.raises(Rejected):
        send(port, recipient=recipient)
    assert mailbox.got == []


def test_a_header_cannot_be_smuggled_in_by_a_title(served):
    mailbox, port = served
    send(port, title="Down\r\nBcc: all@example.test")
    mail = email.message_from_bytes(mailbox.got[0][2], policy=email.policy.default)
    assert mail["Bcc"] is None
    assert mailbox.got[0][1] == ["ada@example.test"]


def test_nobody_listening_is_tried_again():
    with pytest.raises(Retryable):
        send(1)
