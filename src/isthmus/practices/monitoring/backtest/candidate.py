"""What is to be tried on the past: sections or single rules, checked as the whole blueprint would be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.blueprint import service
from isthmus.blueprint.source import Source
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.practices.monitoring.backtest.shapes import DAYS_MAX

SECTIONS: Final = ("monitoring", "incident")
RULES_MAX: Final = 500


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A checked request. `in_force` and `candidate` are whole blueprints as plain sections."""

    organisation: str
    since: Instant
    until: Instant
    in_force: dict[str, Any]
    candidate: dict[str, Any]
    rules: list[dict[str, Any]] = field(default_factory=list)


def wanted(
    *,
    organisation: str,
    sections: Mapping[str, Any] | None,
    rules: Sequence[Mapping[str, Any]] | None,
    since: Instant,
    until: Instant,
) -> Wanted:
    """Check a candidate and a window; every problem is named with its place.

    `sections` replace those in force; `rules` replace correlation rules of the same name, or stand behind the others.
    """
    in_force = service.export()
    candidate = merged(in_force, sections, rules)
    problems = []
    if until <= since:
        problems.append(
            Problem(path="/until", message="not after the beginning", remedy="Give a later instant.")
        )
    if until - since > DAYS_MAX * DAY:
        problems.append(
            Problem(
                path="/since", message=f"more than {DAYS_MAX} days back", remedy="Choose a shorter window."
            )
        )
    if problems:
        raise Rejected("There is no such window.", problems=tuple(problems))
    service.checked(Source(sections=candidate))
    return Wanted(
        organisation=organisation,
        since=since,
        until=until,
        in_force=in_force,
        candidate=candidate,
        rules=[dict(each) for each in rules or ()],
    )


def merged(
    in_force: Mapping[str, Any],
    sections: Mapping[str, Any] | None,
    rules: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """Return the blueprint as it would be with the candidate."""
    if not sections and not rules:
        raise Rejected(
            "There is nothing to try.",
            remedy="Give sections (monitoring, incident) or correlation rules.",
            problems=(Problem(path="/rules", message="missing", remedy="Give at least one rule."),),
        )
    strange = sorted(set(sections or ()) - set(SECTIONS))
    if strange:
        raise Rejected(
            f"A back-test tries {' and '.join(SECTIONS)} only.",
            problems=tuple(
                Problem(path=f"/{name}", message="cannot be tried", remedy="Leave it out.")
                for name in strange
            ),
        )
    if len(rules or ()) > RULES_MAX:
        raise Rejected(f"More than {RULES_MAX} rules.", remedy="Try fewer at once.")
    found = {**in_force, **(sections or {})}
    if rules:
        found["monitoring"] = with_rules(found.get("monitoring"), rules)
    return found


def with_rules(monitoring: Any, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the section with rules put in: in the place of one of the same name, else behind the others."""
    section = dict(monitoring) if isinstance(monitoring, dict) else {}
    correlation = section.get("correlation")
    correlation = dict(correlation) if isinstance(correlation, dict) else {}
    held = correlation.get("rules")
    held = list(held) if isinstance(held, list) else []
    for rule in rules:
        places = [
            place for place, each in enumerate(held)
            if isinstance(each, dict) and each.get("name") == rule.get("name")
        ]  # fmt: skip
        if places:
            held[places[0]] = dict(rule)
        else:
            held.append(dict(rule))
    return {**section, "correlation": {**correlation, "rules": held}}
