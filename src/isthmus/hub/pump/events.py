"""The identity of events: the same id has no second effect, for as long as the connection remembers it.

An event with an id of its own is known by it. A source of states whose events have no id (`nature = state`)
is compared with the last content that it sent about the same object: equal content is the same event. What
polls find needs neither: merging the same state twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from isthmus.hub.connections import Connection
from isthmus.hub.intake.message import POLL
from isthmus.hub.models import EventId
from isthmus.hub.observing import Seen
from isthmus.kernel.instant import DAY, Instant
from isthmus.ledger import rows

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

_content = msgspec.json.Encoder(order="deterministic").encode


class Identity(NamedTuple):
    """How one observation is recognised: `key` names event or object, `content` is "" for events with an id."""

    key: str
    content: str


def identity(connection: Connection, seen: Seen) -> Identity | None:
    """Return how to recognise the event again, None if it needs no recognising."""
    observation = seen.observation
    if observation.event_id:
        return Identity(key_of(connection.name, observation.event_id), "")
    declared = connection.manifest.event_id
    if seen.door == POLL or declared is None or declared.nature != "state":
        return None
    external = observation.external
    said = [observation.kind, observation.values, observation.deleted, observation.occurred_at]
    return Identity(
        _digest(f"{connection.name}\0\0{external.kind}\0{external.key}".encode()), _digest(_content(said))
    )


def key_of(connection: str, event_id: str) -> str:
    """Return the `EventId.key` of an event with an id of its own."""
    return _digest(f"{connection}\0{event_id}".encode())


def waiting(connection: Connection, name: str) -> tuple[Identity, Identity]:
    """Return how a message that could not be read is recognised: as one that was taken after all, as one that waits.

    The two differ, so that a person who completes what waits is not told that it was taken before.
    """
    return (
        Identity(key_of(connection.name, name), ""),
        Identity(_digest(f"{connection.name}\0\0\0{name}".encode()), ""),
    )


class Taken:
    """The events already taken, of those in one batch: read once, then kept up while the batch is decided."""

    def __init__(self, organisation: str, identities: Iterable[Identity]) -> None:
        self._organisation = organisation
        self._known: dict[str, tuple[str, int]] = {}
        self._new: dict[str, tuple[str, int]] = {}
        keys = list({each.key for each in identities})
        columns = ("key", "content", "position")
        for key, content, position in rows.tuples(EventId, columns, "key", keys, organisation=organisation):
            self._known[key] = (content, position)

    def before(self, found: Identity) -> int | None:
        """Return the position of the message that already told this event, None if it is new."""
        content, position = self._known.get(found.key, (None, 0))
        return position if content == found.content else None

    def add(self, found: Identity, position: int) -> None:
        """Remember an event as taken by the message at `position`."""
        self._known[found.key] = self._new[found.key] = (found.content, position)

    def write(self, work: Work, *, days: int) -> None:
        """Have the new ones written with the rest of the batch."""
        expires_at = Instant(work.now + days * DAY)
        organisation = self._organisation
        work.put_all(
            EventId,
            ("organisation", "key", "content", "position", "expires_at"),
            [(organisation, key, *held, expires_at) for key, held in self._new.items()],
            key=("organisation", "key"),
            newest=("content", "position", "expires_at"),
        )


def expired(now: Instant, limit: int) -> list[int]:
    """Return row ids of events that nobody needs to recognise any more."""
    return list(
        EventId.objects.filter(expires_at__lt=now).order_by("expires_at").values_list("id", flat=True)[:limit]
    )


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
