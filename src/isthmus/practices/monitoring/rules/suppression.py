"""Should this alert stay quiet? Maintenance, then silences, then inhibition; each answer names its rule.

Nothing is thrown away: a suppressed alert is a record with its reason. The rules only ever *find* a reason
to suppress, so taking one away can only un-suppress. Only authorised changes open a maintenance window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.kernel.record import Reason
from isthmus.practices.monitoring.rules.matching import Matcher, all_fit

AUTHORISED = "approved"


@dataclass(frozen=True, kw_only=True)
class Window:
    """The window of one change; `cis` are its items and everything that depends on them."""

    change: str
    number: str
    starts_at: Instant
    ends_at: Instant
    authorisation: str
    cis: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Silence:
    id: str
    matchers: tuple[Matcher, ...]
    starts_at: Instant
    ends_at: Instant
    owner: str


@dataclass(frozen=True, kw_only=True)
class Inhibition:
    """While an alert fits `source`, those that fit `target` and agree on `equal` stay quiet."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The alert that is judged. `labels` include `severity` and `connection`."""

    identity: str
    labels: Mapping[str, str]
    ci: str = ""
    severity: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceAlert:
    """A firing alert that may inhibit others."""

    id: str
    identity: str
    labels: Mapping[str, str]
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """`decision` as in the record kind, `by` the record that mutes, `until` when to look again (None: not timed)."""

    decision: str
    by: str
    reason: Reason
    until: Instant | None = None


def decide(
    subject: Subject,
    *,
    windows: Sequence[Window],
    silences: Sequence[Silence],
    inhibitions: Sequence[Inhibition],
    sources: Sequence[SourceAlert],
    now: Instant,
) -> Suppression | None:
    """Return the first ground to suppress, or None."""
    return (
        by_maintenance(subject, windows, now)
        or by_silence(subject, silences, now)
        or by_inhibition(subject, inhibitions, sources)
    )


def by_maintenance(subject: Subject, windows: Sequence[Window], now: Instant) -> Suppression | None:
    """Authorised windows over the alert's CI; of several the one that ends last, which decides the end."""
    if not subject.ci:
        return None
    covering = [
        each
        for each in windows
        if each.authorisation == AUTHORISED
        and subject.ci in each.cis
        and each.starts_at <= now < each.ends_at
    ]
    if not covering:
        return None
    window = max(covering, key=lambda each: (each.ends_at, each.change))
    return Suppression(
        decision="suppressed_maintenance",
        by=window.change,
        until=window.ends_at,
        reason=Reason(
            rule="monitoring.suppression.maintenance",
            text=f"Quiet: inside the authorised window of {window.number}, which ends {to_rfc3339(window.ends_at)}.",
            facts={"change": window.change, "number": window.number, "window_end": window.ends_at},
        ),
    )


def by_silence(subject: Subject, silences: Sequence[Silence], now: Instant) -> Suppression | None:
    """Silences of people, in force now; of several the one that lasts longest."""
    fitting = [
        each
        for each in silences
        if each.starts_at <= now < each.ends_at and all_fit(each.matchers, subject.labels)
    ]
    if not fitting:
        return None
    silence = max(fitting, key=lambda each: (each.ends_at, each.id))
    words = ", ".join(str(each) for each in silence.matchers)
    return Suppression(
        decision="suppressed_silence",
        by=silence.id,
        until=silence.ends_at,
        reason=Reason(
            rule="monitoring.suppression.silence",
            text=f"Quiet: silenced ({words}) until {to_rfc3339(silence.ends_at)}.",
            facts={"silence": silence.id, "owner": silence.owner},
        ),
    )


def by_inhibition(
    subject: Subject, inhibitions: Sequence[Inhibition], sources: Sequence[SourceAlert]
) -> Suppression | None:
    """A worse alert that explains this one is firing. An alert never inhibits itself."""
    for rule in inhibitions:
        if not all_fit(rule.target, subject.labels):
            continue
        for source in sources:
            if source.identity == subject.identity or not all_fit(rule.source, source.labels):
                continue
            if all(source.labels.get(label, "") == subject.labels.get(label, "") for label in rule.equal):
                return Suppression(
                    decision="suppressed_inhibited",
                    by=source.id,
                    reason=Reason(
                        rule=f"monitoring.suppression.inhibition.{rule.name}",
                        text=f"Quiet: “{source.summary or source.id}” is firing and explains it (rule “{rule.name}”).",
                        facts={"source": source.id, "rule": rule.name},
                    ),
                )
    return None


def may_inhibit(labels: Mapping[str, str], inhibitions: Sequence[Inhibition]) -> bool:
    """Return whether an alert with these labels is a source of any rule."""
    return any(all_fit(rule.source, labels) for rule in inhibitions)
