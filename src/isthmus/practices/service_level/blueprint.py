"""Section `service_levels` of the blueprint: what is promised to whom, in which hours, and what moves the clock."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.kernel import duration, expression
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.kinds.incident import LEVELS

VARIABLES: Final = {"record": "json", "tier": "text", "service": "text"}
"""What conditions may name: the record's fields, the tier (criticality) and name of its service."""
CONDITIONS: Final = ("start", "stop", "pause", "reset", "cancel")
LEAST: Final = dt.timedelta(seconds=1)
DEFINITIONS_MAX: Final = 200
TARGETS_MAX: Final = 10
THRESHOLDS_MAX: Final = 10
_FIELD = re.compile(r"\brecord\s*(?:\.\s*(\w+)|\[\s*['\"](\w+)['\"]\s*\])")
_RECORD = re.compile(r"\brecord\b(?!\s*[.\[])")

USUAL: Final[dict[tuple[str, str], dict[str, str]]] = {
    ("incident", "response"): {
        "stop": "record.state != 'new' || record.assignee != ''",
        "cancel": "record.state == 'cancelled'",
        "pause": "record.state == 'on_hold'",
    },
    ("incident", "resolution"): {
        "stop": "record.state in ['resolved', 'closed']",
        "cancel": "record.state == 'cancelled'",
        "pause": "record.state == 'on_hold'",
    },
    ("change", "response"): {
        "stop": "record.state != 'new'",
        "cancel": "record.state == 'cancelled'",
    },
    ("change", "resolution"): {
        "stop": "record.state in ['review', 'closed']",
        "cancel": "record.state == 'cancelled'",
    },
}
"""Conditions of the targets that everybody has, where a definition does not say otherwise."""


class TargetSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One promise: `within` working time. What is not given is the definition's, or the usual of its kind.

    `start`, `stop`, `pause`, `reset` and `cancel` are CEL over `record` (its fields), `tier` and `service`; a
    reset counts when it becomes true. `reopened`: what a stop that did not last means: `resume` (the time in
    between does not count), `restart` (from nought) or `final` (the first stop stands).
    """

    within: dt.timedelta
    calendar: str = ""
    start: str = ""
    stop: str = ""
    pause: str | None = None
    reset: str = ""
    cancel: str = ""
    reopened: Literal["", "resume", "restart", "final"] = ""
    thresholds: list[int] = []


class DefinitionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What records of `kind` are promised where everything that is given fits; the first that fits counts, per target.

    `services` are names, keys or ids of the map, `tiers` the criticality of the service. `begins`: no earlier
    than the record was `opened` here, or when its first event `occurred`. `retarget`: what a record that comes
    under this definition later gets: judged by it `retroactive` from the beginning, `carry` on with what has
    counted, or `restart` from nought. `thresholds` in percent; 100 (the breach) is always one.
    """

    name: str
    kind: str = "incident"
    priorities: list[str] = []
    services: list[str] = []
    tiers: list[str] = []
    when: str = ""
    calendar: str = "24x7"
    pause: str | None = None
    begins: Literal["opened", "occurred"] = "opened"
    retarget: Literal["retroactive", "carry", "restart"] = "retroactive"
    thresholds: list[int] = msgspec.field(default_factory=lambda: [50, 75, 100])
    targets: dict[str, TargetSpec]


def conditions(spec: DefinitionSpec, target: str) -> dict[str, str]:
    """Return the conditions in force for one target: its own, the definition's, the usual ones of its kind."""
    own = spec.targets[target]
    usual = USUAL.get((spec.kind, target), {})
    found = {name: getattr(own, name) or usual.get(name, "") for name in ("start", "stop", "reset", "cancel")}
    given = own.pause if own.pause is not None else spec.pause
    found["pause"] = given if given is not None else usual.get("pause", "")
    return found


def thresholds(spec: DefinitionSpec, target: str) -> tuple[int, ...]:
    """Return the thresholds in percent, in order, the breach among them."""
    return tuple(sorted({*(spec.targets[target].thresholds or spec.thresholds), 100}))


def fields_named(text: str) -> frozenset[str] | None:
    """Return the fields of `record` that an expression names; None where it uses the record as a whole."""
    if _RECORD.search(text):
        return None
    return frozenset(one or other for one, other in _FIELD.findall(text))


