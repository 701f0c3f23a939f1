"""How Jira shows issues and comments over REST version 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def picked(issue: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the named fields of an issue, those that it has."""
    return {name: issue["fields"][name] for name in names if name in issue["fields"]}


def issue_as(issue: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Return an issue as `fields`, `expand` and `properties` of a request ask for it."""
    names = [each for each in query.get("fields", "").split(",") if each]
    shown = {
        "id": issue["id"],
        "key": issue["key"],
        "fields": picked(issue, names) if names else issue["fields"],
    }
    if "changelog" in query.get("expand", ""):
        shown["changelog"] = {"histories": list(reversed(issue["histories"]))}
    wanted = [each for each in query.get("properties", "").split(",") if each]
    if wanted:
        shown["properties"] = {
            name: issue["properties"][name] for name in wanted if name in issue["properties"]
        }
    return shown


def comment_as(entry: Mapping[str, Any], *, expanded: bool) -> dict[str, Any]:
    """Return a comment as Jira shows it, with its properties if they are asked for."""
    hidden: dict[str, Any] = next(
        (each["value"] for each in entry["properties"] if each["key"] == "sd.public.comment"), {}
    )
    shown = {name: value for name, value in entry.items() if name not in {"issue", "properties"}}
    shown["jsdPublic"] = not hidden.get("internal", False)
    if expanded:
        shown["properties"] = entry["properties"]
    return shown
