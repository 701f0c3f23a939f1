"""The definitions in force, ready to be asked: which terms a record with these facts is promised.

Made once per blueprint generation. What the short section `incident.targets` says is a definition like any
other, the last one: so there is one place where promises come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from isthmus import blueprint
from isthmus.blueprint.sections import Parsed
from isthmus.kernel import expression
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Rejected
from isthmus.kernel.expression import Program
from isthmus.kernel.kinds import KINDS
from isthmus.practices.change import service as changes
from isthmus.practices.configuration import service as configuration
from isthmus.practices.service_level.blueprint import (
    VARIABLES,
    DefinitionSpec,
    TargetSpec,
    conditions,
    fields_named,
    thresholds,
)
from isthmus.practices.service_level.rules.clock import Facts, Says, Terms

SHORT = "incident.targets"
"""The name of the definitions that stand for the section `incident.targets`."""
_ALWAYS = ("priority", "service", "ci", "state")
_TARGETS = {"response": "respond", "resolution": "resolve"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Promise:
    """One target of one definition with its filter."""

    spec: DefinitionSpec
    when: Program | None
    terms: Terms

    def fits(self, facts: Facts) -> bool:
        spec = self.spec
        if spec.priorities and facts["record"].get("priority") not in spec.priorities:
            return False
        if spec.tiers and facts["tier"] not in spec.tiers:
            return False
        if spec.services and not {facts["service"], facts["service_id"], facts["service_key"]} & {
            *spec.services
        }:
            return False
        return self.when is None or _holds(self.when, facts)


@dataclass(frozen=True, eq=False)
class Definitions:
    """All promises of one blueprint generation, per kind and target, in order."""

    promises: Mapping[str, Mapping[str, tuple[Promise, ...]]]

    def kinds(self) -> frozenset[str]:
        return frozenset(self.promises)

    @cached_property
    def watched(self) -> Mapping[str, frozenset[str]]:
        """Per kind the fields whose change may move a clock."""
        return {kind: self._watched(kind) for kind in self.promises}

    def _watched(self, kind: str) -> frozenset[str]:
        known = KINDS[kind].by_name
        found = {each for each in _ALWAYS if each in known}
        for promises in self.promises[kind].values():
            for each in promises:
                texts = [each.spec.when, *conditions(each.spec, each.terms.target).values()]
                for text in texts:
                    named = fields_named(text)
                    found |= set(known) if named is None else named
        return frozenset(found)

    def terms(self, kind: str, target: str, facts: Facts) -> Terms | None:
        """Return the terms of the first definition that fits, None where nothing is promised."""
        for each in self.promises[kind].get(target, ()):
            if each.fits(facts):
                return each.terms
        return None

    def named(self, kind: str, target: str, definition: str) -> Terms | None:
        """Return the terms of a definition by name."""
        for each in self.promises.get(kind, {}).get(target, ()):
            if each.terms.name == definition:
                return each.terms
        return None


def _holds(program: Program, facts: Facts) -> bool:
    return program.holds(facts["values"])


def made(parsed: Parsed) -> Definitions:
    """Return the definitions of a blueprint."""
    calendars = changes.working_times(parsed)
    found: dict[str, dict[str, list[Promise]]] = {}
    for spec in [*parsed.section("service_levels"), *_short(parsed)]:
        for target, own in spec.targets.items():
            promise = _promise(spec, target, own, calendars)
            found.setdefault(spec.kind, {}).setdefault(target, []).append(promise)
    return Definitions(
        {kind: {name: tuple(each) for name, each in targets.items()} for kind, targets in found.items()}
    )


def _promise(spec: DefinitionSpec, target: str, own: TargetSpec, calendars: Mapping[str, Any]) -> Promise:
    texts = conditions(spec, target)
    programs = {name: expression.compile(text, VARIABLES) for name, text in texts.items() if text}
    name = own.calendar or spec.calendar
    reopened = own.reopened or ("final" if target == "response" else "resume")

    def says(facts: Facts) -> Says:
        return _says(programs, facts)

    terms = Terms(
        name=spec.name,
        target=target,
        amount=microseconds(own.within),
        hours=calendars[name],
        calendar=name,
        says=says,
        retarget=spec.retarget,
        reopen=reopened,
        begins=spec.begins,
        thresholds=thresholds(spec, target),
    )
    return Promise(
        spec=spec, when=expression.compile(spec.when, VARIABLES) if spec.when else None, terms=terms
    )


def _says(programs: Mapping[str, Program], facts: Facts) -> Says:
    cache = facts["said"]
    found = {}
    for name, program in programs.items():
        if program.text not in cache:
            # A condition that cannot be evaluated for these values holds for none: a field that is empty yet.
            try:
                cache[program.text] = program.holds(facts["values"])
            except Rejected:
                cache[program.text] = False
        found[name] = cache[program.text]
    return Says(**found)


def _short(parsed: Parsed) -> list[DefinitionSpec]:
    """Return what `incident.targets` promises, as definitions: around the clock, without pauses."""
    return [
        DefinitionSpec(
            name=f"{SHORT}.{level}",
            priorities=[level],
            pause="",
            targets={name: TargetSpec(within=getattr(each, member)) for name, member in _TARGETS.items()},
        )
        for level, each in parsed.section("incident").targets.items()
    ]


_held: list[tuple[Any, Definitions]] = []


def current() -> Definitions:
    """Return the definitions of the blueprint in force; made anew only when that changes."""
    running = blueprint.current()
    if not _held or _held[0][0] is not running:
        _held[:] = [(running, made(running))]
    return _held[0][1]


class FactsMaker:
    """Makes what conditions may ask about records of one organisation, with one look at its map.

    Records of a storm are alike: facts, and what conditions said about them, are made once per distinct values.
    """

    def __init__(self, organisation: str) -> None:
        self._cis = configuration.snapshot_of(organisation).cis
        self._made: dict[tuple[Any, ...], dict[str, Any]] = {}

    def __call__(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of a record with these field values."""
        key = tuple(values.values())
        try:
            found = self._made.get(key)
        except TypeError:  # a list or a map among them
            return self._new(values)
        if found is None:
            found = self._made[key] = self._new(values)
        return found

    def _new(self, values: Mapping[str, Any]) -> dict[str, Any]:
        ci, service_id = str(values.get("ci") or ""), str(values.get("service") or "")
        service = self._cis.get(service_id)
        deciding = service or self._cis.get(ci)
        facts: dict[str, Any] = {
            "record": values,
            "tier": deciding.criticality if deciding is not None else "",
            "service": service.name if service is not None else "",
        }
        return {
            **facts,
            "service_id": service_id,
            "service_key": service.external_key if service is not None else "",
            "values": _ENVIRONMENT.facts(facts),
            "said": {},
        }


_ENVIRONMENT = expression.compile("true", VARIABLES).environment
