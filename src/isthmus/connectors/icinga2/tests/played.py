"""A client of Icinga 2 at its simulator, and what the tests ask it."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

from isthmus.connectors.icinga2.simulator import Icinga2Simulator
from isthmus.connectors.kit import registry

FOLDER = Path(__file__).parents[1]


INSTALLED = registry.at(FOLDER)


QUEUE = "web-01.example.test!queue-depth"


HOST = "web-01.example.test"


@asynccontextmanager
async def running(**config):
    simulator = Icinga2Simulator()
    url = await simulator.start()
    context = INSTALLED.context(
        "icinga",
        {**simulator.config(url), **config},
        secrets=simulator.secrets(),
        allow_private_addresses=True,
    )
    client = INSTALLED.connector.open(context)
    try:
        yield simulator, client
    finally:
        await client.close()
        await simulator.stop()


def play(act, **config):
    async def run():
        async with running(**config) as (simulator, client):
            return await act(simulator, client)

    return asyncio.run(run())


async def poll(client, watermark="", kind="alert"):
    found = []
    async for page in client.changed_since(kind, watermark):
        found += page.observations
        watermark = page.watermark
    return found, watermark


async def told(pages, count):
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += (await anext(pages)).observations
    return found


def states(found):
    return [(each.external.key, each.values["state"], each.values.get("severity")) for each in found]
