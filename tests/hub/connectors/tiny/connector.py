"""The smallest honest connector: a bearer token, a list of items, a poll of a list kept in memory."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec

from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.connectors.kit.ports import Connector, Context, Page, Probe, Refused
from isthmus.kernel.errors import Problem, Rejected, Retryable
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.secretref import SecretRef


class TinyConfig(ConnectorConfig, frozen=True, kw_only=True):
    secret: Annotated[SecretRef | None, msgspec.Meta(description="The bearer token.")] = None


class Item(msgspec.Struct):
    key: str
    text: str = ""
    id: str = ""


class Body(msgspec.Struct):
    items: list[Item]


class TinySource:
    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        given = headers.get("authorization", "")
        if not given:
            return Refused(status=401, reason="missing", text="A bearer token is needed.")
        if not hmac.compare_digest(given, f"Bearer {context.secret('secret')}"):
            return Refused(status=403, reason="token", text="The token is wrong.")
        return None

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        self._decoded(body)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        return [
            Observation(
                kind="alert",
                external=ExternalRef(connection=context.connection, kind="item", key=each.key),
                values={"name": each.text},
                event_id=each.id,
            )
            for each in self._decoded(body).items
        ]

    def _decoded(self, body: bytes) -> Body:
        try:
            return msgspec.json.decode(body, type=Body)
        except msgspec.DecodeError as cause:
            raise Rejected(
                "The body is not a list of items.",
                remedy='Send {"items": [{"key": "…"}]}.',
                problems=(Problem(path="/items", message=str(cause)),),
            ) from cause


class TinyPoller:
    """Pages come from `pages`, which a test fills; an exception among them is raised."""

    pages: ClassVar[list[Page | Exception]] = []
    asked: ClassVar[list[str]] = []
    streamed: ClassVar[list[Page | Exception]] = []
    """What each stream tells before it waits for news."""
    streams: ClassVar[list[str]] = []

    def __init__(self, context: Context) -> None:
        self.connection = context.connection

    async def probe(self) -> Probe:
        return Probe(product="tiny", version="1")

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        self.asked.append(watermark)
        for each in list(self.pages):
            if isinstance(each, Exception):
                raise each
            yield each

    async def stream(self, kind: str) -> AsyncIterator[Page]:
        self.streams.append(kind)
        for each in list(self.streamed):
            if isinstance(each, Exception):
                raise each
            yield each
        await asyncio.Event().wait()

    async def close(self) -> None:
        return None


def seen_by(connection: str, keys: Sequence[str], watermark: str) -> Page:
    return Page(
        observations=[
            Observation(
                kind="alert",
                external=ExternalRef(connection=connection, kind="item", key=key),
                values={"name": key},
            )
            for key in keys
        ],
        watermark=watermark,
    )


AWAY = Retryable("Tiny is away.", remedy="Wait.")

CONNECTOR = Connector(config=TinyConfig, source=TinySource(), open=TinyPoller)
