"""What may stand in the map: classes with inheritance, attribute schemas, allowed class pairs.

Pure: a `Schema` is compiled from the blueprint section; checks return problems and never raise.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from typing import Any

from isthmus.kernel.errors import Problem
from isthmus.kernel.kinds.configuration import CI, CRITICALITIES, RELATION_TYPES
from isthmus.practices.configuration.blueprint import Attribute, Configuration, classes_of, relations_of

NAME_CHARACTERS_MAX = 255
NAMES_MAX = 200
"""Most aliases or addresses of one item."""

_TEXTS = frozenset(
    {
        "name",
        "ci_class",
        "external_key",
        "environment",
        "criticality",
        "owner",
        "support_group",
        "source",
        "state",
    }
)
_SETS = frozenset({"aliases", "addresses"})
_TRUE, _FALSE = frozenset({"true", "yes", "1", "y"}), frozenset({"false", "no", "0", "n", ""})


class Schema:
    """The compiled section: questions about classes and relations in constant time."""

    def __init__(self, section: Configuration) -> None:
        self._classes = classes_of(section)
        self._relations = relations_of(section)
        self._service_class = section.service_class
        self._lines = {name: self._line(name) for name in self._classes}
        self._attributes = {name: self._inherited(name) for name in self._classes}
        self._required = {
            name: sorted({each for above in line for each in self._classes[above].required})
            for name, line in self._lines.items()
        }

    def _line(self, name: str) -> tuple[str, ...]:
        found: list[str] = []
        while name in self._classes and name not in found:
            found.append(name)
            name = self._classes[name].parent
        return tuple(found)

    def _inherited(self, name: str) -> dict[str, Attribute]:
        found: dict[str, Attribute] = {}
        for above in reversed(self._lines[name]):
            found.update(self._classes[above].attributes)
        return found

    def names(self) -> list[str]:
        """The known classes in alphabetical order."""
        return sorted(self._classes)

    def is_a(self, name: str, ancestor: str) -> bool:
        """Return whether class `name` is `ancestor` or inherits from it."""
        return ancestor in self._lines.get(name, ())

    def line(self, name: str) -> tuple[str, ...]:
        """Return a class with all classes above it, nearest first."""
        return self._lines.get(name, (name,))

    def is_service(self, name: str) -> bool:
        """Return whether items of class `name` are services."""
        return self.is_a(name, self._service_class)

    def attributes(self, name: str) -> Mapping[str, Attribute]:
        """Return the attributes of a class, inherited ones included."""
        return self._attributes.get(name, {})

    def required(self, name: str) -> list[str]:
        """Return the item fields that this class must have, inherited ones included."""
        return self._required.get(name, [])

    def acyclic(self, relation_type: str) -> bool:
        """Return whether cycles of this relation type are refused."""
        return self._relations[relation_type].acyclic

    def pair_problem(self, relation_type: str, source_class: str, target_class: str) -> Problem | None:
        """Return why `source_class → target_class` is not allowed for this type, or None if it is."""
        pairs = self._relations[relation_type].pairs
        if not pairs or any(
            self.is_a(source_class, pair.source) and self.is_a(target_class, pair.target) for pair in pairs
        ):
            return None
        allowed = "; ".join(f"{pair.source} → {pair.target}" for pair in pairs)
        return Problem(
            path="/type",
            message=f"{source_class!r} may not be {relation_type.replace('_', ' ')} {target_class!r}.",
            remedy=f"Allowed: {allowed}. The blueprint section 'configuration' decides this.",
        )


def tame_ci(row: Mapping[str, Any], schema: Schema) -> tuple[dict[str, Any], list[Problem]]:
    """Return (canonical values, problems) of one item as it came from a file, an API or a partner.

    Only the given fields are returned. Texts of a CSV are read as what the field needs ("yes", "12",
    "a; b"). Unknown keys are problems, never guessed.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, raw in row.items():
        if key not in CI.by_name:
            near = difflib.get_close_matches(key, CI.by_name, n=1)
            problems.append(
                Problem(
                    path=f"/{key}",
                    message=f"There is no field {key!r}.",
                    remedy=f"Did you mean {near[0]!r}?" if near else "Put it under attributes.",
                )
            )
            continue
        try:
            values[key] = _field(key, raw)
        except ValueError as fault:
            problems.append(Problem(path=f"/{key}", message=str(fault), remedy="Correct this value."))
    if isinstance(values.get("attributes"), dict) and values.get("ci_class"):
        values["attributes"] = _typed_attributes(values["attributes"], schema.attributes(values["ci_class"]))
    return values, problems


def _field(key: str, raw: Any) -> Any:
    if key in _TEXTS:
        return _text(raw)
    if key in _SETS:
        items = raw.replace(";", ",").split(",") if isinstance(raw, str) else raw
        if raw is None:
            return []
        if not isinstance(items, list | tuple | set | frozenset):
            raise ValueError("A list of texts is needed.")
        found = sorted({_text(each) for each in items} - {""})
        if len(found) > NAMES_MAX:
            raise ValueError(f"More than {NAMES_MAX} entries.")
        return [_address(each) for each in found] if key == "addresses" else found
    if key == "users":
        return _integer(raw)
    if key == "shared":
        return _boolean(raw)
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ValueError("An object of attributes is needed.")  # noqa: TRY004 - caught as a wrong value
    return raw


