"""What a section `monitoring` that can be read may still get wrong: unknown words, bad patterns, no safety net."""

from __future__ import annotations

from typing import Final

from isthmus.blueprint.sections import Parsed
from isthmus.hub import inventory
from isthmus.kernel import duration
from isthmus.kernel.errors import IsthmusError, Problem, Rejected
from isthmus.kernel.kinds.monitoring import SEVERITIES
from isthmus.practices.monitoring.blueprint import (
    ENVIRONMENT,
    LEAST_EXPECTED,
    LONGEST_WAIT,
    EarlierIdentity,
    IdentitySpec,
    MatcherSpec,
    MonitoringSection,
    RuleSpec,
)
from isthmus.practices.monitoring.rules.automation import Level, missing_conditions
from isthmus.practices.monitoring.rules.identity import NOISE
from isthmus.practices.monitoring.rules.matching import Matcher

_FIELDS: Final = frozenset({"labels.*", "summary", "severity", "external_key"})


SIMILARITY_LEAST: Final = 50
LEAST_CONFIDENCE: Final = 0.5
PARTNER_SILENCES: Final = ("own", "all", "ignore")


def _check_identity(path: str, spec: IdentitySpec | EarlierIdentity) -> list[Problem]:
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
    if isinstance(spec, IdentitySpec):
        for index, each in enumerate(spec.earlier):
            problems += _check_identity(f"{path}/earlier/{index}", each)
            if each.version >= spec.version:
                problems.append(
                    Problem(
                        path=f"{path}/earlier/{index}/version",
                        message=f"{each.version} is not before {spec.version}",
                        remedy="Raise the version of the rule in force.",
                    )
                )
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
        if rule.similarity and not SIMILARITY_LEAST <= rule.similarity <= 100:
            remedy = f"Give {SIMILARITY_LEAST} to 100 per cent, or 0 for none."
            problems.append(Problem(path=f"{path}/similarity", message="out of bounds", remedy=remedy))
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


def _check_accuracy(section: MonitoringSection, parsed: Parsed | None) -> list[Problem]:
    spec = section.automation.accuracy
    bounds = {
        "threshold": (0 <= spec.threshold <= 1, "Give 0 to 1."),
        "per_mille": (1 <= spec.per_mille <= 1000, "Give 1 to 1000."),
        "verdicts_min": (spec.verdicts_min >= 1, "Give 1 or more."),
        "confidence": (LEAST_CONFIDENCE <= spec.confidence < 1, "Give 0.5 to below 1, such as 0.95."),
        "class_label": (bool(spec.class_label), "Name a label."),
    }
    if spec.ladder and parsed is not None:
        known = sorted(parsed.section("on_call").ladders)
        there = f"There are: {', '.join(known) or 'none'} (section on_call)."
        bounds["ladder"] = (spec.ladder in known, there)
    return [
        Problem(path=f"/automation/accuracy/{name}", message="out of bounds", remedy=remedy)
        for name, (fits, remedy) in bounds.items()
        if not fits
    ] + duration.check([("/automation/accuracy/window", spec.window)])


def check(section: MonitoringSection, parsed: Parsed | None) -> list[Problem]:
    """Find unknown fields, bad patterns and expressions, rules without a condition, full automation without a net."""
    problems = _check_identity("/identity", section.identity)
    for name, spec in section.sources.items():
        problems += _check_identity(f"/sources/{name}", spec)
    for index, rule in enumerate(section.suppression.inhibitions):
        problems += _check_matchers(f"/suppression/inhibitions/{index}/source", rule.source)
        problems += _check_matchers(f"/suppression/inhibitions/{index}/target", rule.target)
    for name, expected in section.expected.items():
        if expected.heartbeat:
            problems += _check_matchers(f"/expected/{name}/heartbeat", expected.heartbeat)
        if expected.severity not in SEVERITIES:
            remedy = f"Use {', '.join(SEVERITIES)}."
            problems.append(Problem(path=f"/expected/{name}/severity", message="unknown", remedy=remedy))
        if expected.every < LEAST_EXPECTED:
            remedy = "Give at least PT10S."
            problems.append(Problem(path=f"/expected/{name}/every", message="too short", remedy=remedy))
    meant = {"/suppression/partner_silences": section.suppression.partner_silences}
    meant |= {f"/suppression/partners/{name}": each for name, each in section.suppression.partners.items()}
    problems += [
        Problem(path=path, message=f"{each!r} is unknown", remedy=f"Use {', '.join(PARTNER_SILENCES)}.")
        for path, each in meant.items()
        if each not in PARTNER_SILENCES
    ]
    return (
        problems
        + _check_rules(section.correlation.rules)
        + _check_words(section)
        + _check_accuracy(section, parsed)
        + _check_mirrors(section, parsed)
        + _check_durations(section)
    )


