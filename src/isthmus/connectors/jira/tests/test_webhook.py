import asyncio
import time

import msgspec

from isthmus.connectors.jira.tests.connected import connected
from isthmus.connectors.jira.webhook import JiraSource
from isthmus.kernel.instant import Instant


def test_a_webhook_is_a_signed_hint_without_version_and_without_rich_text():
    async def act():
        async with connected() as (_, simulator):
            key = simulator.seed("incident", 1)[0]
            simulator.human_edit("incident", key, {"description": "*bold* words", "priority": "Low"})
            sent = simulator.outbox.pending[-1]
            body = msgspec.json.encode(sent.payload)
            headers = {name.lower(): value for name, value in sent.headers.items()} | simulator.sign(body)
            from pathlib import Path

            from isthmus.connectors.kit import registry

            context = registry.at(Path(__file__).parents[1]).context(
                "jira", simulator.config("http://jira.test"), secrets=simulator.secrets()
            )
            source, now = JiraSource(), Instant(time.time_ns() // 1000)
            assert source.authenticate(headers, body, context, now) is None
            assert source.authenticate(headers, body + b" ", context, now) is not None
            return source.parse(body, headers, context)[0], headers["x-atlassian-webhook-identifier"]

    seen, identifier = asyncio.run(act())
    assert seen.event_id == identifier
    assert seen.version == ""
    assert "description" not in seen.values
    assert seen.values["priority"] == "Low"
    assert seen.comments is None
