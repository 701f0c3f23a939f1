"""Folding events into an alert: what changes, what is only counted, what is too old to matter.

An event that says nothing new is a repeat: it is counted and adds no entry. Texts are compared without their
noise, so that "250 items" after "180 items" is no news. An event about an episode that has ended already
(its start is not later than the recorded end) was overtaken on the way and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.monitoring import SEVERITIES
from isthmus.practices.monitoring.rules.identity import NOISE, normalise

_ALL_NOISE: Final = tuple(NOISE)
FIRING, RESOLVED, STALE = "firing", "resolved", "stale"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How an alert stands at its source: who has acknowledged it there, whether it is silenced there."""

    acknowledged: bool = False
    acknowledged_by: str = ""
    acknowledged_at: Instant | None = None
    silenced: bool = False


UNSEEN: Final = View()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One observation of an alert, tamed. `at` is when it happened (source's time, else receipt); `view` is None
    where the source says nothing about acknowledgements and silences."""

    firing: bool
    severity: str
    summary: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: Instant
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    view: View | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of the alert so far."""

    state: str
    severity: str
    summary: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: Instant | None
    ends_at: Instant | None
    view: View = UNSEEN


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What an event does: `turn` is "fired", "cleared" or ""; `values` are the fields that it sets; `view` is the
    source's view from now on, None where it stays."""

    turn: str
    values: Mapping[str, object]
    note: str = ""
    view: View | None = None

    def held(self, before: Held) -> Held:
        """Return what is recorded afterwards."""
        after = msgspec.structs.replace(before, **self.values)
        return after if self.view is None else msgspec.structs.replace(after, view=self.view)

    def fields(self) -> dict[str, object]:
        """Return the fields of the record that it sets, the source's view among them."""
        return (
            dict(self.values) if self.view is None else {**self.values, **msgspec.structs.asdict(self.view)}
        )


def fold(held: Held, event: Event) -> Folded:
    """Return what `event` changes about an alert."""
    found = _turned(held, event)
    if found.note:
        return found
    # A new episode stands untouched at its source until the source says otherwise.
    view = event.view or (UNSEEN if found.turn == "fired" else held.view)
    return found if view == held.view else msgspec.structs.replace(found, view=view)


def _turned(held: Held, event: Event) -> Folded:
    if not event.firing:
        return _clear(held, event)
    if held.state != FIRING:
        if event.starts_at is not None and held.ends_at is not None and event.starts_at < held.ends_at:
            return Folded(turn="", values={}, note="overtaken: this episode has already ended")
        values = {
            **_texts(held, event),
            "state": FIRING,
            "starts_at": event.starts_at or event.at,
            "ends_at": None,
        }
        if event.severity != held.severity:
            values["severity"] = event.severity
        return Folded(turn="fired", values=values)
    values = _texts(held, event)
    if event.severity != held.severity:
        values["severity"] = event.severity
    return Folded(turn="", values=values)


def _clear(held: Held, event: Event) -> Folded:
    if held.state == RESOLVED:
        return Folded(turn="", values={})
    if (
        event.starts_at is not None
        and held.starts_at is not None
        and event.ends_at is not None
        and event.ends_at < held.starts_at
    ):
        return Folded(turn="", values={}, note="overtaken: it cleared before the present episode began")
    return Folded(turn="cleared", values={"state": RESOLVED, "ends_at": event.ends_at or event.at})


def _texts(held: Held, event: Event) -> dict[str, object]:
    """Return the texts that say something new."""
    found: dict[str, object] = {}
    if event.summary != held.summary and normalise(event.summary, _ALL_NOISE) != normalise(
        held.summary, _ALL_NOISE
    ):
        found["summary"] = event.summary
    for name, new, old in (
        ("labels", event.labels, held.labels),
        ("annotations", event.annotations, held.annotations),
    ):
        if new != old and _plain(new) != _plain(old):
            found[name] = dict(new)
    return found


def _plain(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: normalise(value, _ALL_NOISE) for key, value in texts.items()}


def worse(new: str, old: str) -> bool:
    """Return whether a severity is worse than another; unknown ones are the least."""
    return _rank(new) > _rank(old)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1
