"""What one poll of a full list of alerts leaves for the next, so that news are told from repetitions. Pure.

Many monitoring systems can only be asked for everything that fires. Each poll therefore keeps, in its watermark,
how every alert stood: an alert that stands as before is named by its event id and is a repeat; one whose standing
changed (acknowledged, silenced, worse) is passed on without an id, because merging a state twice changes nothing
while a repeated id would be taken for no news; one that is no longer listed is offered as ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgspec

from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json

REMEMBERED_MAX = 5_000
"""Alerts beyond are passed on at every poll, but neither changes of their standing nor their end are noticed."""

_STANDING = ("state", "severity", "acknowledged", "acknowledged_by", "silenced")
_KEPT = ("external_key", "labels", "summary", "starts_at", "severity", "matchers", "comment", "ends_at")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Held(msgspec.Struct, frozen=True, array_like=True):
    """How an alert stood when it was last listed, what it takes to say that it ended, and since when it is missing
    from the list (0 = it was on the last one)."""

    standing: str
    values: dict[str, Any]
    missing_since: int = 0


class _Remembered(msgspec.Struct, frozen=True):
    open: dict[str, Held] = {}


class Listing:
    """One poll compared with the one before: `seen` for every alert listed, then `ended`, then `watermark`."""

    def __init__(self, watermark: str) -> None:
        self._before = _read(watermark)
        self._now: dict[str, Held] = {}

    def seen(self, observation: Observation) -> Observation:
        """Return the observation of a firing alert as it should be passed on."""
        key, standing = observation.external.key, _standing(observation.values)
        before = self._before.get(key)
        if len(self._now) < REMEMBERED_MAX:
            kept = {name: observation.values[name] for name in _KEPT if name in observation.values}
            self._now[key] = Held(standing, kept)
        if before is None:
            # A webhook may have told of it already, though not that it is kept quiet: that would be lost in a repeat.
            return observation if _plain(observation.values) else replace(observation, event_id="")
        return observation if before.standing == standing else replace(observation, event_id="")

    def keep(self, key: str, now: int) -> None:
        """Go on remembering an alert that is not listed, because its absence proves nothing yet."""
        held = self._before[key]
        self._now[key] = Held(held.standing, held.values, held.missing_since or now)

    def ended(self) -> dict[str, Held]:
        """Return what was remembered and is not listed now, nor kept."""
        return {key: held for key, held in self._before.items() if key not in self._now}

    def watermark(self) -> str:
        """Return what the next poll needs to know."""
        return _encode(_Remembered(self._now)).decode()


def _read(watermark: str) -> dict[str, Held]:
    if not watermark:
        return {}
    try:
        return msgspec.json.decode(watermark, type=_Remembered).open
    except (msgspec.ValidationError, msgspec.DecodeError):
        return {}  # Written by another version: everything is told once more, which changes nothing.


def _standing(values: Mapping[str, Json]) -> str:
    return blake2b(_encode([values.get(name) for name in _STANDING]), digest_size=6).hexdigest()


def _plain(values: Mapping[str, Json]) -> bool:
    return not values.get("acknowledged") and not values.get("silenced")
