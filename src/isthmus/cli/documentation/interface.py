"""The HTTP API, from its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.cli.documentation.markdown import inlined, page, prose, table, type_text


def api() -> str:
    """Return the page of the API."""
    from isthmus.web.api import api

    document = api.get_openapi_schema()
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation, schemas))
    intro = (
        "Generated from the OpenAPI document that the hub publishes at `/api/v1/openapi.json`. "
        "Authenticate with `Authorization: Bearer <token>`, or with a session and its CSRF token. Errors are "
        "`application/problem+json` with `errors[]` (JSON Pointer, message, remedy). Lists are pages: `limit`, "
        "`cursor`, and `next` in the body. Times are RFC 3339 in UTC."
    )
    parts = [part for tag in sorted(by_tag) for part in (f"## {tag}", *by_tag[tag])]
    return page("HTTP API", intro, *parts)


def _operation(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    said = prose(operation.get("description", "").removesuffix(operation["summary"]))
    parts = [f"### `{method.upper()} {path}`", operation["summary"] + "." + (f" {said}" if said else "")]
    rows = [
        (
            f"`{each['name']}`",
            each["in"],
            type_text(each["schema"]),
            "required" if each.get("required") else "",
        )
        for each in operation.get("parameters", [])
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        body = schemas.get(content["schema"].get("$ref", "").rsplit("/", 1)[-1], content["schema"])
        rows += [
            (
                f"`{name}`",
                "body",
                type_text(inlined(value)),
                "required" if name in body.get("required", []) else "",
            )
            for name, value in body.get("properties", {}).items()
        ]
    if rows:
        parts.append(table(("name", "in", "type", ""), rows))
    return "\n\n".join(parts)
