"""Sections `desks`, `forwarding` and `waits`: who works on incidents, who may hand them to whom, how long is long.

desks:
  service-desk: {roles: [agent]}
  vendor: {kind: supplier, connection: vendor-jira}
forwarding:
  home: service-desk
  contracts:
    - {name: support, from: [service-desk], to: [vendor], requires: [root_cause], accept_within: PT30M}
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, Literal

import msgspec

from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.identity.roles import ROLES
from isthmus.kernel import duration
from isthmus.kernel.duration import microseconds
from isthmus.kernel.errors import Problem
from isthmus.practices.incident.rules.custody import Contract

CARRIED: Final = (
    "title", "description", "impact", "urgency", "category", "root_cause", "cause_code", "steps", "workaround", "ci",
    "evidence", "timeline", "comments", "resolution",
)  # fmt: skip
"""What a contract may carry to the other desk."""
REQUIRED: Final = ("root_cause", "cause_code", "steps", "workaround", "ci", "description", "category")
"""What a contract may ask for before it lets an incident go."""
Workflow = Literal[
    "partner_acknowledgement", "partner_update", "pending_customer", "pending_supplier", "approval"
]
"""The workflows whose limits the section `waits` sets. An offer's limit stands in its contract, a review's in
`incident.major`."""


class DeskSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A desk. Who belongs to it: people and programs named in `members`, and holders of one of `roles`.

    `groups`: assignment groups of this desk; the first gets what the desk accepts. `organisation`: the desk works
    in that organisation, on its own incidents. `connection`: it works in that system, on its own tickets. A desk
    that names nobody is anybody's who may write incidents there.
    """

    kind: Literal["customer", "provider", "supplier"] = "provider"
    members: list[str] = []
    roles: list[str] = []
    groups: list[str] = []
    organisation: str = ""
    connection: str = ""


class ContractSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"givers": "from", "takers": "to"},
):
    """Desks of `from` may forward to desks of `to`. What travels is `carries`; what must be there first is
    `requires`. An offer that nobody accepted after `accept_within` escalates along `path`."""

    name: str
    givers: list[str]
    takers: list[str]
    carries: list[str] = msgspec.field(default_factory=lambda: list(CARRIED))
    requires: list[str] = []
    accept_within: dt.timedelta = dt.timedelta(minutes=30)
    path: str = ""


class ForwardingSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Forwarding between desks. `home`: the desk that holds every incident until somebody accepts it."""

    home: str = "service-desk"
    contracts: list[ContractSpec] = []


class WaitSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One wait state. After `limit` the watchdog asks the partner, for at most `ask_within`, and then escalates
    along `path` ("": the path of the incident). `partners`: other limits for some connections, by name; with
    `only_partners` no other connection is watched."""

    limit: dt.timedelta
    path: str = ""
    ask_within: dt.timedelta = dt.timedelta(minutes=1)
    partners: dict[str, dt.timedelta] = {}
    only_partners: bool = False


Desks = dict[str, DeskSpec]
Waits = dict[Workflow, WaitSpec]


def _paths(parsed: Parsed) -> set[str]:
    """Return what a path may name: an escalation path, or a ladder of on-call, which then tells its people."""
    return {*parsed.section("incident").paths, *parsed.section("on_call").ladders}


def _check_desks(desks: Desks, parsed: Parsed) -> list[Problem]:
    connections = parsed.section("connections")
    found = []
    for name, desk in desks.items():
        if desk.connection and desk.connection not in connections:
            found.append(_unknown(f"/{name}/connection", desk.connection, "connection", connections))
        found += [
            _unknown(f"/{name}/roles/{at}", role, "role", ROLES)
            for at, role in enumerate(desk.roles)
            if role not in ROLES
        ]
        if desk.connection and desk.organisation:
            found.append(
                Problem(
                    path=f"/{name}",
                    message="works in an organisation and in a system at once",
                    remedy="Leave one of organisation and connection.",
                )
            )
    return found


def _check_forwarding(section: ForwardingSection, parsed: Parsed) -> list[Problem]:
    desks: Desks = parsed.section("desks")
    known = {*desks, section.home}
    paths = _paths(parsed)
    found, names = [], set()
    for place, each in enumerate(section.contracts):
        path = f"/contracts/{place}"
        if each.name in names:
            found.append(
                Problem(
                    path=f"{path}/name", message=f"{each.name!r} is used twice", remedy="Names are unique."
                )
            )
        names.add(each.name)
        for key, given, possible in (
            ("from", each.givers, known),
            ("to", each.takers, desks.keys()),
            ("carries", each.carries, CARRIED),
            ("requires", each.requires, REQUIRED),
        ):
            what = "desk" if key in {"from", "to"} else "thing to carry"
            found += [
                _unknown(f"{path}/{key}/{at}", name, what, possible)
                for at, name in enumerate(given)
                if name not in possible
            ]
        if each.path and each.path not in paths:
            found.append(_unknown(f"{path}/path", each.path, "path", paths))
        found += duration.check(
            [(f"{path}/accept_within", each.accept_within)], least=dt.timedelta(seconds=1)
        )
    return found


def _check_waits(waits: Waits, parsed: Parsed) -> list[Problem]:
    paths = _paths(parsed)
    spans, found = [], []
    for name, each in waits.items():
        spans += [(f"/{name}/limit", each.limit)]
        spans += [(f"/{name}/partners/{partner}", limit) for partner, limit in each.partners.items()]
        if each.path and each.path not in paths:
            found.append(_unknown(f"/{name}/path", each.path, "path", paths))
        found += duration.check([(f"/{name}/ask_within", each.ask_within)])
    return found + duration.check(spans, least=dt.timedelta(seconds=1))


def _unknown(path: str, name: str, what: str, possible: Any) -> Problem:
    return Problem(
        path=path,
        message=f"there is no {what} {name!r}",
        remedy=f"One of: {', '.join(sorted(possible)) or 'none'}.",
    )


def contracts(section: ForwardingSection) -> tuple[Contract, ...]:
    """Return the contracts as the rules read them."""
    return tuple(
        Contract(
            name=each.name,
            givers=tuple(each.givers),
            takers=tuple(each.takers),
            carries=tuple(each.carries),
            requires=tuple(each.requires),
            accept_within=microseconds(each.accept_within),
            path=each.path,
        )
        for each in section.contracts
    )


def limit_of(spec: WaitSpec, partner: str) -> int:
    """Return the limit for a partner in microseconds."""
    return microseconds(spec.partners.get(partner, spec.limit))


def register_sections() -> None:
    """Make the sections known; called when the app is ready."""
    register(
        Section(
            name="desks",
            schema=Desks,
            help="Desks that work on incidents, by name: whose they are, and in which organisation or system they work.",
            default=dict,
            check=_check_desks,
        )
    )
    register(
        Section(
            name="forwarding",
            schema=ForwardingSection,
            help="Which desk may forward incidents to which, under which terms.",
            default=ForwardingSection,
            check=_check_forwarding,
        )
    )
    register(
        Section(
            name="waits",
            schema=Waits,
            help="How long each workflow may wait before the watchdog asks, and whom it tells; not named: not watched.",
            default=dict,
            check=_check_waits,
        )
    )
