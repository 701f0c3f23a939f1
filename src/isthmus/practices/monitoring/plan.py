"""The blueprint's section, compiled: what the pump asks for every alert is ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus import blueprint
from isthmus.kernel.duration import microseconds
from isthmus.kernel.rule_set import Rule, RuleSet
from isthmus.practices.monitoring.blueprint import (
    ENVIRONMENT,
    EarlierIdentity,
    IdentitySpec,
    MatcherSpec,
    MonitoringSection,
)
from isthmus.practices.monitoring.rules import accuracy, automation, identity, telling
from isthmus.practices.monitoring.rules.groups import GroupRule, Policy
from isthmus.practices.monitoring.rules.matching import Matcher
from isthmus.practices.monitoring.rules.mirror import Mirror
from isthmus.practices.monitoring.rules.stability import Times
from isthmus.practices.monitoring.rules.suppression import Inhibition


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The rules of one blueprint generation."""

    section: MonitoringSection
    default_identity: IdentitySpec
    rules: RuleSet
    groups: dict[str, GroupRule]
    inhibitions: tuple[Inhibition, ...]
    policy: Policy
    times: Times
    automation: automation.Automation
    accuracy: accuracy.Policy
    heartbeats: dict[str, tuple[Matcher, ...]]
    reports: tuple[int, int]
    mirrors: tuple[Mirror, ...]
    _specs: dict[str, identity.IdentitySpec]
    _earlier: dict[str, tuple[identity.IdentitySpec, ...]]

    def earlier(self, connection: str) -> tuple[identity.IdentitySpec, ...]:
        """Return what identified the alerts of a connection before, the newest rule first."""
        found = self._earlier.get(connection)
        if found is None:
            declared = self.section.sources.get(connection, self.default_identity)
            ordered = sorted(declared.earlier, key=lambda each: -each.version)
            found = self._earlier[connection] = tuple(_identity(each, connection) for each in ordered)
        return found

    def partner_silences(self, connection: str) -> str:
        """Return what a connection's own silences mean here: own, all or ignore."""
        suppression = self.section.suppression
        return suppression.partners.get(connection, suppression.partner_silences)

    def telling(self, connection: str) -> telling.Policy:
        """Return what a connection may be told about its alerts."""
        spec = self.section.tellings.get(connection, self.section.telling)
        return telling.Policy(
            acknowledge=spec.acknowledge,
            annotate=spec.annotate,
            resolve=spec.resolve,
            silence=spec.silence,
            instead=microseconds(spec.instead),
        )

    def identity_of(self, connection: str) -> identity.IdentitySpec:
        """Return what identifies the alerts of a connection."""
        found = self._specs.get(connection)
        if found is None:
            declared = self.section.sources.get(connection, self.default_identity)
            found = self._specs[connection] = _identity(declared, connection)
        return found


def _identity(declared: IdentitySpec | EarlierIdentity, connection: str) -> identity.IdentitySpec:
    return identity.IdentitySpec(
        fields=tuple(declared.fields),
        ignore=tuple(declared.ignore),
        noise=tuple(declared.noise),
        scope=declared.scope or f"connection:{connection}",
        version=declared.version,
    )


def _matchers(specs: list[MatcherSpec]) -> tuple[Matcher, ...]:
    return tuple(Matcher(label=each.label, value=each.value, operator=each.op) for each in specs)


def compiled(section: MonitoringSection) -> Plan:
    """Compile a section that passed its check."""
    rules = section.correlation.rules
    topology, storm, times = section.correlation.topology, section.correlation.storm, section.times
    return Plan(
        section=section,
        default_identity=section.identity,
        rules=RuleSet(
            (
                Rule(
                    name=each.name,
                    match=each.match,
                    when=ENVIRONMENT.compile(each.when) if each.when else None,
                )
                for each in rules
            ),
            ENVIRONMENT,
        ),
        groups={
            each.name: GroupRule(
                name=each.name,
                by=tuple(each.by),
                window=microseconds(each.window),
                threshold=each.threshold,
                topology=each.topology,
                wait=microseconds(each.wait),
                similarity=each.similarity,
            )
            for each in rules
        },
        inhibitions=tuple(
            Inhibition(
                name=each.name,
                source=_matchers(each.source),
                target=_matchers(each.target),
                equal=tuple(each.equal),
            )
            for each in section.suppression.inhibitions
        ),
        policy=Policy(
            topology=topology.enabled,
            depth=topology.depth,
            window=microseconds(topology.window),
            parent_severities=frozenset(topology.parent_severities),
            storm=storm.groups,
            wait=microseconds(times.wait),
            storm_window=microseconds(storm.window),
        ),
        times=Times(
            stable=microseconds(times.stable),
            reopen=microseconds(times.reopen),
            grace=microseconds(times.grace),
            stale=microseconds(times.stale),
            flap=microseconds(times.flap),
            flap_changes=times.flap_changes,
        ),
        automation=automation.Automation(
            default=automation.Level(section.automation.default),
            services={name: automation.Level(level) for name, level in section.automation.services.items()},
            severities={
                name: automation.Level(level) for name, level in section.automation.severities.items()
            },
        ),
        accuracy=accuracy.Policy(
            threshold=section.automation.accuracy.threshold,
            per_mille=section.automation.accuracy.per_mille,
            seed=section.automation.accuracy.seed,
            verdicts_min=section.automation.accuracy.verdicts_min,
            window=microseconds(section.automation.accuracy.window),
            confidence=section.automation.accuracy.confidence,
            strict=section.automation.accuracy.strict,
            class_label=section.automation.accuracy.class_label,
        ),
        heartbeats={
            name: _matchers(each.heartbeat) for name, each in section.expected.items() if each.heartbeat
        },
        reports=(
            microseconds(section.correlation.reports.interval),
            microseconds(section.correlation.reports.repeat),
        ),
        mirrors=tuple(
            Mirror(
                connection=each.connection,
                severities=frozenset(each.severities),
                sources=frozenset(each.sources),
                recipient=each.recipient,
            )
            for each in section.alert_mirrors
        ),
        _specs={},
        _earlier={},
    )


_held: list[Plan] = []


def current() -> Plan:
    """Return the plan of the blueprint in force; it is compiled once per generation."""
    section: MonitoringSection = blueprint.current().section("monitoring")
    if not _held or _held[0].section is not section:
        _held[:] = [compiled(section)]
    return _held[0]
