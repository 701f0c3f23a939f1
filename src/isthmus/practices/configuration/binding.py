"""Which configuration item an alert (or a change, or an import row) speaks about.

Pure: an `Index` is built once per version of the map; `bind` is a handful of dictionary look-ups. The order
is id, key, name, alias, address, short host name, then topology; the first that names exactly one live item
wins. Two candidates are told apart by environment, else nothing is guessed.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.kernel.graph import Graph

ID_KEYS = ("ci", "ci_id", "external_key", "key")
NAME_KEYS = ("name", "names", "host", "hostname", "instance", "node", "device", "alias", "aliases")
ADDRESS_KEYS = ("address", "addresses", "ip")
RELATED_KEYS = ("related", "service", "cluster", "parent", "application")

CONFIDENCE = {
    "id": 100,
    "key": 100,
    "name": 95,
    "alias": 90,
    "address": 80,
    "short_name": 70,
    "topology": 50,
    "none": 0,
    "ambiguous": 0,
}
"""Confidence in percent by the way an item was found: a name says more than an address, which moves."""

CANDIDATES_MAX = 20


@dataclass(frozen=True, slots=True)
class CiFacts:
    """One item of the map as rules need it."""

    id: str
    organisation: str
    name: str
    ci_class: str
    external_key: str
    aliases: tuple[str, ...]
    addresses: tuple[str, ...]
    environment: str
    criticality: str
    users: int
    owner: str
    support_group: str
    shared: bool
    state: str
    updated_at: int


@dataclass(frozen=True, kw_only=True)
class Binding:
    """`ci` is "" where nothing was found; `hint` then says what was looked for (for the gap).

    `how` is a key of `CONFIDENCE`; `confidence` is in percent; `service` is the id of the service that the
    item delivers ("" if none is known); `candidates` are the ids of an ambiguous hint.
    """

    ci: str = ""
    how: str = "none"
    confidence: int = 0
    service: str = ""
    hint: str = ""
    candidates: tuple[str, ...] = ()


def normal(text: str) -> str:
    """Return the form in which names are compared: case and surrounding blanks do not matter."""
    return text.strip().casefold()


def without_port(text: str) -> str:
    """Return host or address without a port: `db1:9100`, `10.0.0.7:9100` and `[::1]:9100` lose theirs."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.rpartition(":")
    return host if colon and port.isdecimal() and ":" not in host else text


def as_address(text: str) -> str:
    """Return the canonical spelling of an IP address, "" if `text` is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


class Index:
    """Live items by every name that they answer to."""

    def __init__(self, items: Iterable[CiFacts]) -> None:
        self.by_id = {each.id: each for each in items if each.state != "retired"}
        self._ways: dict[str, dict[str, list[str]]] = {
            way: defaultdict(list) for way in ("key", "name", "alias", "address", "short_name")
        }
        for each in self.by_id.values():
            self._add(each)

    def _add(self, each: CiFacts) -> None:
        if each.external_key:
            self._ways["key"][normal(each.external_key)].append(each.id)
        self._ways["name"][normal(each.name)].append(each.id)
        for alias in each.aliases:
            self._ways["alias"][normal(alias)].append(each.id)
        for address in each.addresses:
            self._ways["address"][address].append(each.id)
        for name in {
            normal(name).partition(".")[0] for name in (each.name, *each.aliases) if not as_address(name)
        }:
            self._ways["short_name"][name].append(each.id)

    def look_up(self, way: str, text: str) -> Sequence[str]:
        """Return the ids that answer to `text` in one way."""
        return self._ways[way].get(text, ())

    def resolve(self, reference: str) -> str:
        """Return the id of the one item that `reference` (id, key, name or alias) names, else ""."""
        if reference in self.by_id:
            return reference
        wanted = normal(reference)
        for way in ("key", "name", "alias"):
            found = self._ways[way].get(wanted)
            if found:
                return found[0] if len(set(found)) == 1 else ""
        return ""


def _texts(hints: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    found: list[str] = []
    for key in keys:
        value = hints.get(key)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list | tuple):
            found.extend(each for each in value if isinstance(each, str))
    return [text for text in (each.strip() for each in found) if text]


def bind(hints: Mapping[str, Any], index: Index, graph: Graph) -> Binding:
    """Return the item that `hints` name.

    Keys (all optional; each a text or a list of texts): `ci`, `external_key` (ids and keys); `name`, `host`,
    `instance`, … (names, a port is ignored, an IP literal counts as address); `address`; `environment` (tells
    namesakes apart); `service`, `cluster`, `related`, … (things near it, for topology).
    """
    environment = normal(str(hints.get("environment") or ""))
    ambiguous: tuple[str, ...] = ()
    asked = ""
    for way, text in _questions(hints):
        asked = asked or text
        found = (
            [text]
            if way == "id" and text in index.by_id
            else list(index.look_up(way, text))
            if way != "id"
            else []
        )
        found = sorted(set(found))
        if len(found) > 1 and environment:
            found = [each for each in found if normal(index.by_id[each].environment) == environment] or found
        if len(found) == 1:
            return Binding(ci=found[0], how=way, confidence=CONFIDENCE[way], hint=asked)
        if len(found) > 1 and not ambiguous:
            ambiguous = tuple(found[:CANDIDATES_MAX])
    if ambiguous:
        return Binding(how="ambiguous", hint=asked, candidates=ambiguous)
    near = [each for each in (index.resolve(text) for text in _texts(hints, RELATED_KEYS)) if each]
    common = graph.common_upstream(sorted(set(near))) if len(set(near)) > 1 else (near[0] if near else "")
    if common in index.by_id:
        return Binding(ci=common, how="topology", confidence=CONFIDENCE["topology"], hint=asked)
    return Binding(hint=asked)


def _questions(hints: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (way, text) in the order of confidence."""
    ids = _texts(hints, ID_KEYS)
    names = [without_port(each) for each in _texts(hints, NAME_KEYS)]
    addresses = [
        found
        for found in (as_address(without_port(each)) for each in (*_texts(hints, ADDRESS_KEYS), *names))
        if found
    ]
    plain = [normal(each) for each in names if not as_address(each)]
    return [
        *(("id", each) for each in ids),
        *(("key", normal(each)) for each in ids),
        *(("name", each) for each in (*(normal(each) for each in ids), *plain)),
        *(("alias", each) for each in (*(normal(each) for each in ids), *plain)),
        *(("address", each) for each in addresses),
        *(("short_name", each.partition(".")[0]) for each in plain),
    ]
