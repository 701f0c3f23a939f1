"""From an observation to an alert event: tamed values, identity, hints for the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from isthmus.hub.observing import Seen
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.expression import texts
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds.monitoring import SEVERITIES
from isthmus.kernel.record import Json
from isthmus.practices.monitoring.plan import Plan
from isthmus.practices.monitoring.rules import identity
from isthmus.practices.monitoring.rules.occurrence import Event, View

LABELS_MAX = 200
NAME_MAX: Final = 200
REPEATS_MAX: Final = 50_000


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One event with its identity. `labels` of the event are what the source sent; `all_labels` add
    `severity` and `connection` for matchers."""

    seen: Seen
    identity: str
    identity_version: int
    external_key: str
    event: Event
    all_labels: Mapping[str, str]


def sight(plan: Plan, seen: Seen) -> Sighting:
    """Read one observation; raise `Rejected` where its values cannot be an alert."""
    values = seen.observation.values
    labels, annotations = _labels(values, "labels"), _labels(values, "annotations")
    state = values.get("state", "firing")
    if state not in {"firing", "resolved"}:
        raise Rejected(
            f"{state!r} is not a state of an alert.",
            problems=(Problem(path="/state", message="unknown", remedy="Send firing or resolved."),),
        )
    severity = severity_of(plan, values, labels)
    starts_at, ends_at = _instant(values, "starts_at"), _instant(values, "ends_at")
    firing = state == "firing"
    at = seen.observation.occurred_at or (starts_at if firing else ends_at) or seen.received_at
    spec = plan.identity_of(seen.connection)
    external = values.get("external_key") or seen.observation.external.key
    known: dict[str, Json] = {
        **values,
        "labels": cast("Json", labels),
        "annotations": cast("Json", annotations),
        "severity": severity,
        "external_key": external,
    }
    return Sighting(
        seen=seen,
        identity=identity.identity(spec, known),
        identity_version=spec.version,
        external_key=str(external or ""),
        event=Event(
            firing=firing,
            severity=severity,
            summary=str(values.get("summary") or labels.get("alertname") or external or ""),
            labels=labels,
            annotations=annotations,
            at=Instant(at),
            starts_at=starts_at,
            ends_at=None if firing else ends_at,
            view=view(values),
        ),
        all_labels={"connection": seen.connection, **labels, "severity": severity},
    )


def view(values: Mapping[str, Json]) -> View | None:
    """Return how the alert stands at its source; None where the source says nothing about it."""
    acknowledged, silenced = values.get("acknowledged"), values.get("silenced")
    if acknowledged is None and silenced is None:
        return None
    by = values.get("acknowledged_by")
    return View(
        acknowledged=acknowledged is True,
        acknowledged_by=str(by)[:NAME_MAX] if acknowledged is True and by else "",
        acknowledged_at=_instant(values, "acknowledged_at") if acknowledged is True else None,
        silenced=silenced is True,
    )


def known_values(sighting: Sighting) -> dict[str, Json]:
    """Return what an identity is made of, as `sight` read it."""
    event = sighting.event
    return {
        **sighting.seen.observation.values,
        "labels": dict(event.labels),
        "annotations": dict(event.annotations),
        "severity": event.severity,
        "external_key": sighting.external_key,
    }


class Repeats:
    """Identities of events by their ids: a source that repeats an event need not be read again.

    The oldest half is dropped when it is full; another plan may identify otherwise, so it starts from nothing.
    """

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._known: dict[tuple[str, str], str] = {}

    def identity_of(self, plan: Plan, seen: Seen) -> str:
        """Return the identity of an event that was taken before."""
        if plan is not self._plan:
            self._plan, self._known = plan, {}
        key = (seen.connection, seen.observation.event_id)
        found = self._known.get(key)
        if found is None:
            found = sight(plan, seen).identity
            self.keep(plan, seen, found)
        return found

    def keep(self, plan: Plan, seen: Seen, identity: str) -> None:
        """Remember the identity of an event that is being taken: its source will tell it again."""
        if plan is not self._plan:
            self._plan, self._known = plan, {}
        if seen.observation.event_id:
            if len(self._known) >= REPEATS_MAX:
                self._known = dict(list(self._known.items())[REPEATS_MAX // 2 :])
            self._known[seen.connection, seen.observation.event_id] = identity


repeats: Final = Repeats()


def severity_of(plan: Plan, values: Mapping[str, Json], labels: Mapping[str, str]) -> str:
    """Return the canonical severity; "" for a word that nobody declared: it is never guessed."""
    for word in (values.get("severity"), labels.get("severity")):
        if isinstance(word, str) and word:
            known = word.strip().lower()
            return known if known in SEVERITIES else plan.section.severities.get(known, "")
    return ""


def hints(plan: Plan, labels: Mapping[str, str]) -> dict[str, Json]:
    """Return what the map may find the item by; several labels of one kind become a list."""
    found: dict[str, Json] = {}
    for label, kind in plan.section.hints.items():
        value = labels.get(label)
        if not value:
            continue
        held = found.get(kind)
        if held is None:
            found[kind] = value
        elif isinstance(held, list):
            held.append(value)
        else:
            found[kind] = [held, value]
    return found


def _labels(values: Mapping[str, Json], name: str) -> dict[str, str]:
    held = values.get(name)
    if held is None:
        return {}
    if not isinstance(held, dict) or len(held) > LABELS_MAX:
        raise Rejected(
            f"The {name} of an alert are an object of texts.",
            problems=(
                Problem(
                    path=f"/{name}",
                    message="not an object, or too many",
                    remedy=f"Send at most {LABELS_MAX} texts.",
                ),
            ),
        )
    return texts(held)


def _instant(values: Mapping[str, Json], name: str) -> Instant | None:
    held = values.get(name)
    if held in (None, ""):
        return None
    if isinstance(held, bool) or not isinstance(held, int):
        raise Rejected(
            f"{name} is not an instant.",
            problems=(Problem(path=f"/{name}", message="not whole microseconds"),),
        )
    return Instant(held)
