"""What people see in Slack, which word calls for which reaction, and who may press a button."""

import asyncio
import json
from pathlib import Path

import pytest

from isthmus.connectors.kit import doubt, registry
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.connectors.kit.reactions import Answer
from isthmus.connectors.slack import mapping
from isthmus.connectors.slack.client import _checked
from isthmus.connectors.slack.webhook import encoded
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, Retryable
from isthmus.kernel.signature import SCHEMES

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
MESSAGE = {
    "recipient": "C0OPS", "title": "INC-000007", "text": "<!channel> <@U1> a & b", "facts": [["Due", "<now>"]], "severity": "error",
    "link": "https://hub.example.test/i/1", "thread": "", "locale": "de",
    "actions": [{"id": "acknowledge", "label": "Ich übernehme", "url": "https://hub.example.test/a/1"}],
}  # fmt: skip


def play(act):
    async def run():
        simulator = INSTALLED.connector.simulator()
        url = await simulator.start()
        context = INSTALLED.context(
            "slack", simulator.config(url), secrets=simulator.secrets(), allow_private_addresses=True
        )
        client = INSTALLED.connector.open(context)
        doubt.raised(happened_perhaps=False)
        try:
            return await act(simulator, client)
        finally:
            await client.close()
            await simulator.stop()

    return asyncio.run(run())


def test_no_mention_hides_in_a_message():
    sent = json.dumps(mapping.body(MESSAGE, "k"))
    assert "<!channel>" not in sent
    assert "&lt;!channel&gt;" in sent


def test_buttons_carry_our_key_and_the_link_opens():
    (actions,) = (each for each in mapping.body(MESSAGE, "k-1")["blocks"] if each["type"] == "actions")
    first, link = actions["elements"]
    assert (first["action_id"], first["value"], first["text"]["text"]) == (
        "acknowledge",
        "k-1",
        "Ich übernehme",
    )
    assert (link["url"], link["text"]["text"]) == ("https://hub.example.test/i/1", "Öffnen")


@pytest.mark.parametrize(
    ("word", "reaction"),
    [
        ("invalid_auth", NeedsOperator), ("missing_scope", NeedsOperator), ("not_in_channel", NeedsOperator),
        ("channel_not_found", NotFound), ("is_archived", NotFound), ("ratelimited", Retryable), ("msg_too_long", Rejected),
        ("invalid_blocks", Rejected), ("a_word_of_next_year", Rejected),
    ],
)  # fmt: skip
def test_the_word_decides_the_reaction_though_the_status_is_200(word, reaction):
    body = json.dumps({"ok": False, "error": word}).encode()
    with pytest.raises(reaction) as caught:
        _checked(Answer(status=200, headers={}, body=body, where="POST slack"), writes=True)
    assert caught.value.remedy


def test_a_message_to_a_person_is_found_in_their_conversation():
    async def act(simulator, client):
        message = {**MESSAGE, "recipient": "U0ADA"}
        first = await client.notify(message=message, idempotency_key="k")
        doubt.raised(happened_perhaps=True)
        again = await client.notify(message=message, idempotency_key="k")
        return first, again, simulator.messages()

    first, again, messages = play(act)
    assert first.ref == again.ref
    assert first.ref.key.startswith("D0ADA/")
    assert len(messages) == 1


def test_in_doubt_without_the_history_scope_nothing_is_sent_twice():
    async def act(simulator, client):
        await client.notify(message=MESSAGE, idempotency_key="k")
        simulator.history = False
        doubt.raised(happened_perhaps=True)
        with pytest.raises(Rejected, match="cannot be looked at"):
            await client.notify(message=MESSAGE, idempotency_key="k")
        return simulator.messages()

    assert len(play(act)) == 1


def test_a_reply_in_a_thread_is_found_there():
    async def act(simulator, client):
        first = await client.notify(message=MESSAGE, idempotency_key="k-1")
        reply = {**MESSAGE, "thread": first.ref.key}
        await client.notify(message=reply, idempotency_key="k-2")
        doubt.raised(happened_perhaps=True)
        await client.notify(message=reply, idempotency_key="k-2")
        return simulator.messages()

    first, reply = play(act)
    assert reply["thread_ts"] == first["ts"]


def test_a_probe_names_the_missing_scope():
    async def act(simulator, client):
        return await client.probe()

    probe = play(act)
    assert (probe.product, probe.missing_scopes) == ("Slack", ())


def context():
    simulator = INSTALLED.connector.simulator()
    return INSTALLED.context("slack", simulator.config("http://192.0.2.1:9"), secrets=simulator.secrets())


def test_only_a_fresh_signature_over_the_raw_form_enters():
    body = encoded({"type": "block_actions"})
    here = context()
    signed = SCHEMES["slack"].sign(body, here.secret("signing_secret"), NOW)
    assert SOURCE.authenticate(signed, body, here, NOW) is None
    assert SOURCE.authenticate(signed, body + b"&x=1", here, NOW).status == 401
    assert SOURCE.authenticate({}, body, here, NOW).status == 401
    assert SOURCE.authenticate(signed, body, here, NOW + 301 * 1_000_000).reason == "late"


def test_the_door_answers_slack_with_a_bare_200():
    assert SOURCE.taken == 200
    assert INSTALLED.manifest.content_types == ("application/x-www-form-urlencoded",)
