"""The boundary register as types: who is the system of record, which way a field travels, under which
condition, by which rule, and who answers for it. Pure: `problems` finds gaps, overlaps and cycles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec

from isthmus.kernel import duration, expression
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import SECOND
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.merge import HUB, FieldPolicy
from isthmus.kernel.record import Json, MergePolicy

COMPARE_EVERY_LEAST = dt.timedelta(minutes=1)
Direction = Literal["both", "in", "out", "none"]
VARIABLES = {"connection": "text", "kind": "text", "field": "text", "channel": "text", "record": "json"}
"""What a rule's condition may name: the connection that speaks, the record before the merge and the channel
that it was created through (`webhook`, `page`, …)."""


class FieldRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the register. `id` is named in every blocked write. `field`: a field or a group.

    `connections`: those that the rule is about (empty: all). `system_of_record`: a connection or `hub`
    (empty: the flow's). `when`: a CEL condition under which a partner's value may come in.
    `ranking`: for `ranked`, sources from strongest to weakest; `order`: for `may_raise`, low to high.
    """

    id: str
    field: str
    connections: list[str] = []
    system_of_record: str = ""
    policy: MergePolicy | None = None
    direction: Direction = "both"
    when: str = ""
    owner: str = ""
    ranking: list[str] = []
    order: list[str] = []
    skew_seconds: int = 120


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one connection takes part in a flow. `creates`: objects that people open there become records.
    `adoption`: what happens to differing fields when two existing objects are linked. `compare_every`: how often
    every object is read afresh, whatever messages said (ISO 8601; PT0S: never)."""

    direction: Direction = "both"
    creates: bool = True
    adoption: Literal["ours", "theirs", "queue"] = "queue"
    comments: bool = True
    attachments: bool = True
    compare_every: dt.timedelta = dt.timedelta(days=1)


class Flow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record kind kept in step. `owner`: the person or group who answers for it. `attachment_bytes_max`: the
    largest file that travels; a larger one is shown by name and size, its content stays where it is."""

    owner: str = ""
    system_of_record: str = ""
    connections: dict[str, Terms]
    fields: list[FieldRule] = []
    parked_retry_minutes: int = 360
    attachment_bytes_max: Annotated[int, msgspec.Meta(ge=1, le=25_000_000)] = 10_000_000


Boundary = dict[str, Flow]


def policies(
    kind: str, flow: Flow, parts: Mapping[str, tuple[str, ...]], connection: str, facts: Mapping[str, Json]
) -> dict[str, FieldPolicy]:
    """Return the policy of each part for one connection; `parts` maps a part to its member fields."""
    terms = flow.connections.get(connection, Terms(direction="none"))
    return {
        name: _policy(kind, flow, terms, members, name, connection, facts) for name, members in parts.items()
    }


def _policy(
    kind: str, flow: Flow, terms: Terms, members: tuple[str, ...], part: str, connection: str, facts: Mapping[str, Json]
) -> FieldPolicy:  # fmt: skip
    declared = KINDS[kind].by_name[members[0]]
    rule = next((each for each in flow.fields if _concerns(each, part, members, connection)), None)
    order = tuple(reversed(declared.choices)) if declared.choices == LEVELS else declared.choices
    if rule is None:
        return FieldPolicy(
            policy=declared.policy, owner=flow.system_of_record, order=order, rule=f"{kind}.{part}.default",
            inbound=terms.direction in {"both", "in"}, outbound=terms.direction in {"both", "out"},
        )  # fmt: skip
    allowed = not rule.when or _holds(rule.when, {**facts, "field": part})
    return FieldPolicy(
        policy=rule.policy or declared.policy,
        owner=rule.system_of_record or flow.system_of_record,
        inbound=allowed and terms.direction in {"both", "in"} and rule.direction in {"both", "in"},
        outbound=terms.direction in {"both", "out"} and rule.direction in {"both", "out"},
        order=tuple(rule.order) or order,
        ranking=tuple(rule.ranking),
        skew_bound=rule.skew_seconds * SECOND,
        rule=rule.id,
    )


def _concerns(rule: FieldRule, part: str, members: tuple[str, ...], connection: str) -> bool:
    named = rule.field == part or rule.field in members
    return named and (not rule.connections or connection in rule.connections)


def _holds(text: str, facts: Mapping[str, Json]) -> bool:
    return expression.compile(text, VARIABLES).holds(facts)


def problems(boundary: Boundary, connections: Iterable[str]) -> list[Problem]:
    """Return what is wrong with a register: unknown names, no master, two masters, cycles, no owner."""
    known = {*connections, HUB}
    found: list[Problem] = []
    for kind, flow in boundary.items():
        if kind not in KINDS:
            found.append(
                Problem(path=f"/{kind}", message="no such record kind", remedy=f"One of {', '.join(KINDS)}.")
            )
            continue
        found += _flow_problems(kind, flow, known)
    return found


