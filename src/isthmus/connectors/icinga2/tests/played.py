"""A client of Icinga 2 at its simulator, and what the tests ask it."""

import asyncio
from pathlib import Path

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
QUEUE = "web-01.example.test!queue-depth"
HOST = "web-01.example.test"
PLAY = Play(INSTALLED, "icinga")
running, play = PLAY.running, PLAY.play


async def told(pages, count):
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += (await anext(pages)).observations
    return found


def states(found):
    return [(each.external.key, each.values["state"], each.values.get("severity")) for each in found]