def check(section: list[DefinitionSpec], parsed: Parsed) -> list[Problem]:
    """Find names given twice, unknown kinds, fields, levels and calendars, wrong conditions, targets without a stop."""
    problems: list[Problem] = []
    if len(section) > DEFINITIONS_MAX:
        problems.append(
            Problem(path="", message=f"More than {DEFINITIONS_MAX} definitions.", remedy="Merge some.")
        )
    names: set[str] = set()
    calendars = {"24x7", *(each.name for each in parsed.section("calendars"))}
    for index, spec in enumerate(section):
        if not spec.name.strip() or spec.name in names:
            problems.append(
                Problem(
                    path=f"/{index}/name", message="The name is empty or taken.", remedy="Choose another."
                )
            )
        names.add(spec.name)
        problems += [
            Problem(path=f"/{index}{each.path}", message=each.message, remedy=each.remedy)
            for each in _check_one(spec, calendars)
        ]
    return problems


def _check_one(spec: DefinitionSpec, calendars: set[str]) -> Iterator[Problem]:
    if spec.kind not in KINDS or spec.kind.startswith("sla_"):
        near = difflib.get_close_matches(spec.kind, KINDS, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else "Use a kind of the reference, such as incident."
        yield Problem(path="/kind", message=f"There is no kind {spec.kind!r}.", remedy=remedy)
        return
    if not spec.targets or len(spec.targets) > TARGETS_MAX:
        yield Problem(path="/targets", message="No target, or too many.", remedy=f"Give 1 to {TARGETS_MAX}.")
    for level in spec.priorities:
        if level not in LEVELS:
            yield Problem(path="/priorities", message=f"{level!r} is not a level", remedy='Give "1" to "4".')
    if spec.priorities and "priority" not in KINDS[spec.kind].by_name:
        yield Problem(path="/priorities", message=f"A {spec.kind} has no priority.", remedy="Leave it out.")
    yield from _calendar("/calendar", spec.calendar, calendars)
    yield from _thresholds("/thresholds", spec.thresholds)
    for path, text in (("/when", spec.when), ("/pause", spec.pause or "")):
        yield from _condition(path, text, spec.kind)
    for name, own in spec.targets.items():
        path = f"/targets/{name}"
        yield from _calendar(f"{path}/calendar", own.calendar or spec.calendar, calendars)
        yield from _thresholds(f"{path}/thresholds", own.thresholds)
        yield from duration.check([(f"{path}/within", own.within)], least=LEAST)
        if not conditions(spec, name)["stop"]:
            yield Problem(
                path=f"{path}/stop",
                message=f"Nothing stops the target {name!r} of a {spec.kind}.",
                remedy="Give a condition, e.g. record.state == 'closed'.",
            )
        for condition in CONDITIONS:
            yield from _condition(f"{path}/{condition}", getattr(own, condition) or "", spec.kind)


def _calendar(path: str, name: str, known: set[str]) -> Iterator[Problem]:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else "Add it to the section 'calendars'."
        yield Problem(path=path, message=f"There is no calendar {name!r}.", remedy=remedy)


def _thresholds(path: str, given: list[int]) -> Iterator[Problem]:
    if len(given) > THRESHOLDS_MAX or any(not 1 <= each <= 500 for each in given):
        remedy = f"Give at most {THRESHOLDS_MAX} whole percents from 1 to 500."
        yield Problem(path=path, message="These thresholds cannot be kept.", remedy=remedy)


def _condition(path: str, text: str, kind: str) -> Iterator[Problem]:
    if not text:
        return
    try:
        returns = expression.compile(text, VARIABLES).returns
    except Rejected as fault:
        yield Problem(path=path, message=fault.text, remedy=fault.remedy)
        return
    if returns not in {"BOOL", "DYN"}:
        yield Problem(
            path=path, message="A condition is true or false.", remedy=f"This one yields {returns}."
        )
    for name in sorted(fields_named(text) or ()):
        if name not in KINDS[kind].by_name:
            near = difflib.get_close_matches(name, KINDS[kind].by_name, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else "See the reference of record kinds."
            yield Problem(path=path, message=f"A {kind} has no field {name!r}.", remedy=remedy)


def affects(old: list[DefinitionSpec], new: list[DefinitionSpec]) -> list[str]:
    """Say which kinds have their open clocks counted anew by this change."""
    kinds = sorted({each.kind for each in (*old, *new)})
    return [f"The open clocks of every {each} are counted anew from its history." for each in kinds]


def declare() -> None:
    """Register the section; called once from `ready`."""
    register(
        Section(
            name="service_levels",
            schema=list[DefinitionSpec],
            help="Promises per kind, priority, service and tier: targets, calendars, what starts, pauses and stops the clock.",
            default=list,
            check=check,
            affects=affects,
        )
    )
