"""What a stream of events comes to: objects as they stood when it opened, kept up by every event since.

Events carry neither an address nor custom variables, so the objects are held; one that is not known yet, and one
whose downtimes changed, is read again. Soft states change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from isthmus.connectors.icinga2 import mapping
from isthmus.connectors.icinga2.config import Icinga2Config
from isthmus.connectors.icinga2.mapping import Comment, Event, Object
from isthmus.connectors.kit.standing import Listing
from isthmus.kernel.errors import Retryable
from isthmus.kernel.observation import Observation

HELD_MAX = 200_000
LATELY_SECONDS = 86_400
"""What recovered earlier is the poll's, which remembers the problems that it saw."""


class Reader(Protocol):
    """What is read beside the stream."""

    async def objects(self, condition: str, variables: Mapping[str, Any]) -> list[Object]:
        """Return the hosts and services that fit."""
        ...

    async def acknowledgements(self) -> dict[str, Comment]:
        """Return who acknowledged what."""
        ...


class Following:
    """One stream from its opening to its end. `told` takes the lines as they come; the first bunch opens it."""

    def __init__(self, reader: Reader, connection: str, config: Icinga2Config) -> None:
        self._reader, self._connection, self._config = reader, connection, config
        self._held: dict[str, Object] = {}
        self._who: dict[str, Comment] = {}
        self._opened = False

    async def told(self, lines: Sequence[bytes]) -> list[Observation]:
        """Return what a bunch of lines says."""
        found: list[Observation] = []
        if not self._opened:
            found += await self._all()
            self._opened = True
        events = [each for each in map(_event, lines) if _matters(each)]
        if events:
            await self._read(events)
        for event in events:
            held = self._held.get(_key(event))
            if held is None:
                continue
            seen = self._apply(event, held)
            if not mapping.pending(self._held[held.name]):
                found.append(seen)
        return found

    async def _all(self) -> list[Observation]:
        """Read everything; return the problems, and what has recovered lately: perhaps while nobody listened."""
        for each in await self._reader.objects("", {}):
            if len(self._held) < HELD_MAX:
                self._held[each.name] = each
        self._who = await self._reader.acknowledgements()
        listing, since = Listing(""), time.time() - LATELY_SECONDS
        return [
            listing.seen(mapping.from_object(each, self._connection, self._config, self._who.get(each.name)))
            for each in self._held.values()
            if mapping.fires(each)
        ] + [
            mapping.from_object(each, self._connection, self._config)
            for each in self._held.values()
            if not mapping.pending(each)
            and not mapping.fires(each)
            and each.attrs.last_hard_state_change >= since
        ]

    async def _read(self, events: Sequence[Event]) -> None:
        """Read again what cannot be told from the events alone."""
        names = {_key(each) for each in events if each.downtime is not None or _key(each) not in self._held}
        if names:
            for found in await self._reader.objects("{}.__name in names", {"names": sorted(names)}):
                self._held[found.name] = found

    def _apply(self, event: Event, held: Object) -> Observation:
        now = self._held[held.name] = mapping.changed(held, event)
        if event.type == "AcknowledgementSet":
            self._who[held.name] = Comment(
                host_name=event.host, author=event.author, entry_time=event.timestamp
            )
        return mapping.from_event(event, now, self._connection, self._config, self._who.get(held.name))


def _event(line: bytes) -> Event:
    try:
        return mapping.decode_event(line)
    except msgspec.DecodeError as cause:
        # Whatever it was, it may have been a state: opening anew reads everything.
        raise Retryable("Icinga's event stream holds a line that is no event.") from cause


def _matters(event: Event) -> bool:
    if event.type == "StateChange":
        return event.state_type == 1
    return event.type in mapping.EVENTS


def _key(event: Event) -> str:
    if event.downtime is not None:
        return mapping.key_of(event.downtime.host_name, event.downtime.service_name)
    return mapping.key_of(event.host, event.service)
