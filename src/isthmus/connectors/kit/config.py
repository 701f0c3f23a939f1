"""The configuration of a connection, as its connector declares it.

A connector subclasses `ConnectorConfig` and annotates each field with a help text; the same declaration
parses the blueprint, refuses unknown keys with the nearest known one, and yields the JSON Schema from which
editors and forms are made. Secrets are `SecretRef` fields: a reference is stored, the value never is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.secretref import SecretRef

T = TypeVar("T", bound="ConnectorConfig")


class ConnectorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all connector configurations: frozen, keyword-only, unknown keys refused."""

    @property
    def called(self) -> bool:
        """Whether the partner can be called: a connection with an empty `url` only receives."""
        return getattr(self, "url", None) != ""


def secret_fields(config: type[ConnectorConfig]) -> tuple[str, ...]:
    """Return the names of the fields that hold a reference to a secret."""
    return tuple(each.name for each in msgspec.structs.fields(config) if _holds_secret(each.type))


def secret_refs(config: ConnectorConfig) -> dict[str, SecretRef]:
    """Return the references that this configuration sets, by field name, for the edge to resolve."""
    found = {name: getattr(config, name) for name in secret_fields(type(config))}
    return {name: ref for name, ref in found.items() if isinstance(ref, SecretRef)}


def schema(config: type[ConnectorConfig]) -> dict[str, Any]:
    """Return the JSON Schema of a configuration, help texts as descriptions."""
    return msgspec.json.schema(config)


def help_texts(config: type[ConnectorConfig]) -> dict[str, str]:
    """Return the help text of each field; "" where the author forgot it (conformance refuses that)."""
    properties = _properties(schema(config), config.__name__)
    return {name: str(each.get("description", "")) for name, each in properties.items()}


def parse(config: type[T], data: Mapping[str, Any]) -> T:
    """Return the configuration that `data` describes; raise `Rejected` naming path and remedy otherwise."""
    known = [each.encode_name for each in msgspec.structs.fields(config)]
    problems = tuple(
        Problem(path=f"/{key}", message="unknown key", remedy=_nearest(str(key), known))
        for key in data
        if key not in known
    )
    if problems:
        raise Rejected("The configuration has unknown keys.", remedy=problems[0].remedy, problems=problems)
    try:
        return msgspec.convert(dict(data), config)
    except msgspec.ValidationError as cause:
        message, path = _split(str(cause))
        remedy = _wanted(config, path)
        raise Rejected(
            f"The configuration is wrong at {path or '/'}: {message}.",
            remedy=remedy,
            problems=(Problem(path=path, message=message, remedy=remedy),),
        ) from cause


def pointer(path: str) -> str:
    """Turn msgspec's `$.alerts[0].labels` into the JSON Pointer `/alerts/0/labels`."""
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", path.removeprefix("$"))
    return "".join("/" + (name or index).replace("~", "~0").replace("/", "~1") for name, index in parts)


def _split(message: str) -> tuple[str, str]:
    text, _, place = message.partition(" - at `")
    return text, pointer(place.rstrip("`")) if place else ""


def _wanted(config: type[ConnectorConfig], path: str) -> str:
    """Return what belongs at a place, as its declaration says: the known values, and the help text."""
    document = schema(config)
    here = _declared(document, document)
    for part in path.split("/")[1:]:
        inner = here.get("properties", {}).get(part) or here.get("items") or here.get("additionalProperties")
        here = _declared(document, inner if isinstance(inner, dict) else {})
    known = f"One of {', '.join(map(str, here['enum']))}." if "enum" in here else ""
    return " ".join(each for each in (known, str(here.get("description", ""))) if each)


def _declared(document: Mapping[str, Any], here: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference into the definitions; what stands beside it counts too."""
    name = str(here.get("$ref", "")).rpartition("/")[2]
    return {**document.get("$defs", {}).get(name, {}), **here}


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"Known keys: {', '.join(known)}."


def _holds_secret(kind: Any) -> bool:
    return kind is SecretRef or any(_holds_secret(each) for each in getattr(kind, "__args__", ()))


def _properties(document: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    definition = document.get("$defs", {}).get(name, document)
    properties: dict[str, dict[str, Any]] = definition.get("properties", {})
    return properties
