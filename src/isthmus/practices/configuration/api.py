"""HTTP resources of service configuration management: the map, its gaps, imports and impact."""

from __future__ import annotations

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag, idempotency, paging
from isthmus.identity import permissions
from isthmus.kernel.errors import NotFound, Rejected
from isthmus.kernel.instant import from_rfc3339
from isthmus.ledger.work import Work
from isthmus.practices.configuration import service
from isthmus.practices.configuration.models import Ci, Gap, Relation
from isthmus.practices.configuration.shapes import record_out

router = Router(tags=["configuration"])
READ, WRITE = "ci:read", "ci:write"
HOPS_MAX = 10
NODES_MAX = 2_000


class CiFilter(Schema):
    """Every given value narrows the list; `q` is the beginning of a name."""

    ci_class: str = ""
    state: str = ""
    environment: str = ""
    criticality: str = ""
    external_key: str = ""
    name: str = ""
    q: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class CiIn(Schema):
    """An item; the class decides which attributes it has and which fields it needs."""

    name: str
    ci_class: str
    external_key: str = ""
    aliases: list[str] = []
    addresses: list[str] = []
    environment: str = ""
    criticality: str = ""
    users: int | None = None
    owner: str = ""
    support_group: str = ""
    shared: bool = False
    attributes: dict[str, Any] = {}
    organisation: str = ""


class CiPatch(Schema):
    """Only what is sent changes; attributes are replaced as a whole."""

    name: str | None = None
    ci_class: str | None = None
    external_key: str | None = None
    aliases: list[str] | None = None
    addresses: list[str] | None = None
    environment: str | None = None
    criticality: str | None = None
    users: int | None = None
    owner: str | None = None
    support_group: str | None = None
    shared: bool | None = None
    attributes: dict[str, Any] | None = None


class RelationFilter(Schema):
    """Every given value narrows the list."""

    source_ci: str = ""
    target_ci: str = ""
    type: str = ""
    state: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


class RelationIn(Schema):
    """`source_ci` depends on (runs on, is hosted on, is a member of) `target_ci`; each by id, key or name."""

    source_ci: str
    target_ci: str
    type: str = "depends_on"
    organisation: str = ""


class ImportIn(Schema):
    """Rows of kind `ci` or `ci_relation`; `source` names who says so."""

    rows: list[dict[str, Any]]
    source: str = "api"
    organisation: str = ""


class ImpactIn(Schema):
    """Items by id, key, name or alias."""

    cis: list[str]
    organisation: str = ""


class BindIn(Schema):
    """What an alert would say: `host`, `address`, `external_key`, `environment`, `service`."""

    hints: dict[str, Any]
    organisation: str = ""


class GapFilter(Schema):
    """`state`: open or closed."""

    state: str = ""
    organisation: str = ""
    cursor: str = ""
    limit: int = paging.LIMIT_DEFAULT


def _ci(reference: str) -> Ci:
    found = Ci.objects.filter(id=reference).first()
    if not isinstance(found, Ci):
        raise NotFound(f"There is no configuration item {reference}.", remedy="Check the id.")
    return found


def _relation(reference: str) -> Relation:
    found = Relation.objects.filter(id=reference).first()
    if not isinstance(found, Relation):
        raise NotFound(f"There is no relation {reference}.", remedy="Check the id.")
    return found


def _where(request: HttpRequest, given: str) -> str:
    """Return the one organisation that a question about the map is asked in."""
    return callers.organisation(request, READ, given)


