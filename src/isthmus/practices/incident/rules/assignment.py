"""Which group works on an incident: the first rule that fits, else the CI's group, the service's, the default."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from isthmus.kernel.instant import Instant, to_datetime
from isthmus.kernel.record import Reason

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, kw_only=True)
class Hours:
    """Weekly hours in a zone. `until` before `since` runs past midnight and belongs to the day it began."""

    days: tuple[str, ...] = DAYS
    since: str = "00:00"
    until: str = "24:00"
    zone: str = "UTC"

    def contain(self, now: Instant) -> bool:
        local = to_datetime(now).astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        since, until = minutes(self.since), minutes(self.until)
        today = DAYS[local.weekday()] in self.days
        if since < until:
            return today and since <= minute < until
        yesterday = DAYS[(local - dt.timedelta(days=1)).weekday()] in self.days
        return (today and minute >= since) or (yesterday and minute < until)


def minutes(clock: str) -> int:
    """Return minutes since midnight of `HH:MM` (24:00 is the end of the day)."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


@dataclass(frozen=True, kw_only=True)
class AssignmentRule:
    """All that is given must fit: service name, CI name or class, environment, priority, hours."""

    name: str
    group: str
    services: tuple[str, ...] = ()
    cis: tuple[str, ...] = ()
    ci_classes: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    hours: Hours | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an incident is, as far as the map knows."""

    service: str = ""
    ci: str = ""
    ci_class: str = ""
    environment: str = ""
    ci_group: str = ""
    service_group: str = ""


def decide(
    rules: Sequence[AssignmentRule], default: str, place: Place, priority: str, now: Instant
) -> tuple[str, Reason]:
    """Return the group and why."""
    for rule in rules:
        if fits(rule, place, priority, now):
            return rule.group, Reason(
                rule=f"incident.assignment.{rule.name}",
                text=f"Assigned to {rule.group} by the rule “{rule.name}”.",
            )
    for group, owner in (
        (place.ci_group, f"the CI {place.ci}"),
        (place.service_group, f"the service {place.service}"),
    ):
        if group:
            return group, Reason(
                rule="incident.assignment.map", text=f"Assigned to {group}, which supports {owner}."
            )
    text = (
        f"Assigned to {default}: no rule fits and the map names no support group."
        if default
        else "Not assigned: nothing fits."
    )
    return default, Reason(rule="incident.assignment.default", text=text)


def fits(rule: AssignmentRule, place: Place, priority: str, now: Instant) -> bool:
    """Return whether everything that the rule gives fits."""
    wanted = (
        (rule.services, place.service),
        (rule.cis, place.ci),
        (rule.ci_classes, place.ci_class),
        (rule.environments, place.environment),
        (rule.priorities, priority),
    )
    if any(options and value not in options for options, value in wanted):
        return False
    return rule.hours is None or rule.hours.contain(now)
