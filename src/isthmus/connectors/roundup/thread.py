"""The messages of an issue: reading them sparingly, adding one, and writing the one that is the description."""

from __future__ import annotations

import asyncio

from isthmus.connectors.roundup.client import Item, RoundupClient
from isthmus.connectors.roundup.mapping import ISSUE, TEXT, Message, message_id, split
from isthmus.kernel.errors import Conflict
from isthmus.kernel.record import Json

REMEMBERED_MAX = 2000
ATTEMPTS_MAX = 4
_PAUSE_SECONDS = 0.05


class Thread:
    """The messages of all issues of a connection. Keeps copies that cannot have changed unnoticed."""

    def __init__(self, client: RoundupClient, username: str) -> None:
        self._client, self._username = client, username
        self._known: dict[str, Message] = {}

    async def messages(self, item: Item) -> list[Message]:
        """Return the messages of an issue, oldest first."""
        rows = linked(item.attributes.get("messages"))
        return [await self._message(key, stamp) for key, stamp in rows]

    async def describe(self, issue: str, text: str) -> None:
        """Write the description: into its message, or into a new one if the issue has none."""
        first, _ = split(await self.messages(await self._client.item(ISSUE, issue)))
        if first is None:
            message = await self._client.add_message(text, message_id(TEXT, issue), self._username)
            await self.attach(issue, message)
            return
        held = await self._client.item("msg", first.id)
        await self._client.patch("msg", first.id, held.etag, {"content": text})
        self._known.pop(first.id, None)

    async def attach(self, issue: str, message: str) -> None:
        """Add a message to an issue, on its latest state."""
        await self.add(issue, "messages", message)

    async def add(self, issue: str, name: str, added: str) -> None:
        """Add an item to a list of an issue (`messages`, `files`), on its latest state.

        The status is written along, unchanged: the tracker's own detector would otherwise set it to
        chatting, and our comment would reopen a resolved issue.
        """
        for attempt in range(ATTEMPTS_MAX):
            item = await self._client.item(ISSUE, issue)
            present: list[Json] = [key for key, _ in linked(item.attributes.get(name))]
            if added in present:
                return
            status = item.attributes.get("status")
            values: dict[str, Json] = {name: [*present, added]}
            if isinstance(status, dict):
                values["status"] = str(status["name"])
            try:
                await self._client.patch(ISSUE, issue, item.etag, values)
            except Conflict:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
            else:
                return

    async def _message(self, key: str, stamp: str) -> Message:
        known = self._known.get(key)
        if known is None or known.stamp != stamp:
            known = await self._client.message(key)
            self._known.pop(key, None)
            if known.stamp:
                if len(self._known) >= REMEMBERED_MAX:
                    del self._known[next(iter(self._known))]
                self._known[key] = known
        return known


def linked(held: Json) -> list[tuple[str, str]]:
    """Return (id, time of last change) of linked messages, oldest first: ids are counted upwards."""
    rows = [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []
    found = [(str(each["id"]), str(each.get("activity", ""))) for each in rows]
    return sorted(found, key=lambda pair: int(pair[0]))
