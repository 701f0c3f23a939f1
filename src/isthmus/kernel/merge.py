"""Who wins when two sides hold different values of one field: the three-way decision, without any state.

The base of a field is what both sides last agreed on. One side changed: it is an edit, and the policy says
whether it may travel. Both changed: somebody loses, and the caller records the loser. Neither changed: an
echo. Sets are merged element by element. Fields that only make sense together are one value (`Shape`).
Clocks of partners are never trusted beyond `skew_bound`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import FieldType, Json, MergePolicy, RecordKind

HUB = "hub"
"""The name under which the hub itself may be a field's system of record."""


class Verdict(StrEnum):
    TAKE = "take"  # their value becomes ours
    KEEP = "keep"  # ours stays; they are put back where the direction allows
    MANUAL = "manual"  # nothing moves until a person decides


@dataclass(frozen=True, kw_only=True)
class FieldPolicy:
    """How one field merges with one connection; the run-time form of a line of the boundary register.

    `owner`: the system of record (a connection's name, `hub`, or empty where nobody is). `order`: for
    MAY_RAISE, values from lowest to highest. `ranking`: for RANKED, sources from strongest to weakest.
    `skew_bound`: microseconds within which two times say nothing about order. `rule`: the register's rule
    id, named in every blocked write. `inbound` and `outbound`: whether a value may travel that way at all.
    """

    policy: MergePolicy = MergePolicy.LATEST
    owner: str = ""
    inbound: bool = True
    outbound: bool = True
    order: tuple[str, ...] = ()
    ranking: tuple[str, ...] = ()
    skew_bound: int = 2 * MINUTE
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One side's value: in canonical form, when it was set there, and which system set it."""

    value: Json
    at: Instant
    source: str = HUB


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A verdict with its rule and one sentence; `skewed` when the partner's clock ran ahead of ours."""

    verdict: Verdict
    rule: str
    text: str
    skewed: bool = False


def decide(
    policy: FieldPolicy, *, connection: str, ours: Edit, theirs: Edit, both: bool, known_at: Instant
) -> Decision:
    """Return what to do with `theirs`, a value unlike ours that `connection` showed us at `known_at`.

    `both`: ours has changed since the base too.
    """
    rule = policy.rule or f"policy.{policy.policy}"
    if not policy.inbound:
        return Decision(verdict=Verdict.KEEP, rule=rule, text=f"{connection} may not write this field.")
    match policy.policy:
        case MergePolicy.HUB:
            return Decision(verdict=Verdict.KEEP, rule=rule, text="Only the hub writes this field.")
        case MergePolicy.OWNER:
            if policy.owner == connection:
                return Decision(
                    verdict=Verdict.TAKE, rule=rule, text=f"{connection} is the system of record."
                )
            owner = policy.owner or "nobody"
            return Decision(
                verdict=Verdict.KEEP, rule=rule, text=f"The system of record is {owner}, not {connection}."
            )
        case MergePolicy.MAY_RAISE:
            return _may_raise(policy, connection, ours, theirs, rule)
        case MergePolicy.MANUAL if both:
            return Decision(
                verdict=Verdict.MANUAL, rule=rule, text="Both sides changed it; a person decides."
            )
        case MergePolicy.RANKED if both:
            return _ranked(policy, connection, ours, rule)
        case MergePolicy.LATEST | MergePolicy.UNION if both:
            return _latest(policy, connection, ours, theirs, known_at, rule)
        case _:
            return Decision(verdict=Verdict.TAKE, rule=rule, text=f"Only {connection} changed it.")


def _may_raise(policy: FieldPolicy, connection: str, ours: Edit, theirs: Edit, rule: str) -> Decision:
    if policy.owner == connection:
        return Decision(verdict=Verdict.TAKE, rule=rule, text=f"{connection} is the system of record.")
    if rank(policy.order, theirs.value) > rank(policy.order, ours.value):
        return Decision(verdict=Verdict.TAKE, rule=rule, text=f"{connection} raised it.")
    return Decision(verdict=Verdict.KEEP, rule=rule, text=f"{connection} may raise it, never lower it.")


