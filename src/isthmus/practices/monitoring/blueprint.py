"""Section `monitoring` of the blueprint: identity, binding, suppression, correlation, automation, times."""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from isthmus.blueprint import sections
from isthmus.kernel.expression import Environment
from isthmus.practices.monitoring.rules.identity import DEFAULT_NOISE

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


LEAST_EXPECTED: Final = dt.timedelta(seconds=10)
LONGEST_WAIT: Final = dt.timedelta(minutes=10)


class EarlierIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule that identified alerts before: open alerts that it named are still found and take the new identity."""

    fields: list[str] = msgspec.field(default_factory=lambda: ["labels.*"])
    ignore: list[str] = []
    noise: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_NOISE))
    scope: str = ""
    version: int = 1


class IdentitySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fields`: labels.* (all), labels.<name>, annotations.<name>, summary, severity, external_key.
    `ignore`: labels that labels.* leaves out. `noise`: timestamps, addresses, uuids, numbers are taken out.
    `scope`: sources that share a scope share alerts (default: each connection by itself). `version`: raise it when the
    rule changes, and move the old rule to `earlier`, so that open alerts stay the same alerts."""

    fields: list[str] = msgspec.field(default_factory=lambda: ["labels.*"])
    ignore: list[str] = []
    noise: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_NOISE))
    scope: str = ""
    version: int = 1
    earlier: list[EarlierIdentity] = []


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
    """`maintenance`: authorised change windows mute their items and what depends on them. `partner_silences`: what
    silences and downtimes that a source holds mean here: `own` (they mute alerts of that source), `all` or `ignore`;
    `partners` says so for single connections."""

    maintenance: bool = True
    partner_silences: str = "own"
    partners: dict[str, str] = {}
    inhibitions: list[InhibitionSpec] = []


class RuleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts for which `match` (labels) and `when` (CEL) hold are grouped by the labels in `by`, while they lie
    within `window` (PT0S: no limit); fewer than `threshold` open no incident. `wait`: an alert of the rule is kept back
    this long before it opens an incident; one that clears meanwhile opens none. `similarity` (50 to 100, 0: off):
    only alerts whose summaries are so alike, in per cent, share an incident."""

    name: str
    match: dict[str, str] = {}
    when: str = ""
    by: list[str] = []
    window: dt.timedelta = dt.timedelta()
    threshold: int = 1
    topology: bool = True
    wait: dt.timedelta = dt.timedelta()
    similarity: int = 0


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


class ReportSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Work notes on the incident: `interval`: which alerts joined, at most once in this time; `repeat`: what still
    fires, again and again at this interval. PT0S: no such notes."""

    interval: dt.timedelta = dt.timedelta()
    repeat: dt.timedelta = dt.timedelta()


class CorrelationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    rules: list[RuleSpec] = []
    reports: ReportSpec = ReportSpec()
    topology: TopologySpec = TopologySpec()
    storm: StormSpec = StormSpec()


class AccuracySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Full automation of a class (service and `class_label`) holds while people find at least `threshold` (0 to 1;
    0: not governed) of a random sample of its decisions right. `per_mille` of the alerts are drawn, by `seed`, those
    kept quiet included; `verdicts_min` verdicts of the last `window` are needed; `strict`: the lower end of the
    interval (at `confidence`) counts instead of the share itself. `ladder`: who is told when a class loses it."""

    threshold: float = 0.0
    per_mille: int = 50
    seed: str = "isthmus"
    verdicts_min: int = 20
    window: dt.timedelta = dt.timedelta(days=90)
    confidence: float = 0.95
    strict: bool = False
    class_label: str = "alertname"
    ladder: str = ""


class AutomationSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """record, draft or full; by service name, else by severity, else the default. `accuracy` governs full."""

    default: str = "full"
    services: dict[str, str] = {}
    severities: dict[str, str] = {}
    accuracy: AccuracySpec = AccuracySpec()


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


class TellingSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the source of an alert is told when people act, as far as its connector can: `acknowledge` when an
    incident is taken, `annotate` when it is handed on, `resolve` when it is resolved while the alert still fires,
    `silence`: the hub's silences are set there as well. `instead`: where the source knows no acknowledgement,
    silence the alert there for so long (PT0S: leave a note)."""

    acknowledge: bool = True
    annotate: bool = True
    resolve: bool = True
    silence: bool = False
    instead: dt.timedelta = dt.timedelta()


class AlertMirrorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pager (a connection that can notify, acknowledge and resolve) at which alerts of these `severities` are raised
    when they hold an incident, and stand as long as they fire; from all connections or from `sources` only. `recipient`:
    what the pager shows as where they come from (default: the alert's connection)."""

    connection: str
    severities: list[str] = msgspec.field(default_factory=lambda: ["critical"])
    sources: list[str] = []
    recipient: str = ""


class ExpectedSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Traffic that must come: nothing heard of a connection for `every` is an alert of this `severity`. `heartbeat`:
    only alerts that fit count as a sign of life (a Watchdog); without it every message and every good poll does."""

    every: dt.timedelta
    severity: str = "critical"
    heartbeat: list[MatcherSpec] = []


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
    expected: dict[str, ExpectedSpec] = {}
    """Dead-man checks per connection."""
    silent_together: int = 3
    """From so many silent sources on, one alert says it for all: the fault is probably on the hub's side."""
    telling: TellingSpec = TellingSpec()
    """What sources are told, unless `tellings` says otherwise for one of them."""
    tellings: dict[str, TellingSpec] = {}
    """What a connection is told, where it differs."""
    alert_mirrors: list[AlertMirrorSpec] = []
    """Pagers at which alerts are raised, acknowledged and resolved too."""


DEFAULT: Final = MonitoringSection()


def register() -> None:
    """Make the section known; called when the app is ready."""
    # The checks name the types of this module.
    from isthmus.practices.monitoring import checks

    sections.register(
        sections.Section(
            name="monitoring",
            schema=MonitoringSection,
            help="Identity, binding, suppression, correlation, automation and times of alerts.",
            default=lambda: DEFAULT,
            check=checks.check,
            affects=checks.affects,
        )
    )