def _text(raw: Any) -> str:
    if raw is None:
        return ""
    if isinstance(raw, bool | float) or not isinstance(raw, str | int):
        raise ValueError("A text is needed.")  # noqa: TRY004 - caught as a wrong value
    text = str(raw).strip()
    if len(text) > NAME_CHARACTERS_MAX or any(ord(character) < 32 for character in text):
        raise ValueError(f"At most {NAME_CHARACTERS_MAX} printable characters.")
    return text


def _integer(raw: Any) -> int | None:
    if raw is None or raw == "":
        return None
    if (
        isinstance(raw, bool)
        or not isinstance(raw, int | str)
        or not str(raw).strip().lstrip("-").isdecimal()
    ):
        raise ValueError("A whole number is needed.")
    if not 0 <= int(raw) < 2**53:
        raise ValueError("A number from 0 on is needed.")
    return int(raw)


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str("" if raw is None else raw).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false is needed.")
    return word in _TRUE


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as cause:
        raise ValueError(f"{text!r} is no IP address.") from cause


def _typed_attributes(attributes: Mapping[str, Any], known: Mapping[str, Attribute]) -> dict[str, Any]:
    """Read texts as the declared type where that is possible; what is not stays and is refused by the check."""
    found: dict[str, Any] = {}
    for name, raw in attributes.items():
        kind = known[name].type if name in known else "text"
        found[name] = raw
        if isinstance(raw, str) and kind == "integer" and raw.strip().lstrip("-").isdecimal():
            found[name] = int(raw)
        elif isinstance(raw, str) and kind == "boolean" and raw.strip().lower() in _TRUE | _FALSE:
            found[name] = _boolean(raw)
    return found


def check_ci(values: Mapping[str, Any], schema: Schema) -> list[Problem]:
    """Return what is wrong with a whole item (all fields as they would stand afterwards)."""
    problems: list[Problem] = []
    ci_class = values.get("ci_class") or ""
    if not values.get("name"):
        problems.append(
            Problem(path="/name", message="A name is needed.", remedy="Give the name that people use.")
        )
    if ci_class not in schema.names():
        near = difflib.get_close_matches(ci_class, schema.names(), n=1)
        problems.append(
            Problem(
                path="/ci_class",
                message=f"There is no class {ci_class!r}.",
                remedy=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(schema.names())}.",
            )
        )
        return problems
    if values.get("criticality") and values["criticality"] not in CRITICALITIES:
        problems.append(
            Problem(
                path="/criticality",
                message=f"{values['criticality']!r} is no criticality.",
                remedy=f"Use {', '.join(CRITICALITIES)}.",
            )
        )
    if values.get("state") and values["state"] not in {"live", "retired"}:
        problems.append(
            Problem(path="/state", message=f"{values['state']!r} is no state.", remedy="Use live or retired.")
        )
    problems += [
        Problem(path=f"/{name}", message=f"Class {ci_class!r} requires {name}.", remedy="Give a value.")
        for name in schema.required(ci_class)
        if values.get(name) in (None, "", [], {})
    ]
    return problems + _check_attributes(values.get("attributes") or {}, ci_class, schema)


def _check_attributes(attributes: Mapping[str, Any], ci_class: str, schema: Schema) -> list[Problem]:
    known = schema.attributes(ci_class)
    problems = [
        Problem(
            path=f"/attributes/{name}",
            message=f"Class {ci_class!r} requires the attribute {name!r}.",
            remedy="Give a value.",
        )
        for name, rule in known.items()
        if rule.required and attributes.get(name) in (None, "")
    ]
    types = {"text": str, "integer": int, "boolean": bool}
    for name, value in attributes.items():
        if not known:
            if isinstance(value, float):
                problems.append(
                    Problem(
                        path=f"/attributes/{name}",
                        message="Fractions are not kept.",
                        remedy="Write it as a text.",
                    )
                )
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(
                Problem(
                    path=f"/attributes/{name}",
                    message=f"Class {ci_class!r} has no attribute {name!r}.",
                    remedy=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}.",
                )
            )
        elif value is not None and type(value) is not types[known[name].type]:
            problems.append(
                Problem(
                    path=f"/attributes/{name}",
                    message=f"{name!r} must be {known[name].type}.",
                    remedy="Correct the value.",
                )
            )
        elif known[name].choices and value not in (None, "", *known[name].choices):
            problems.append(
                Problem(
                    path=f"/attributes/{name}",
                    message=f"{value!r} is not one of the choices.",
                    remedy=f"Use {', '.join(known[name].choices)}.",
                )
            )
    return problems


def check_relation(
    relation_type: str, source_class: str, target_class: str, *, same: bool, schema: Schema
) -> list[Problem]:
    """Return what is wrong with a relation; cycles are judged over the whole graph elsewhere."""
    if relation_type not in RELATION_TYPES:
        return [
            Problem(
                path="/type",
                message=f"There is no relation {relation_type!r}.",
                remedy=f"Use {', '.join(RELATION_TYPES)}.",
            )
        ]
    if same:
        return [
            Problem(path="/target", message="An item cannot depend on itself.", remedy="Name another target.")
        ]
    found = schema.pair_problem(relation_type, source_class, target_class)
    return [found] if found is not None else []
