"""What correlation places and how it says where: members, groups, placements. `correlation` does the placing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import Reason

ATTACHED = "attached_to_parent"
BELOW = "below_threshold"
HOLDING = frozenset({"opened", "joined", ATTACHED, "storm"})
"""Decisions that put an alert into an incident."""
WAITING = "waiting"
UNPLACED = frozenset({WAITING, BELOW})
"""Decisions that leave an alert without an incident until something else comes."""
MOVABLE = HOLDING | UNPLACED
"""Decisions after which an alert still follows a cause that comes later."""


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """`window` in microseconds (0: as long as the incident is open), `threshold` in distinct firing alerts, `wait`
    in microseconds before an incident is opened, `similarity` of summaries in per cent (0: any)."""

    name: str
    by: tuple[str, ...] = ()
    window: int = 0
    threshold: int = 1
    topology: bool = True
    wait: int = 0
    similarity: int = 0


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`depth` hops of topology; `window` by which a child may have fired before its parent; `storm` new
    groups within `storm_window` (0: never); `wait` for a cause (0: not at all). Spans in microseconds."""

    topology: bool = True
    depth: int = 5
    window: int = 15 * MINUTE
    parent_severities: frozenset[str] = frozenset({"critical", "error"})
    storm: int = 0
    wait: int = 0
    storm_window: int = 5 * MINUTE


@dataclass(kw_only=True)
class Member:
    """A firing alert as correlation sees it. `at` is when it started, as its source says; `waited`: its cause has
    had its time to arrive."""

    id: str
    identity: str
    at: Instant
    group_key: str
    severity: str = ""
    ci: str = ""
    summary: str = ""
    rule: GroupRule | None = None
    incident: str = ""
    parent: str = ""
    decision: str = ""
    waited: bool = False
    likeness: int = 0


@dataclass(kw_only=True)
class Group:
    """Alerts of one key that share (or wait for) an incident; `incident` is "" while below the threshold."""

    key: str
    incident: str = ""
    members: dict[str, Instant] = field(default_factory=dict)

    def within(self, at: Instant, rule: GroupRule | None) -> bool:
        if rule is None or not rule.window or not self.members:
            return True
        times = self.members.values()
        return min(times) - rule.window <= at <= max(times) + rule.window


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where one alert goes. `opens`: its incident is to be made, with the alerts in `takes` in it as well."""

    alert: str
    decision: str
    reason: Reason
    incident: str = ""
    parent: str = ""
    opens: bool = False
    takes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A child that fired before its parent and now follows it; `left` is the incident that it leaves ("" if
    it stays within one incident)."""

    alert: str
    incident: str
    parent: str
    left: str
    reason: Reason


def group_key(rule: GroupRule | None, identity: str, labels: Mapping[str, str]) -> str:
    """Return the key of an alert's group. Lengths keep values from running into each other."""
    if rule is None:
        return f"identity:{identity}"
    return f"rule:{rule.name}" + "".join(
        f"|{label}={len(labels.get(label, ''))}:{labels.get(label, '')}" for label in rule.by
    )