@router.get("/cis", summary="List configuration items, the newest first")
def list_cis(request: HttpRequest, response: HttpResponse, filters: Query[CiFilter]) -> dict[str, Any]:
    """Return a page of items."""
    callers.require(request, READ)
    rows = Ci.objects.all()
    for name in ("ci_class", "state", "environment", "criticality", "external_key", "name", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    if filters.q:
        rows = rows.filter(name__istartswith=filters.q)
    return paging.listed(request, response, rows, out=record_out, cursor=filters.cursor, limit=filters.limit)


@router.post("/cis", summary="Add a configuration item")
def create_ci(request: HttpRequest, payload: CiIn) -> HttpResponse:
    """Add one item."""
    where = callers.organisation(request, WRITE, payload.organisation)
    values = {
        name: value
        for name, value in payload.dict(exclude={"organisation"}).items()
        if value not in ("", [], {}, None)
    }
    return idempotency.act(
        request,
        lambda work: service.create_ci(work, values, organisation=where, source="api"),
        out=record_out,
        status=201,
    )


@router.post("/cis/import", summary="Import items and relations")
def import_cis(request: HttpRequest, payload: ImportIn) -> HttpResponse:
    """Take rows one by one; the answer says of each whether it was accepted, parked or rejected, and why."""
    where = callers.organisation(request, WRITE, payload.organisation)
    return idempotency.act(
        request,
        lambda work: service.import_rows(
            work, payload.rows, organisation=where, source=payload.source or "api"
        ),
        out=_report_out,
    )


def _report_out(report: service.ImportReport) -> dict[str, Any]:
    return {
        "accepted": report.accepted,
        "unchanged": report.count("unchanged"),
        "parked": report.parked,
        "rejected": report.rejected,
        "resolved": report.resolved,
        "rows": [
            {
                "index": each.index, "what": each.what, "record": each.record,
                "errors": [{"pointer": fault.path, "message": fault.message, "remedy": fault.remedy} for fault in each.problems],
            }
            for each in report.results
        ],
    }  # fmt: skip


@router.post("/cis/bind", summary="Which item an alert with these hints would bind to")
def bind_ci(request: HttpRequest, payload: BindIn) -> dict[str, Any]:
    """Return the item, how it was found and with which confidence (percent)."""
    found = service.bind(payload.hints, organisation=_where(request, payload.organisation))
    return {
        "ci": found.ci, "how": found.how, "confidence": found.confidence, "service": found.service, "hint": found.hint,
        "candidates": list(found.candidates),
    }  # fmt: skip


@router.get("/cis/{reference}", summary="One configuration item")
def get_ci(request: HttpRequest, response: HttpResponse, reference: str) -> dict[str, Any]:
    """Return an item with its services, most critical first."""
    callers.require(request, READ)
    ci = _ci(reference)
    etag.stamp(response, ci)
    return record_out(ci) | {"services": service.services_of(ci.id, organisation=ci.organisation)}


@router.patch("/cis/{reference}", summary="Change a configuration item")
def patch_ci(request: HttpRequest, reference: str, payload: CiPatch) -> HttpResponse:
    """Change the fields sent; `If-Match` guards against overwriting what another has changed."""
    values = payload.dict(exclude_unset=True)

    def act(work: Work) -> Ci:
        ci = _ci(reference)
        permissions.require(work.actor, WRITE, ci.organisation)
        etag.expect(request, ci)
        return service.update_ci(work, ci, values, source="api")

    return idempotency.act(request, act, out=record_out)


@router.delete("/cis/{reference}", summary="Retire a configuration item")
def retire_ci(request: HttpRequest, reference: str) -> HttpResponse:
    """Take an item out of the live map; its history stays."""

    def act(work: Work) -> Ci:
        ci = _ci(reference)
        permissions.require(work.actor, WRITE, ci.organisation)
        etag.expect(request, ci)
        return service.retire_ci(work, ci)

    return idempotency.act(request, act, out=record_out)


@router.get("/relations", summary="List relations, the newest first")
def list_relations(
    request: HttpRequest, response: HttpResponse, filters: Query[RelationFilter]
) -> dict[str, Any]:
    """Return a page of relations."""
    callers.require(request, READ)
    rows = Relation.objects.all()
    for name in ("source_ci", "target_ci", "type", "state", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows, out=record_out, cursor=filters.cursor, limit=filters.limit)


@router.post("/relations", summary="Relate two items")
def create_relation(request: HttpRequest, payload: RelationIn) -> HttpResponse:
    """Add a relation between known items."""
    where = callers.organisation(request, WRITE, payload.organisation)
    values = payload.dict(exclude={"organisation"})
    return idempotency.act(
        request,
        lambda work: service.relate(work, values, organisation=where, source="api"),
        out=record_out,
        status=201,
    )


@router.delete("/relations/{reference}", summary="Remove a relation")
def remove_relation(request: HttpRequest, reference: str) -> HttpResponse:
    """Take a relation out of the live map; its history stays."""

    def act(work: Work) -> Relation:
        relation = _relation(reference)
        permissions.require(work.actor, WRITE, relation.organisation)
        etag.expect(request, relation)
        return service.unrelate(work, relation)

    return idempotency.act(request, act, out=record_out)


@router.post("/impact", summary="Whom a failure or change of items reaches")
def impact(request: HttpRequest, payload: ImpactIn) -> dict[str, Any]:
    """Return services, users and dependants with the version of the map."""
    found = service.impact(payload.cis, organisation=_where(request, payload.organisation))
    told: dict[str, Any] = msgspec.to_builtins(found)
    return told


class GraphFilter(Schema):
    """`ci`: id, key or name; `hops` in either direction; `at`: the map as it was at that time (RFC 3339)."""

    ci: str
    hops: int = 2
    at: str = ""
    organisation: str = ""


@router.get("/graph", summary="The map around an item")
def neighbourhood(request: HttpRequest, filters: Query[GraphFilter]) -> dict[str, Any]:
    """Return nodes and edges at most `hops` away."""
    if not 0 <= filters.hops <= HOPS_MAX:
        raise Rejected(f"hops is 0 to {HOPS_MAX}.", remedy="Choose fewer.")
    where = _where(request, filters.organisation)
    held = service.snapshot_of(where)
    start = held.index.resolve(filters.ci) or (filters.ci if filters.ci in held.cis else "")
    if not start:
        raise NotFound(f"There is no configuration item {filters.ci!r}.", remedy="Check the name.")
    graph = service.graph_as_of(where, occurred=from_rfc3339(filters.at)) if filters.at else held.graph
    inside = sorted({start, *graph.neighbourhood([start], filters.hops)})[:NODES_MAX]
    kept = set(inside)
    return {
        "start": start,
        "version": graph.version,
        "nodes": [
            {
                "id": each, "name": held.cis[each].name, "ci_class": held.cis[each].ci_class, "criticality": held.cis[each].criticality,
                "state": held.cis[each].state, "shared": held.cis[each].shared,
            }
            for each in inside
            if each in held.cis
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "type": edge.type}
            for edge in graph.edges
            if edge.source in kept and edge.target in kept
        ],
    }  # fmt: skip


@router.get("/cmdb-gaps", summary="Names that nobody in the map answers to")
def list_gaps(request: HttpRequest, response: HttpResponse, filters: Query[GapFilter]) -> dict[str, Any]:
    """Return a page of gaps, the newest first."""
    callers.require(request, READ)
    rows = Gap.objects.all()
    for name in ("state", "organisation"):
        if value := getattr(filters, name):
            rows = rows.filter(**{name: value})
    return paging.listed(request, response, rows, out=record_out, cursor=filters.cursor, limit=filters.limit)
