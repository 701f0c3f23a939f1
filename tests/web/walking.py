"""Every route there is, from the OpenAPI document and the URL resolver, and what to ask it with."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from django.apps import apps
from tests.web.two_organisations import Side, World

from isthmus.kernel.kinds import KINDS
from isthmus.web.api import api
from isthmus.web.console.urls import urlpatterns
from isthmus.web.lists.tables import TABLES

PARAMETER = re.compile(r"[{<](?:(?:str|int|path|slug|uuid):)?(\w+)[}>]")


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document as a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found


def api_routes() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) of everything that the published document names."""
    document = published()
    return [
        (method, path, operation)
        for path, way in document["paths"].items()
        for method, operation in way.items()
    ]


def console_routes() -> list[str]:
    return [f"/{each.pattern}" for each in urlpatterns]


def kind_meant(path: str) -> str | None:
    """Return the kind that a route is about ("" for a connection), None where it may be anything."""
    words = [each for each in path.removeprefix("/api/v1").split("/") if each and not PARAMETER.search(each)]
    noun = next((each for each in ("parked", "freezes", "grants") if each in words[1:2]), words[0])
    special = {"cis": "ci", "relations": "ci_relation", "people": "person", "tokens": "service_account", "systems": "",
               "map": "ci", "parked": "parked", "grants": "role_grant", "known-errors": "known_error"}  # fmt: skip
    plain = noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
    kind = special.get(noun, plain)
    return kind if kind in KINDS or kind in {"", "delivery", "parked"} else None


def meant(path: str, side: Side) -> list[str]:
    """Return what a path parameter may name: everything, unless the route's noun says of which kind."""
    kind = kind_meant(path)
    if kind is None:
        return side.names()
    parts = (
        [side.ids[each] for each in ("attachment", "suspect", "comment", "known_error_match")]
        if len(PARAMETER.findall(path)) > 1
        else []
    )
    return [side.ids.get(kind, side.connection), side.connection, *side.numbers, *parts]


def filled(path: str, ours: Side, theirs: Side) -> Iterator[tuple[str, str]]:
    """Return (path, what was put in): every name of `theirs` in each place, `ours` beside it where two are asked."""
    places = PARAMETER.findall(path)
    if not places:
        yield path, ""
        return
    first = meant(path, theirs)
    if len(places) == 1:
        choices = [(each,) for each in first]
    else:
        near = [ours.ids["incident"], ours.ids["change"]]
        choices = [*itertools.product(near, first), (theirs.ids["incident"], theirs.ids["suspect"]),
                   (theirs.ids["incident"], theirs.ids["attachment"]),
                   (theirs.ids["incident"], theirs.ids["known_error_match"]),
                   *((theirs.ids["change"], each) for each in ("submit", "approve", "cancel"))]  # fmt: skip
    for chosen in choices:
        values = iter([*chosen, *[first[0]] * len(places)])
        if "<int:" in path or "{sequence}" in path:
            values = iter("1" * len(places))
        yield PARAMETER.sub(lambda _, values=values: next(values), path), " ".join(chosen)


def listed(path: str, ours: Side, theirs: Side) -> Iterator[tuple[str, str]]:
    """As `filled`, with each list's name where a list is meant."""
    if "{table}" in path:
        yield from ((path.replace("{table}", each), each) for each in TABLES)
    else:
        yield from filled(path, ours, theirs)


def asked_for(operation: dict[str, Any], side: Side) -> Iterator[dict[str, str]]:
    """Return query strings: none, and each text parameter with whatever of `side` could be meant."""
    required = {
        each["name"]: "2026-01-01T00:00:00Z"
        if each["name"] in {"since", "until", "at"}
        else f"{side.word} ci name"
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each.get("required")
    }
    yield required
    for each in operation.get("parameters", ()):
        name = each["name"]
        if each["in"] != "query" or name in {"limit", "cursor", "hops"}:
            continue
        meant = side.ids.get({"record": "incident", "source_ci": "ci", "target_ci": "ci"}.get(name, name))
        known = {
            "organisation": side.organisation,
            "connection": side.connection,
            "external_key": f"{side.word}-key",
        }
        yield required | {name: known.get(name) or meant or f"{side.word} ci name"}