def _check_mirrors(section: MonitoringSection, parsed: Parsed | None) -> list[Problem]:
    """Find mirrors at connections that are none, that cannot keep an alert, or that stand twice."""
    entries = parsed.section("connections") if parsed is not None else None
    problems, seen = [], set[str]()
    for place, spec in enumerate(section.alert_mirrors):
        path, name = f"/alert_mirrors/{place}", spec.connection
        for index, each in enumerate(spec.severities):
            if each not in SEVERITIES:
                remedy = f"Use {', '.join(SEVERITIES)}."
                problems.append(Problem(path=f"{path}/severities/{index}", message="unknown", remedy=remedy))
        if name in seen:
            remedy = "Put the severities and sources into one."
            problems.append(Problem(path=f"{path}/connection", message="has a mirror already", remedy=remedy))
        seen.add(name)
        if entries is None:
            continue
        entry = entries.get(name)
        if entry is None:
            remedy = f"There are: {', '.join(sorted(entries)) or 'none'}."
            problems.append(Problem(path=f"{path}/connection", message=f"{name!r} is unknown", remedy=remedy))
        elif not _keeps(entry.connector):
            remedy = "Name a connection of a pager, such as PagerDuty."
            text = f"{name!r} ({entry.connector}) cannot keep an alert until it is over"
            problems.append(Problem(path=f"{path}/connection", message=text, remedy=remedy))
    return problems


def _keeps(connector: str) -> bool:
    try:
        manifest = inventory.find(connector).manifest
    except IsthmusError:
        return True  # the section `connections` says what is wrong
    needed = ("notification:notify", "alert:acknowledge", "alert:resolve")
    return set(needed) <= set(manifest.capabilities)


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
    spans += [(f"/expected/{name}/every", each.every) for name, each in section.expected.items()]
    spans += [
        (f"/correlation/reports/{name}", getattr(correlation.reports, name))
        for name in ("interval", "repeat")
    ]
    waits = [(f"/correlation/rules/{place}/wait", each.wait) for place, each in enumerate(correlation.rules)]
    spans += [("/telling/instead", section.telling.instead)]
    spans += [(f"/tellings/{name}/instead", each.instead) for name, each in section.tellings.items()]
    return duration.check(spans) + duration.check([("/times/wait", times.wait), *waits], most=LONGEST_WAIT)


def affects(old: MonitoringSection, new: MonitoringSection) -> list[str]:
    """Return sentences for the plan: what happens to alerts that are open when the rules of identity change."""
    said = []
    pairs = {"every source": (old.identity, new.identity)}
    pairs |= {
        name: (old.sources.get(name, old.identity), new.sources.get(name, new.identity))
        for name in old.sources.keys() | new.sources.keys()
    }
    for name, (before, after) in sorted(pairs.items()):
        if _rule(before) == _rule(after):
            continue
        if any(_rule(each) == _rule(before) for each in after.earlier):
            said.append(
                f"Identity of {name} changes: alerts open under version {before.version} are still matched."
            )
        else:
            said.append(
                f"Identity of {name} changes: alerts open under version {before.version} are not matched any more, because"
                " `earlier` does not name that rule; they end when their source has been silent for `times.stale`."
            )
    return said


def _rule(spec: IdentitySpec | EarlierIdentity) -> tuple[object, ...]:
    return spec.fields, spec.ignore, spec.noise, spec.scope, spec.version
