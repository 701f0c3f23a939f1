"""What people may give a problem or a known error, checked field by field: every fault is named at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from isthmus.kernel.errors import NotFound, Problem, Rejected
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service as configuration
from isthmus.practices.problem import loading
from isthmus.practices.problem.models import Problem as ProblemRecord
from isthmus.practices.problem.rules import matching

TITLE_CHARACTERS_MAX: Final = 500
TEXT_CHARACTERS_MAX: Final = 20_000
WORD_CHARACTERS_MAX: Final = 120
LINK_CHARACTERS_MAX: Final = 2_000
CONDITION_CHARACTERS_MAX: Final = 4_000
NAMED_MAX: Final = 200
"""Most items, classes or services that one record names."""

PROBLEM_FIELDS: Final[Mapping[str, int]] = {
    "title": TITLE_CHARACTERS_MAX,
    "description": TEXT_CHARACTERS_MAX,
    "priority": 1,
    "service": TITLE_CHARACTERS_MAX,
    "assignment_group": WORD_CHARACTERS_MAX,
    "owner": WORD_CHARACTERS_MAX,
    "cause_code": WORD_CHARACTERS_MAX,
    "root_cause": TEXT_CHARACTERS_MAX,
}
"""Texts of a problem that may be given, with their longest; `cis` besides. Its state follows from its moves."""
KNOWN_ERROR_FIELDS: Final[Mapping[str, int]] = {
    "title": TITLE_CHARACTERS_MAX,
    "workaround": TEXT_CHARACTERS_MAX,
    "fix": TEXT_CHARACTERS_MAX,
    "link": LINK_CHARACTERS_MAX,
    "problem": WORD_CHARACTERS_MAX,
    "condition": CONDITION_CHARACTERS_MAX,
}
"""Texts of a known error that may be given; `cis`, `classes` and `services` besides."""

Refuse = Callable[[str, str, str], None]
"""(field, message, remedy): notes one fault."""


def problem(values: Mapping[str, Any], *, organisation: str, partial: bool) -> dict[str, Any]:
    """Return canonical values of a problem's fields, or raise `Rejected` naming each fault."""
    faults: list[Problem] = []
    no = _refuser(faults)
    found = _texts(values, PROBLEM_FIELDS, {"cis"}, no, partial=partial)
    if found.get("priority", "") not in (*LEVELS, ""):
        no("priority", f"{found['priority']!r} is not a level.", "Use 1 (highest) to 4.")
    if found.get("service"):
        found["service"] = _item(found["service"], organisation, "service", no)
    if "cis" in values:
        found["cis"] = _items(values["cis"], organisation, "cis", no)
    _raise(faults, "The problem is not accepted.")
    return found


def known_error(work: Work, values: Mapping[str, Any], *, organisation: str, partial: bool) -> dict[str, Any]:
    """Return canonical values of a known error's fields, or raise `Rejected` naming each fault."""
    faults: list[Problem] = []
    no = _refuser(faults)
    found = _texts(values, KNOWN_ERROR_FIELDS, {"cis", "classes", "services"}, no, partial=partial)
    if found.get("link") and not found["link"].lower().startswith(("https://", "http://")):
        no("link", "It is no web address.", "Begin with https://.")
    for name in ("cis", "services"):
        if name in values:
            found[name] = _items(values[name], organisation, name, no)
    if "classes" in values:
        found["classes"] = _names(values["classes"], "classes", no)
    if found.get("condition"):
        try:
            matching.condition(found["condition"])
        except Rejected as refusal:
            no("condition", refusal.text, refusal.remedy)
    if found.get("problem"):
        found["problem"] = _problem(work, found["problem"], organisation, no)
    _raise(faults, "The known error is not accepted.")
    return found


def text_of(value: object, name: str, *, most: int = TEXT_CHARACTERS_MAX, needed: bool = True) -> str:
    """Return one text that goes with an act (a cause, a reason), or raise `Rejected` naming it."""
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > most or (needed and not text):
        raise Rejected(
            f"{name.replace('_', ' ').capitalize()} is {'too long' if text else 'missing'}.",
            remedy=f"Give 1 to {most} characters.",
            problems=(Problem(path=f"/{name}", message="missing or too long", remedy=f"1 to {most} characters"),),
        )  # fmt: skip
    return text


def on_map(organisation: str, ids: Iterable[str]) -> list[str]:
    """Return those of the items that the live map knows: what is taken over must not be what is refused."""
    resolved = configuration.resolve([each for each in ids if each], organisation=organisation)
    return sorted({ci for ci in resolved.values() if ci})


def _refuser(faults: list[Problem]) -> Refuse:
    def no(name: str, message: str, remedy: str) -> None:
        faults.append(Problem(path=f"/{name}", message=message, remedy=remedy))

    return no


def _raise(faults: list[Problem], text: str) -> None:
    if faults:
        raise Rejected(text, problems=tuple(faults), remedy="Correct the fields named.")


def _texts(
    values: Mapping[str, Any], longest: Mapping[str, int], lists: set[str], no: Refuse, *, partial: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in lists:
            continue
        if name not in longest:
            no(name, f"{name!r} cannot be given.", f"Possible: {', '.join(sorted({*longest, *lists}))}.")
        elif not isinstance(value, str) or len(value) > longest[name]:
            no(name, f"A text of at most {longest[name]} characters is needed.", "Shorten it.")
        else:
            found[name] = value.strip()
    if (not partial or "title" in values) and not found.get("title"):
        no("title", "A title is needed.", "Say in a few words what goes wrong.")
    return found


def _names(value: Any, name: str, no: Refuse) -> list[str]:
    if (
        not isinstance(value, list)
        or len(value) > NAMED_MAX
        or not all(isinstance(each, str) and each.strip() for each in value)
    ):
        no(name, f"A list of at most {NAMED_MAX} names is needed.", "Leave out what is empty.")
        return []
    return sorted({each.strip() for each in value})


def _items(value: Any, organisation: str, name: str, no: Refuse) -> list[str]:
    """Return ids of items on the map. What is not on it is refused: nothing could ever be found on it."""
    resolved = configuration.resolve(_names(value, name, no), organisation=organisation)
    unknown = [reference for reference, ci in resolved.items() if not ci]
    if unknown:
        no(name, f"Not on the map: {', '.join(unknown[:10])}.", "Use names, aliases or keys of the map.")
    return sorted({ci for ci in resolved.values() if ci})


def _item(reference: str, organisation: str, name: str, no: Refuse) -> str:
    return next(iter(_items([reference], organisation, name, no)), "")


def _problem(work: Work, reference: str, organisation: str, no: Refuse) -> str:
    try:
        found = loading.get(work, ProblemRecord, reference)
    except NotFound:
        found = None
    if found is None or found.organisation != organisation:
        no("problem", f"There is no problem {reference!r}.", "Cite a problem by number or id.")
        return ""
    return str(found.id)