def sample(schema: dict[str, Any], parts: dict[str, Any], side: Side) -> Any:
    """Return a body that the schema takes, with ids of `side` wherever a field's name says so."""
    if "$ref" in schema:
        return sample(parts[schema["$ref"].rsplit("/", 1)[1]], parts, side)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], parts, side)
    if "enum" in schema:
        return schema["enum"][-1]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object" or "properties" in schema:
        return {name: _named(name, each, parts, side) for name, each in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), parts, side)]
    return {"integer": 1, "number": 1, "boolean": True, "string": "some text"}.get(schema.get("type", ""), {})


def _named(name: str, schema: dict[str, Any], parts: dict[str, Any], side: Side) -> Any:
    plain = {
        "organisation": "", "ci": side.ids["ci"], "service": side.ids["ci"], "parent": side.ids["incident"],
        "incident": side.ids["incident"], "change": side.ids["change"], "assignee": side.ids["person"],
        "caller": side.ids["person"], "source_ci": side.ids["ci"], "target_ci": side.ids["ci"], "cis": [side.ids["ci"]],
        "record": side.ids["incident"], "record_kind": "incident", "connection": side.connection, "ids": [side.ids["delivery"]],
        "external_key": f"{side.word}-key", "callback": side.connection, "starts_at": "2026-12-01T00:00:00Z",
        "window_start": "2026-12-01T00:00:00Z", "window_end": "2026-12-01T02:00:00Z", "ends_at": "2026-12-02T00:00:00Z",
        "after": "2026-12-01T00:00:00Z", "until": "2026-12-09T00:00:00Z", "action": "comment", "type": "normal", "model": "",
        "priority": "2", "impact": "2", "urgency": "2", "sections": {}, "verdict": "confirmed", "winner": "ours",
        "decision": "approved", "hints": {"host": f"{side.word} ci name"}, "environment": "production",
        "known_error": side.ids["known_error"], "problem": side.ids["problem"], "services": [side.ids["ci"]],
        "condition": "", "link": "https://example.org/", "due": "2026-12-24", "wait_seconds": 30, "table": "incidents", "query": "", "values": {"body": "hello"}, "expected": None, "role": "viewer", "scopes": ["incident:read"],
    }  # fmt: skip
    return plain[name] if name in plain else sample(schema, parts, side)


def body_of(operation: dict[str, Any], side: Side) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    parts = published()["components"]["schemas"]
    return {} if content is None else sample(content["schema"], parts, side)


def text_of(answer: Any) -> str:
    raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{raw.decode('utf-8', 'replace')} {dict(answer.headers)}"


def unlimited() -> None:
    from isthmus.hub.http import limits

    limits.limiter.__init__()


def state_of(side: Side) -> dict[str, list[Any]]:
    """Return every row of every table that names the organisation."""
    found = {}
    for model in apps.get_models():
        if any(each.name == "organisation" for each in model._meta.fields):
            rows = model._base_manager.filter(organisation=side.organisation).order_by("pk")
            found[model._meta.label] = [
                {
                    name: bytes(value) if isinstance(value, memoryview) else value
                    for name, value in row.items()
                }
                for row in rows.values()
            ]
    return found


def walk_api(world: World, asker: Side, about: Side, *, by: str) -> Iterator[tuple[str, str, Any]]:
    """Ask every GET route of the API as `asker` about things of `about`; give (question, what was put in, answer)."""
    client = asker.client(world.desk, by=by)
    for method, path, operation in api_routes():
        if method != "get":
            continue
        for url, put in listed(path, asker, about):
            for query in asked_for(operation, about):
                unlimited()
                answer = client.get(url, query)
                yield f"{url}?{query}", f"{put} {' '.join(query.values())}", answer


def walk_console(world: World, asker: Side, about: Side) -> Iterator[tuple[str, str, Any]]:
    client = asker.client(world.desk, by="person")
    asks: list[dict[str, str]] = [{}, {"format": "csv"}, {"q": about.word}, {"q": about.ids["incident"]}, {"q": f"{about.word}-key"},
                                  {"organisation": about.organisation, "connection": about.connection, "record": about.ids["incident"]}]  # fmt: skip
    for path in console_routes():
        for url, put in filled(path, asker, about):
            for query in asks if not put else asks[:1]:
                answer = client.get(url, query)
                yield f"{url}?{query}", f"{put} {' '.join(query.values())}", answer
