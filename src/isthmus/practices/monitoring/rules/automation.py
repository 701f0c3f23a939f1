"""How much the hub may do by itself with an alert: record it, draft an incident, or open one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from isthmus.kernel.record import Reason


class Level(StrEnum):
    RECORD = "record"  # the alert is kept; nobody is bothered
    DRAFT = "draft"  # a person confirms before there is an incident
    FULL = "full"  # the incident is opened at once


@dataclass(frozen=True, kw_only=True)
class Automation:
    """The level of a service (by name), else of a severity, else the default."""

    default: Level = Level.FULL
    services: Mapping[str, Level] = field(default_factory=dict)
    severities: Mapping[str, Level] = field(default_factory=dict)


def decide(automation: Automation, service: str, severity: str) -> tuple[Level, Reason]:
    """Return the level and why."""
    if service and service in automation.services:
        level = automation.services[service]
        text = f"Automation of the service {service} is {level}."
    elif severity in automation.severities:
        level = automation.severities[severity]
        text = f"Automation of {severity} alerts is {level}."
    else:
        level = automation.default
        text = f"Automation is {level} by default."
    return level, Reason(rule=f"monitoring.automation.{level}", text=text)


def missing_conditions(level: Level, *, correlation_rules: Sequence[object], suppression: bool) -> list[str]:
    """Return what `full` still lacks: something that groups alerts and something that mutes them."""
    if level is not Level.FULL:
        return []
    return [
        text
        for missing, text in (
            (not correlation_rules, "an active correlation rule (or topology)"),
            (not suppression, "active suppression from change windows"),
        )
        if missing
    ]
