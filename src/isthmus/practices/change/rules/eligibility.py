"""Whether one change may go the standard way: evaluated for each instance, not once for its kind.

A standard change is authorised in advance because it is small, known and has gone well. Each of the three is
looked at again for every instance: the items that it touches, whom they reach, and how the last ones ended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from isthmus.kernel.record import Reason

OUTCOMES_LOOKED_AT = 10
FAILED = frozenset({"failed", "backed_out"})


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """What a change touches: `lines` are the classes of each item with all classes above."""

    lines: list[list[str]]
    unresolved: list[str]
    shared: list[str]
    dependants: int
    environment: str


class ModelTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The model's own limits (blueprint section `change`, `models`)."""

    name: str
    ci_classes: list[str]
    environments: list[str]
    dependants_max: int
    allow_shared: bool
    failures_max: int


def refusals(terms: ModelTerms, touched: Touched, outcomes: Sequence[str]) -> list[Reason]:
    """Return why this instance must go the normal way; [] if the model covers it.

    `outcomes` are those of the model's closed changes, newest first.
    """
    found: list[Reason] = []

    def no(rule: str, text: str) -> None:
        found.append(Reason(rule=f"change.model.{rule}", text=text))

    if not touched.lines and not touched.unresolved:
        no("items", "It names no configuration item.")
    if touched.unresolved:
        no("unresolved", f"The map does not know {', '.join(touched.unresolved)}.")
    if any(not _covers(terms.ci_classes, line) for line in touched.lines):
        no("class", f"The model {terms.name!r} covers {', '.join(terms.ci_classes)} only.")
    if touched.shared and not terms.allow_shared:
        no("shared", f"{len(touched.shared)} of its items are shared infrastructure.")
    if touched.dependants > terms.dependants_max:
        no("radius", f"{touched.dependants} items depend on it; the model allows {terms.dependants_max}.")
    if terms.environments and touched.environment not in terms.environments:
        no("environment", f"The model does not cover the environment {touched.environment or 'unknown'!r}.")
    failed = sum(each in FAILED for each in outcomes[:OUTCOMES_LOOKED_AT])
    if failed >= terms.failures_max:
        no(
            "suspended",
            f"The model is suspended: {failed} of its last {min(len(outcomes), OUTCOMES_LOOKED_AT)} changes failed.",
        )
    return found


def _covers(classes: Collection[str], line: Collection[str]) -> bool:
    return not classes or bool(set(classes) & set(line))