def _ranked(policy: FieldPolicy, connection: str, ours: Edit, rule: str) -> Decision:
    places = {name: place for place, name in enumerate(policy.ranking)}
    last = len(places)
    if places.get(connection, last) < places.get(ours.source, last):
        return Decision(verdict=Verdict.TAKE, rule=rule, text=f"{connection} outranks {ours.source}.")
    return Decision(verdict=Verdict.KEEP, rule=rule, text=f"{connection} does not outrank {ours.source}.")


def _latest(
    policy: FieldPolicy, connection: str, ours: Edit, theirs: Edit, known_at: Instant, rule: str
) -> Decision:
    """The later edit wins. A time after we saw it is impossible: it is cut to `known_at` and flagged."""
    skewed = theirs.at > known_at + policy.skew_bound
    theirs_at = min(theirs.at, known_at)
    if abs(theirs_at - ours.at) <= policy.skew_bound:
        text = "Both sides changed it within the bound of clock skew; a person decides."
        return Decision(verdict=Verdict.MANUAL, rule=rule, text=text, skewed=skewed)
    if theirs_at > ours.at:
        return Decision(verdict=Verdict.TAKE, rule=rule, text=f"{connection} changed it last.", skewed=skewed)
    return Decision(verdict=Verdict.KEEP, rule=rule, text=f"{ours.source} changed it last.", skewed=skewed)


def rank(order: tuple[str, ...], value: Json) -> int:
    """Return the place of `value` in an order from lowest to highest; -1 for an absent or unknown value."""
    return order.index(value) if isinstance(value, str) and value in order else -1


@dataclass(frozen=True, kw_only=True)
class SetDelta:
    """What to add to and remove from a set, each sorted; never the full set, which would delete what
    somebody else added in between."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


def difference(before: Iterable[str], after: Iterable[str]) -> SetDelta:
    """Return the delta that turns `before` into `after`."""
    old, new = set(before), set(after)
    return SetDelta(add=tuple(sorted(new - old)), remove=tuple(sorted(old - new)))


def apply_delta(elements: Iterable[str], delta: SetDelta) -> list[str]:
    """Return the sorted elements after the delta."""
    return sorted((set(elements) | set(delta.add)) - set(delta.remove))


class Form(StrEnum):
    VALUE = "value"
    SET = "set"
    GROUP = "group"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One unit of merging: a field, a set, or a group of fields held as `{field: value}`."""

    name: str
    form: Form = Form.VALUE
    members: tuple[str, ...] = ()


def shapes_of(kind: RecordKind, mapped: Iterable[str]) -> dict[str, Shape]:
    """Return the units of merging for the fields that a mapping knows; authority fields are never among
    them (decisions.md 15). A group holds only the members that are mapped."""
    wanted = set(mapped)
    found: dict[str, Shape] = {}
    for field in kind.fields:
        if field.name not in wanted or field.authority:
            continue
        if field.group:
            known = found.get(field.group)
            members = (*known.members, field.name) if known else (field.name,)
            found[field.group] = Shape(name=field.group, form=Form.GROUP, members=members)
        else:
            form = Form.SET if field.type is FieldType.SET else Form.VALUE
            found[field.name] = Shape(name=field.name, form=form, members=(field.name,))
    return found


def gather(shape: Shape, values: Mapping[str, Json]) -> Json:
    """Return a shape's value out of a record's fields. Empty text is absence; sets are sorted lists."""
    match shape.form:
        case Form.SET:
            held = values.get(shape.name)
            elements: list[Json] = []
            if isinstance(held, list | tuple | set | frozenset):
                elements.extend(sorted({str(each) for each in held}))
            return elements
        case Form.GROUP:
            return {member: clean(values.get(member)) for member in shape.members}
        case Form.VALUE:
            return clean(values.get(shape.name))


def spread(shape: Shape, value: Json) -> dict[str, Json]:
    """Return the record's fields for a shape's value: the inverse of `gather`."""
    if shape.form is Form.GROUP and isinstance(value, dict):
        return dict(value)
    return {shape.name: value}


def clean(value: Json) -> Json:
    """Return None for empty text: "" and None both mean absent, and only one of them may be compared."""
    return None if value == "" else value