def _flow_problems(kind: str, flow: Flow, known: set[str]) -> list[Problem]:
    found: list[Problem] = []
    if not flow.owner:
        found.append(
            Problem(
                path=f"/{kind}/owner", message="gap: nobody answers for this flow", remedy="Name its owner."
            )
        )
    if not flow.system_of_record:
        found.append(Problem(path=f"/{kind}/system_of_record", message="gap: this kind has no master",
                             remedy="Name a connection or 'hub'."))  # fmt: skip
    elif flow.system_of_record not in known:
        found.append(_unknown(f"/{kind}/system_of_record", flow.system_of_record, known))
    found += [
        _unknown(f"/{kind}/connections/{name}", name, known) for name in flow.connections if name not in known
    ]
    names = set(KINDS[kind].by_name) | {field.group for field in KINDS[kind].fields if field.group}
    found += duration.check(
        (
            (f"/{kind}/connections/{name}/compare_every", terms.compare_every)
            for name, terms in flow.connections.items()
            if terms.compare_every
        ),
        least=COMPARE_EVERY_LEAST,
    )
    seen: dict[str, int] = {}
    for place, rule in enumerate(flow.fields):
        path = f"/{kind}/fields/{place}"
        if rule.id in seen:
            found.append(
                Problem(
                    path=f"{path}/id", message=f"rule id {rule.id!r} is used twice", remedy="Ids are unique."
                )
            )
        seen[rule.id] = place
        if rule.field not in names:
            found.append(Problem(path=f"{path}/field", message=f"{kind} has no field {rule.field!r}",
                                 remedy=f"One of {', '.join(sorted(names))}."))  # fmt: skip
        elif rule.field in KINDS[kind].by_name and KINDS[kind].by_name[rule.field].authority:
            found.append(Problem(path=f"{path}/field", message=f"{rule.field} is decided here, never merged",
                                 remedy="Name the partner as an authority in `change` instead."))  # fmt: skip
        if rule.system_of_record and rule.system_of_record not in known:
            found.append(_unknown(f"{path}/system_of_record", rule.system_of_record, known))
        found += [
            _unknown(f"{path}/connections", name, known)
            for name in rule.connections
            if name not in flow.connections
        ]
        if rule.when:
            found += _condition_problems(f"{path}/when", rule.when)
    return found + _overlaps(kind, flow) + _cycles(kind, flow)


def _unknown(path: str, name: str, known: set[str]) -> Problem:
    return Problem(
        path=path,
        message=f"{name!r} is not a connection of this flow",
        remedy=f"One of {', '.join(sorted(known))}.",
    )


def _condition_problems(path: str, text: str) -> list[Problem]:
    try:
        expression.compile(text, VARIABLES)
    except Rejected as fault:
        return [Problem(path=path, message=fault.text, remedy=fault.remedy)]
    return []


def _overlaps(kind: str, flow: Flow) -> list[Problem]:
    """Two rules about one field and connection that name different masters, and rules behind a wider one."""
    found = []
    for place, rule in enumerate(flow.fields):
        for earlier in flow.fields[:place]:
            shared = (
                not rule.connections
                or not earlier.connections
                or set(rule.connections) & set(earlier.connections)
            )
            if rule.field != earlier.field or not shared:
                continue
            masters = {
                rule.system_of_record or flow.system_of_record,
                earlier.system_of_record or flow.system_of_record,
            }
            said = f"two masters: {' and '.join(sorted(masters))}" if len(masters) > 1 else "two rules"
            found.append(Problem(path=f"/{kind}/fields/{place}", message=f"{rule.field} has {said} ({earlier.id}, {rule.id})",
                                 remedy="Leave one rule per field and connection."))  # fmt: skip
    return found


def _cycles(kind: str, flow: Flow) -> list[Problem]:
    """A field whose master at one system is another whose master is the first again."""
    found = []
    for field in sorted({rule.field for rule in flow.fields}):
        masters = {
            name: rule.system_of_record
            for rule in flow.fields
            if rule.field == field and rule.system_of_record
            for name in rule.connections
            if name != rule.system_of_record
        }
        for start in sorted(masters):
            way = [start]
            while way[-1] in masters and masters[way[-1]] not in way:
                way.append(masters[way[-1]])
            if masters.get(way[-1]) == start and start == min(way):
                found.append(Problem(path=f"/{kind}/fields", message=f"cycle: {field} goes {' → '.join([*way, start])}",
                                     remedy="Name one system of record."))  # fmt: skip
    return found
