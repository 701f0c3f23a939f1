"""Fetches files from a URL or a dropped path; an unchanged file yields nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from isthmus.connectors.csv.config import CsvConfig
from isthmus.connectors.csv.mapping import observations
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable


class CsvClient:
    """A `Poller` of whole files. The watermark is the hash of the file last read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._config = cast("CsvConfig", context.config)
        self._clients: dict[str, HttpClient] = {}

    async def close(self) -> None:
        """Release the sessions."""
        clients, self._clients = self._clients, {}
        for each in clients.values():
            await each.close()

    async def probe(self) -> Probe:
        """Read the first configured file."""
        for kind in ("ci", "ci_relation"):
            if any(self._places(kind)):
                await self._read(kind)
                return Probe(product="CSV file", version="RFC 4180")
        raise NeedsOperator(
            "The connection fetches no file.", remedy="Set items_url or items_path, or post files to it."
        )

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield the rows of the kind's file, in pages, if the file changed; several pages share its hash."""
        if not any(self._places(kind)):
            return
        body = await self._read(kind)
        mark = hashlib.sha256(body).hexdigest()
        if mark == watermark:
            return
        found = observations(body, self._context.connection, self._config)
        if stray := next((each for each in found if each.kind != kind), None):
            raise Rejected(
                f"The file of {kind} holds {stray.kind} rows.",
                remedy="Exchange the two addresses of the connection.",
            )
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=mark):
            yield page

    def _places(self, kind: str) -> tuple[str, str]:
        config = self._config
        if kind == "ci":
            return config.items_url, config.items_path
        return config.relations_url, config.relations_path

    async def _read(self, kind: str) -> bytes:
        url, path = self._places(kind)
        return await self._fetch(url) if url else await asyncio.to_thread(self._from_disk, Path(path))

    async def _fetch(self, url: str) -> bytes:
        split = urlsplit(url)
        client = self._clients.get(url)
        if client is None:
            token = self._context.secret("url_token")
            client = HttpClient(
                f"{split.scheme}://{split.netloc}",
                limits=self._context.limits,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                secrets=(token,),
                allow_private_addresses=self._context.allow_private_addresses,
            )
            self._clients[url] = client
        answer = await client.get(f"{split.path}?{split.query}" if split.query else split.path)
        if answer.headers.get("content-type", "").startswith("text/html"):
            raise Retryable(
                f"{answer.where} answered with a web page instead of a file.", remedy="Check the address."
            )
        return answer.body

    def _from_disk(self, path: Path) -> bytes:
        limit = self._context.limits.response_bytes_max
        try:
            with path.open("rb") as file:
                body = file.read(limit + 1)
        except FileNotFoundError as cause:
            raise Retryable(
                f"The file {path.name} is not there (yet).", remedy="It is looked for again."
            ) from cause
        except OSError as cause:
            raise NeedsOperator(
                f"The file {path.name} cannot be read.", remedy="Check its permissions."
            ) from cause
        if len(body) > limit:
            raise NeedsOperator(f"The file {path.name} has more than {limit} bytes.", remedy="Split it.")
        return body
