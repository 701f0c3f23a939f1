"""Section `monitoring` of the blueprint: identity, binding, suppression, correlation, automation, times."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from isthmus.blueprint import sections
from isthmus.kernel import duration
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.expression import Environment
from isthmus.kernel.kinds.monitoring import SEVERITIES
from isthmus.practices.monitoring.rules.automation import Level, missing_conditions
from isthmus.practices.monitoring.rules.identity import DEFAULT_NOISE, NOISE
from isthmus.practices.monitoring.rules.matching import Matcher

ENVIRONMENT: Final = Environment(
    {
        "labels": "labels",
        "annotations": "labels",
        "severity": "text",
        "summary": "text",
        "connection": "text",
        "ci": "text",
        "ci_class": "text",
        "environment": "text",
        "service": "text",
    }
)
"""What a correlation rule may ask of an alert; `ci`, `ci_class`, `environment`, `service` are names on the map."""

DEFAULT_HINTS: Final = {
    name: name
    for name in (
        "ci",
        "host",
        "hostname",
        "instance",
        "node",
        "device",
        "name",
        "address",
        "ip",
        "service",
        "cluster",
        "environment",
    )
} | {
    "instance_name": "host",
    "nodename": "host",
    "fqdn": "host",
    "ip_address": "address",
    "env": "environment",
    "application": "application",
}
DEFAULT_SEVERITIES: Final = {
    "page": "critical", "emergency": "critical", "fatal": "critical", "disaster": "critical", "down": "critical",
    "high": "error", "major": "error", "err": "error", "average": "error",
    "warn": "warning", "minor": "warning", "low": "warning", "notice": "informational",
    "info": "informational", "information": "informational", "none": "informational", "debug": "informational", "ok": "informational",
}  # fmt: skip


LONGEST_WAIT: Final = dt.timedelta(minutes=10)


class IdentitySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fields`: labels.* (all), labels.<name>, annotations.<name>, summary, severity, external_key.
    `ignore`: labels that labels.* leaves out. `noise`: timestamps, addresses, uuids, numbers are taken out.
    `scope`: sources that share a scope share alerts (default: each connection by itself)."""

    fields: list[str] = msgspec.field(default_factory=lambda: ["labels.*"])
    ignore: list[str] = []
    noise: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_NOISE))
    scope: str = ""
    version: int = 1


class MatcherSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`label` compared with `value` by `op`: = != =~ !~ (whole text, RE2 syntax)."""

    label: str
    value: str
    op: str = "="


class InhibitionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """While an alert fits `source`, alerts that fit `target` and agree on `equal` stay quiet."""

    name: str
    source: list[MatcherSpec]
    target: list[MatcherSpec]
    equal: list[str] = []


class SuppressionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`maintenance`: authorised change windows mute their items and what depends on them."""

    maintenance: bool = True
    inhibitions: list[InhibitionSpec] = []


class RuleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts for which `match` (labels) and `when` (CEL) hold are grouped by the labels in `by`, while they lie
    within `window` (PT0S: no limit); fewer than `threshold` open no incident."""

    name: str
    match: dict[str, str] = {}
    when: str = ""
    by: list[str] = []
    window: dt.timedelta = dt.timedelta()
    threshold: int = 1
    topology: bool = True


class TopologySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts on items within `depth` hops of an item that is down become children of its incident, also if they
    fired up to `window` before it. `parent_severities` say what "down" is."""

    enabled: bool = True
    depth: int = 5
    window: dt.timedelta = dt.timedelta(minutes=15)
    parent_severities: list[str] = msgspec.field(default_factory=lambda: ["critical", "error"])


class StormSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `groups` new groups in `window` on, everything further shares one incident (0: never)."""

    groups: int = 0
    window: dt.timedelta = dt.timedelta(minutes=5)


class CorrelationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rules: list[RuleSpec] = []
    topology: TopologySpec = TopologySpec()
    storm: StormSpec = StormSpec()


class AutomationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """record, draft or full; by service name, else by severity, else the default."""

    default: str = "full"
    services: dict[str, str] = {}
    severities: dict[str, str] = {}


class TimesSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Durations (PT5M): `wait`: a new alert on an item that depends on others is kept back this long, so that its
    cause may still arrive (PT0S: not at all); `stable`: clear this long before resolving; `reopen`: re-fire this long after it reopens;
    `grace` after a maintenance window; `stale`: silence of a firing alert until it is not believed any more
    (PT0S: never); `flap_changes` state changes in `flap` are flapping."""

    wait: dt.timedelta = dt.timedelta(seconds=3)
    stable: dt.timedelta = dt.timedelta(minutes=5)
    reopen: dt.timedelta = dt.timedelta(hours=1)
    grace: dt.timedelta = dt.timedelta(minutes=5)
    stale: dt.timedelta = dt.timedelta(days=1)
    flap: dt.timedelta = dt.timedelta(minutes=30)
    flap_changes: int = 6


class MonitoringSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How events become alerts, and alerts incidents."""

    identity: IdentitySpec = IdentitySpec()
    sources: dict[str, IdentitySpec] = {}
    """Identity per connection, where it differs."""
    hints: dict[str, str] = msgspec.field(default_factory=lambda: dict(DEFAULT_HINTS))
    """Label → kind of hint by which the configuration item is found: ci, host, address, service, cluster, environment."""
    severities: dict[str, str] = msgspec.field(default_factory=lambda: dict(DEFAULT_SEVERITIES))
    """A source's word → informational, warning, error, critical. These four are always known."""
    suppression: SuppressionSpec = SuppressionSpec()
    correlation: CorrelationSpec = CorrelationSpec()
    automation: AutomationSpec = AutomationSpec()
    times: TimesSpec = TimesSpec()


