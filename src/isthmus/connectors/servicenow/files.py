"""Attachments of ServiceNow's records. A record's own version does not move when a file is added, so polls
ask for new files beside new versions."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.servicenow.client import FILE_PAGES_MAX, FILES_PAGE, Row, ServiceNowClient
from isthmus.connectors.servicenow.mapping import instant_of, raw
from isthmus.kernel.observation import ExternalRef, ObservedAttachment
from isthmus.kernel.record import Json

PARENTS_MAX = 1000
"""Records with new files that one poll looks at again; the rest are found by the next poll."""


class Files:
    """The files of one instance."""

    def __init__(self, client: ServiceNowClient) -> None:
        self._client = client

    async def of(self, keys: Sequence[str]) -> dict[str, list[ObservedAttachment]]:
        """Return the files of some records by their sys_id, oldest first."""
        found: dict[str, list[ObservedAttachment]] = {key: [] for key in keys}
        for start in range(0, len(keys), 50):
            ids = ",".join(keys[start : start + 50])
            for row in await self._all(f"table_sys_idIN{ids}^ORDERBYsys_created_on^ORDERBYsys_id"):
                parent = raw(row, "table_sys_id")
                if parent in found:
                    found[parent].append(observed(row))
        return found

    async def parents_since(self, table: str, since: str) -> tuple[list[str], str]:
        """Return the sys_ids of a table's records that got a file at or after `since` (UTC text), and the time
        of the newest of these files."""
        rows = await self._all(
            f"table_name={table}^sys_created_on>={since}^ORDERBYsys_created_on^ORDERBYsys_id"
        )
        parents: dict[str, None] = {}
        newest = ""
        for row in rows:
            if raw(row, "table_name") == table and len(parents) < PARENTS_MAX:
                parents[raw(row, "table_sys_id")] = None
                newest = raw(row, "sys_created_on")
        return list(parents), newest

    async def fetch(self, key: str, *, bytes_max: int) -> Download:
        """Return the content of one file."""
        return await self._client.file_content(key, bytes_max=bytes_max)

    async def attach(self, ref: ExternalRef, file: File) -> ObservedAttachment:
        """Add a file to a record."""
        return observed(await self._client.add_file(ref.kind, ref.key, file))

    async def _all(self, query: str) -> list[Row]:
        rows: list[Row] = []
        for page in range(FILE_PAGES_MAX):
            part = await self._client.files(query, offset=page * FILES_PAGE)
            rows += part.rows
            if not part.more:
                break
        return rows


def observed(row: Row) -> ObservedAttachment:
    """Return one attachment row as a file."""
    created = raw(row, "sys_created_on")
    return ObservedAttachment(
        key=raw(row, "sys_id"),
        filename=raw(row, "file_name"),
        size=_size(row.get("size_bytes")),
        content_type=raw(row, "content_type"),
        author=raw(row, "sys_created_by"),
        at=instant_of(created) if created else None,
    )


def _size(value: Json) -> int:
    text = str(value or "0")
    return int(text) if text.isdigit() else 0
