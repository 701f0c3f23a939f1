"""A simulated mailbox over real IMAP, and clients of it as the hub makes them."""

import asyncio
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec

from isthmus.connectors.kit import registry

INSTALLED = registry.at(Path(__file__).parents[1])


class World:
    """A mailbox, and clients of it as the hub makes them."""

    def __init__(self, simulator, url):
        self.simulator, self.url, self.inbox = simulator, url, simulator.imap.folders["INBOX"]

    def client(self, *, private=True, secret="", limits=None, **config):
        secrets = self.simulator.secrets() | ({"imap_password": secret} if secret else {})
        chosen = {"page_size_max": 5, **(limits or {})}
        return INSTALLED.connector.open(
            INSTALLED.context(
                "desk",
                {**self.simulator.config(self.url), **config},
                secrets=secrets,
                limits=msgspec.structs.replace(INSTALLED.manifest.limits, **chosen),
                allow_private_addresses=private,
            )
        )

    async def poll(self, watermark="", *, pages=99, **config):
        """Return the Message-IDs that a poll brings, and its last watermark; stop after so many pages, as a crash does."""
        client, found = self.client(**config), []
        async with aclosing(client.changed_since("incident", watermark)) as told:
            async for page in told:
                found += [name_of(each.body) for each in page.messages]
                watermark = page.watermark
                pages -= 1
                if not pages:
                    break
        await client.close()
        return found, watermark


def name_of(raw):
    source = INSTALLED.connector.source
    return source.name(raw, {}, None)


@asynccontextmanager
async def world():
    simulator = INSTALLED.connector.simulator()
    made = World(simulator, await simulator.start())
    try:
        yield made
    finally:
        await simulator.stop()


def played(act):
    async def run():
        async with world() as made:
            return await act(made)

    return asyncio.run(run())