_FIELDS: Final = frozenset({"labels.*", "summary", "severity", "external_key"})


def _check_identity(path: str, spec: IdentitySpec) -> list[Problem]:
    problems = [
        Problem(
            path=f"{path}/fields/{index}",
            message=f"{name!r} is not a field",
            remedy="Use labels.*, labels.<name>, annotations.<name>, summary, severity or external_key.",
        )
        for index, name in enumerate(spec.fields)
        if name not in _FIELDS and not name.startswith(("labels.", "annotations."))
    ]
    problems += [
        Problem(
            path=f"{path}/noise/{index}", message=f"{name!r} is unknown", remedy=f"Use {', '.join(NOISE)}."
        )
        for index, name in enumerate(spec.noise)
        if name not in NOISE
    ]
    if not spec.fields:
        problems.append(
            Problem(
                path=f"{path}/fields", message="no field identifies an alert", remedy="Name at least one."
            )
        )
    return problems


def _check_matchers(path: str, specs: list[MatcherSpec]) -> list[Problem]:
    problems = (
        [] if specs else [Problem(path=path, message="no matcher fits nothing", remedy="Give at least one.")]
    )
    for index, spec in enumerate(specs):
        try:
            Matcher(label=spec.label, value=spec.value, operator=spec.op)
        except Rejected as refused:
            problems.append(Problem(path=f"{path}/{index}", message=refused.text, remedy=refused.remedy))
    return problems


def _check_rules(rules: list[RuleSpec]) -> list[Problem]:
    problems = []
    names: set[str] = set()
    for index, rule in enumerate(rules):
        path = f"/correlation/rules/{index}"
        if rule.name in names:
            problems.append(
                Problem(
                    path=f"{path}/name",
                    message=f"{rule.name!r} is taken",
                    remedy="Give each rule its own name.",
                )
            )
        names.add(rule.name)
        if rule.threshold < 1:
            problems.append(
                Problem(path=path, message="the threshold must be positive", remedy="Give 1 or more.")
            )
        if rule.when:
            try:
                program = ENVIRONMENT.compile(rule.when)
            except Rejected as refused:
                problems.append(Problem(path=f"{path}/when", message=refused.text, remedy=refused.remedy))
            else:
                if program.returns not in {"BOOL", "DYN"}:
                    problems.append(
                        Problem(
                            path=f"{path}/when",
                            message=f"yields {program.returns}",
                            remedy="Write a condition.",
                        )
                    )
        elif not rule.match:
            problems.append(
                Problem(path=path, message="would hold for every alert", remedy="Give match or when.")
            )
    return problems


def _check_words(section: MonitoringSection) -> list[Problem]:
    problems = [
        Problem(
            path=f"/severities/{word}",
            message=f"{value!r} is not a severity",
            remedy=f"Use {', '.join(SEVERITIES)}.",
        )
        for word, value in section.severities.items()
        if value not in SEVERITIES
    ]
    levels = {"/automation/default": section.automation.default}
    levels |= {f"/automation/services/{name}": level for name, level in section.automation.services.items()}
    levels |= {
        f"/automation/severities/{name}": level for name, level in section.automation.severities.items()
    }
    problems += [
        Problem(path=path, message=f"{level!r} is not a level", remedy="Use record, draft or full.")
        for path, level in levels.items()
        if level not in set(Level)
    ]
    for path, level in levels.items():
        correlation = [
            *section.correlation.rules,
            *([section.correlation.topology] if section.correlation.topology.enabled else []),
        ]
        suppression = section.suppression.maintenance or bool(section.suppression.inhibitions)
        if level == Level.FULL:
            problems += [
                Problem(
                    path=path,
                    message=f"full automation is refused: {missing} is missing",
                    remedy="Activate it or use draft.",
                )
                for missing in missing_conditions(
                    Level.FULL, correlation_rules=correlation, suppression=suppression
                )
            ]
    return problems


def check(section: MonitoringSection, _: Any) -> list[Problem]:
    """Find unknown fields, bad patterns and expressions, rules without a condition, full automation without a net."""
    problems = _check_identity("/identity", section.identity)
    for name, spec in section.sources.items():
        problems += _check_identity(f"/sources/{name}", spec)
    for index, rule in enumerate(section.suppression.inhibitions):
        problems += _check_matchers(f"/suppression/inhibitions/{index}/source", rule.source)
        problems += _check_matchers(f"/suppression/inhibitions/{index}/target", rule.target)
    return (
        problems + _check_rules(section.correlation.rules) + _check_words(section) + _check_durations(section)
    )


def _check_durations(section: MonitoringSection) -> list[Problem]:
    correlation, times = section.correlation, section.times
    spans = [
        (f"/correlation/rules/{place}/window", each.window) for place, each in enumerate(correlation.rules)
    ]
    spans += [
        ("/correlation/topology/window", correlation.topology.window),
        ("/correlation/storm/window", correlation.storm.window),
    ]
    spans += [
        (f"/times/{name}", getattr(times, name)) for name in ("stable", "reopen", "grace", "stale", "flap")
    ]
    return duration.check(spans) + duration.check([("/times/wait", times.wait)], most=LONGEST_WAIT)


DEFAULT: Final = MonitoringSection()


def register() -> None:
    """Make the section known; called when the app is ready."""
    sections.register(
        sections.Section(
            name="monitoring",
            schema=MonitoringSection,
            help="Identity, binding, suppression, correlation, automation and times of alerts.",
            default=lambda: DEFAULT,
            check=check,
        )
    )
