"""Files of issues. Roundup keeps a file as an item of its own and lists it on the issue; it does not tell sizes."""

from __future__ import annotations

from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.roundup.client import Item, RoundupClient
from isthmus.connectors.roundup.mapping import ISSUE, instant_of
from isthmus.connectors.roundup.thread import Thread, linked
from isthmus.kernel.observation import ObservedAttachment

REMEMBERED_MAX = 2000


class Files:
    """The files of all issues of a connection. Remembers their rows: a file never changes."""

    def __init__(self, client: RoundupClient, thread: Thread) -> None:
        self._client, self._thread = client, thread
        self._known: dict[str, ObservedAttachment] = {}

    async def of(self, item: Item) -> list[ObservedAttachment]:
        """Return the files of an issue, oldest first."""
        return [await self._row(key) for key, _ in linked(item.attributes.get("files"))]

    async def fetch(self, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file."""
        return await self._client.file_content(key, bytes_max=bytes_max)

    async def attach(self, issue: str, file: File) -> ObservedAttachment:
        """Make the file, then list it on the issue, on its latest state."""
        key = await self._client.add_file(file)
        await self._thread.add(issue, "files", key)
        return await self._row(key)

    async def listed(self, issue: str) -> list[ObservedAttachment]:
        """Read an issue and return its files."""
        return await self.of(await self._client.item(ISSUE, issue))

    async def _row(self, key: str) -> ObservedAttachment:
        if key not in self._known:
            if len(self._known) >= REMEMBERED_MAX:
                del self._known[next(iter(self._known))]
            found = (await self._client.item("file", key)).attributes
            creator = found.get("creator")
            self._known[key] = ObservedAttachment(
                key=key,
                filename=str(found.get("name") or f"file{key}"),
                size=-1,
                content_type=str(found.get("type") or ""),
                author=str(creator.get("username", "")) if isinstance(creator, dict) else "",
                at=instant_of(str(found["creation"])),
            )
        return self._known[key]
