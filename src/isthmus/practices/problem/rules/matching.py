"""Does a known error fit an incident, or an alert of it? A pure rule that says why.

A known error names items or classes of items, services, and a condition (CEL) on labels and texts. Each that it
names must fit: one of the items or classes, one of the services, the condition. One that names nothing fits
nothing: it is attached by hand only. Conditions are compiled once per state of the known errors; those of known
errors that name items or services are only asked where these fit already, and equalities on labels that a
condition requires are compared before CEL is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from isthmus.kernel.errors import Rejected
from isthmus.kernel.expression import Environment, Facts, Program
from isthmus.kernel.record import Json, Reason
from isthmus.kernel.rule_set import required

RULE: Final = "problem.known_error.fits"
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
        "title": "text",
        "description": "text",
    }
)
"""What a condition may ask: everything that a correlation rule may ask of an alert, and the incident's texts."""
_NOTHING: Final[Mapping[str, str]] = {}
_SHOWN_MAX: Final = 200
"""Most characters of a condition that a reason repeats."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An incident, or one of its alerts (`alert`: its id). `ci` and `service` are ids, the `…_name`s what the map
    calls them; an incident without an alert has no labels."""

    alert: str = ""
    ci: str = ""
    ci_name: str = ""
    ci_class: str = ""
    environment: str = ""
    service: str = ""
    service_name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    severity: str = ""
    summary: str = ""
    connection: str = ""
    title: str = ""
    description: str = ""

    def values(self) -> dict[str, Json]:
        """Return the variables of `ENVIRONMENT`."""
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "severity": self.severity,
            "summary": self.summary,
            "connection": self.connection,
            "ci": self.ci_name,
            "ci_class": self.ci_class,
            "environment": self.environment,
            "service": self.service_name,
            "title": self.title,
            "description": self.description,
        }

    @cached_property
    def facts(self) -> Facts:
        return ENVIRONMENT.facts(self.values())


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What one published known error names; `version` is that of its record."""

    id: str
    number: str
    version: int
    cis: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    condition: Program | None = None

    @cached_property
    def needs(self) -> Mapping[str, str]:
        """Labels that the condition requires to be equal to a text, proven from its own text."""
        return required(self.condition.text)[0] if self.condition is not None else _NOTHING

    @property
    def empty(self) -> bool:
        return not (self.cis or self.classes or self.services or self.condition)

    @property
    def open_ended(self) -> bool:
        """Whether its condition has to be asked of every incident: it names nothing and requires no label."""
        return self.condition is not None and not (self.cis or self.classes or self.services or self.needs)

    @property
    def closest(self) -> int:
        """The closeness that its best fit would have."""
        return 0 if self.cis else 1 if self.classes else 2 if self.services else 3


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A known error that fits, and why (`words`, and as a reason); `closeness` orders: the item itself before its class
    before the rest."""

    criteria: Criteria
    subject: Subject
    closeness: int
    words: str
    reason: Reason


def condition(text: str) -> Program | None:
    """Return the compiled condition, None for none; `Rejected` names line and column. It is evaluated once, because
    CEL finds a bad pattern only when it runs."""
    if not text.strip():
        return None
    program = ENVIRONMENT.compile(text.strip())
    if program.returns not in {"BOOL", "DYN"}:
        raise Rejected(
            f"The condition yields {program.returns.lower()}, not true or false.",
            remedy="Compare something, e.g. labels.alertname == 'DiskFull'.",
        )
    program.holds(Subject().facts)
    return program


def fits(criteria: Criteria, subject: Subject) -> Fit | None:
    """Return why a known error fits, None if it does not; `Rejected` if its condition cannot be evaluated."""
    said: list[tuple[int, str]] = []
    for named, part in (
        (bool(criteria.cis or criteria.classes), _on_item),
        (bool(criteria.services), _hits_service),
        (criteria.condition is not None, _holds),
    ):
        if named:
            found = part(criteria, subject)
            if found is None:
                return None
            said.append(found)
    if not said:
        return None
    words = " and ".join(each for _, each in said)
    text = f"Known error {criteria.number} fits: {words}."
    facts: dict[str, Json] = {"known_error": criteria.id, "version": criteria.version, "ci": subject.ci}
    if subject.alert:
        facts["alert"] = subject.alert
    reason = Reason(rule=RULE, text=text, facts=facts)
    return Fit(criteria=criteria, subject=subject, closeness=min(said)[0], words=words, reason=reason)


