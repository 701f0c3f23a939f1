"""The sections `sync` (the boundary register), `mappings` (crosswalks) and `routes` (where new records go)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from isthmus import blueprint
from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.connectors.kit.ports import Connector
from isthmus.hub import connections, inventory
from isthmus.hub.blueprint import ConnectionEntry
from isthmus.hub.sync import boundary
from isthmus.hub.sync.boundary import Boundary, Flow
from isthmus.hub.sync.models import Link
from isthmus.kernel import coverage, expression
from isthmus.kernel.errors import NeedsOperator, Problem, Rejected
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.mapping import FieldMapping, RecordMapping, Scalar
from isthmus.ledger import scope

ROUTE_VARIABLES = {"record": "json", "kind": "text", "channel": "text", "connection": "text"}
"""What a route's condition may name; `connection` is where the record came from ("" for here)."""


class Overlay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of one kind that replace or extend the connector's mapping; `fixed` is written on create only."""

    fields: dict[str, FieldMapping] = {}
    fixed: dict[str, Scalar] = {}


Mappings = dict[str, dict[str, Overlay]]


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New records of `kind` for which `when` holds (empty: all) are created at the connections `to`."""

    id: str
    kind: str
    to: list[str]
    when: str = ""


def check_boundary(value: Boundary, parsed: Parsed) -> list[Problem]:
    """Refuse a register with gaps, overlaps or cycles: it cannot be activated."""
    known = parsed.section("connections")
    return boundary.problems(value, known) + _unable(value, known)


def _unable(value: Boundary, known: Mapping[str, ConnectionEntry]) -> list[Problem]:
    """Refuse flows over connectors that cannot carry their kind: every message would be parked."""
    found = []
    for kind, flow in value.items():
        for name in sorted(flow.connections.keys() & known.keys()):
            try:
                mappings = inventory.find(known[name].connector).connector.mappings
            except NeedsOperator:
                continue  # the section `connections` says that there is no such connector
            if kind not in mappings:
                message = f"the connector {known[name].connector!r} does not keep {kind} in step"
                remedy = "Take it out of this flow; what it receives needs a practice of its own."
                found.append(Problem(path=f"/{kind}/connections/{name}", message=message, remedy=remedy))
    return found


def check_mappings(value: Mappings, parsed: Parsed) -> list[Problem]:
    """Refuse overlays of unknown connections, kinds and fields."""
    known = parsed.section("connections")
    found: list[Problem] = []
    for connection, kinds in value.items():
        if connection not in known:
            found.append(
                Problem(path=f"/{connection}", message="no such connection", remedy="Correct the name.")
            )
        for kind, overlay in kinds.items():
            if kind not in KINDS:
                found.append(
                    Problem(path=f"/{connection}/{kind}", message="no such record kind", remedy="Correct it.")
                )
                continue
            found += [
                Problem(path=f"/{connection}/{kind}/fields/{name}", message=f"{kind} has no field {name!r}",
                        remedy=f"One of {', '.join(sorted(KINDS[kind].by_name))}.")
                for name in overlay.fields
                if name not in KINDS[kind].by_name
            ]  # fmt: skip
    return found


def check_routes(value: list[Route], parsed: Parsed) -> list[Problem]:
    """Refuse routes to systems outside the kind's flow and conditions that do not compile."""
    flows: Boundary = parsed.section("sync")
    found: list[Problem] = []
    for place, route in enumerate(value):
        flow = flows.get(route.kind)
        if flow is None:
            found.append(Problem(path=f"/{place}/kind", message=f"{route.kind!r} has no flow in `sync`",
                                 remedy="Declare the flow first."))  # fmt: skip
        if flow is not None:
            found += [
                _outside(f"/{place}/to", name, route.kind, flow)
                for name in route.to
                if name not in flow.connections
            ]
        if route.when:
            try:
                expression.compile(route.when, ROUTE_VARIABLES)
            except Rejected as fault:
                found.append(Problem(path=f"/{place}/when", message=fault.text, remedy=fault.remedy))
    return found


def _outside(path: str, name: str, kind: str, flow: Flow) -> Problem:
    remedy = f"One of {', '.join(sorted(flow.connections))}."
    return Problem(path=path, message=f"{name!r} takes no part in the flow of {kind}", remedy=remedy)


def affects(old: Boundary, new: Boundary) -> list[str]:
    """Return sentences for the plan."""
    return [f"The boundary of {kind} changes; its rules hold from then on." for kind in sorted(old.keys() | new.keys())
            if old.get(kind) != new.get(kind)]  # fmt: skip


def affects_mappings(old: Mappings, new: Mappings) -> list[str]:
    """Return sentences for the plan: whose links are planned again, how many there are, and what the new tables
    lose, cannot decide or do not cover."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            found.append(
                f"{count_links(name)} links of {name} are planned again with the new mapping; what changes is written there."
            )
            found += _uncovered(name, new.get(name, {}))
    return found


def _uncovered(name: str, overlays: Mapping[str, Overlay]) -> list[str]:
    """Return what the coverage check says of the fields that a crosswalk replaces."""
    held = connections.in_force().get(name)
    if held is None:
        return []
    found = []
    for kind, mapping in overlaid_by({name: dict(overlays)}, name, held.connector).items():
        mine = overlays[kind].fields if kind in overlays else {}
        found += [
            f"{name}, {kind}, {each.kind}: {each.text}"
            for each in coverage.check(mapping, KINDS[kind])
            if each.field in mine
        ]
    return found


def count_links(connection: str) -> int:
    """Return how many links follow at a connection."""
    with scope.everywhere("the plan counts what it affects"):
        return Link.objects.filter(connection=connection, state="active").count()


def overlaid(name: str, connector: Connector) -> Mapping[str, RecordMapping]:
    """Return a connection's effective mappings: the connector's, overlaid by the blueprint's."""
    return overlaid_by(blueprint.current().section("mappings"), name, connector)


def overlaid_by(overlays: Mappings, name: str, connector: Connector) -> Mapping[str, RecordMapping]:
    """Return a connection's effective mappings under given overlays."""
    mine = overlays.get(name, {})
    return {
        kind: mapping.overlaid(mine[kind].fields, mine[kind].fixed) if kind in mine else mapping
        for kind, mapping in connector.mappings.items()
    }


def register_sections() -> None:
    """Register the three sections; called from `ready`."""
    register(Section(name="sync", schema=Boundary, default=dict, check=check_boundary, affects=affects,
                     help="The boundary register: per record kind its systems, master, owner and field rules."))  # fmt: skip
    register(Section(name="mappings", schema=Mappings, default=dict, check=check_mappings, affects=affects_mappings,
                     help="Crosswalks: per connection and record kind, fields that replace the connector's mapping."))  # fmt: skip
    register(Section(name="routes", schema=list[Route], default=list, check=check_routes,
                     help="Which new records are created at which connections."))  # fmt: skip