def _on_item(criteria: Criteria, subject: Subject) -> tuple[int, str] | None:
    """Return (closeness, words) if the subject is on a named item, or on one of a named class."""
    name = subject.ci_name or subject.ci
    if subject.ci and subject.ci in criteria.cis:
        return 0, f"it is on {name}"
    if subject.ci_class and subject.ci_class in criteria.classes:
        return 1, f"{name} is of class {subject.ci_class}"
    return None


def _hits_service(criteria: Criteria, subject: Subject) -> tuple[int, str] | None:
    if not subject.service or subject.service not in criteria.services:
        return None
    return 2, f"it hits {subject.service_name or subject.service}"


def _holds(criteria: Criteria, subject: Subject) -> tuple[int, str] | None:
    if any(subject.labels.get(name) != text for name, text in criteria.needs.items()):
        return None
    if criteria.condition is None or not criteria.condition.holds(subject.facts):
        return None
    return 3, f"its condition holds ({criteria.condition.text[:_SHOWN_MAX]})"


class Published:
    """The known errors of one organisation that are published, found by what they name: by item and class, else by
    service, else by a label that their condition requires. Only the conditions that require none are asked each time."""

    def __init__(self, criteria: Iterable[Criteria]) -> None:
        self.all = tuple(sorted(criteria, key=lambda each: each.number))
        self._named: dict[tuple[str, str], list[int]] = {}
        self._labelled: dict[str, dict[str, list[int]]] = {}
        self._others: list[int] = []
        for place, each in enumerate(self.all):
            keys = [*(("ci", ci) for ci in each.cis), *(("class", name) for name in each.classes)]
            keys = keys or [("service", service) for service in each.services]
            for key in keys:
                self._named.setdefault(key, []).append(place)
            if not keys and not each.empty:
                self._unnamed(place, each)

    def _unnamed(self, place: int, each: Criteria) -> None:
        """Keep a known error that has nothing but a condition."""
        if each.needs:
            label, text = next(iter(each.needs.items()))
            self._labelled.setdefault(label, {}).setdefault(text, []).append(place)
        else:
            self._others.append(place)

    @property
    def empty(self) -> bool:
        return not (self._named or self._labelled or self._others)

    @property
    def open_ended(self) -> int:
        """How many conditions are asked of every incident."""
        return len(self._others)

    @cached_property
    def reads_texts(self) -> bool:
        """Whether any condition may look at the incident's own texts, which are sealed and cost an opening."""
        programs = [each.condition.text for each in self.all if each.condition is not None]
        return any("title" in text or "description" in text for text in programs)

    def _candidates(self, subject: Subject) -> Iterator[Criteria]:
        places = set(self._others)
        for key in (("ci", subject.ci), ("class", subject.ci_class), ("service", subject.service)):
            if key[1]:
                places.update(self._named.get(key, ()))
        for label, by_text in self._labelled.items():
            places.update(by_text.get(subject.labels.get(label, ""), ()))
        return (self.all[place] for place in sorted(places))

    def find(self, subjects: Iterable[Subject], *, most: int) -> tuple[list[Fit], dict[str, str]]:
        """Return (at most `most` fits, the closest first and one per known error, why conditions failed by number).

        A condition that cannot be evaluated fits nothing and stops nothing: an incident opens in any case.
        """
        found: dict[str, Fit] = {}
        broken: dict[str, str] = {}
        for subject in subjects:
            for criteria in self._candidates(subject):
                held = found.get(criteria.id)
                if held is not None and held.closeness == criteria.closest:
                    continue
                try:
                    fit = fits(criteria, subject)
                except Rejected as refusal:
                    broken[criteria.number] = refusal.text
                    continue
                if fit is not None and (held is None or fit.closeness < held.closeness):
                    found[criteria.id] = fit
        ordered = sorted(found.values(), key=lambda each: (each.closeness, each.criteria.number))
        return ordered[:most], broken
