"""The blueprint section `configuration`: classes of configuration items and what may depend on what."""

from __future__ import annotations

from typing import Literal

import msgspec

from isthmus.blueprint.sections import Parsed, Section, register
from isthmus.kernel.errors import Problem

RelationType = Literal["depends_on", "runs_on", "hosted_on", "member_of"]
REQUIRABLE = ("external_key", "environment", "criticality", "users", "owner", "support_group")


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One attribute of a class. `choices` limits a text; `required` is inherited by subclasses."""

    type: Literal["text", "integer", "boolean"] = "text"
    required: bool = False
    choices: list[str] = []
    help: str = ""


class CiClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A class. It inherits attributes and required fields of its parent.

    `required` names fields of every configuration item (owner, environment, …) that this class must have.
    A class that knows no attributes, own or inherited, takes any.
    """

    name: str
    parent: str = "ci"
    required: list[str] = []
    attributes: dict[str, Attribute] = {}
    help: str = ""


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which class may point at which; subclasses are included."""

    source: str
    target: str


class RelationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`pairs` empty: any class may point at any. `acyclic`: a cycle of this type is refused."""

    type: RelationType
    pairs: list[Pair] = []
    acyclic: bool = False


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Own classes and relation rules come on top of the built-in ones; the same name replaces one.

    `service_class`: items of this class (or below) are services: what users and agreements know.
    """

    classes: list[CiClass] = []
    relations: list[RelationRule] = []
    service_class: str = "service"


BUILT_IN_CLASSES = (
    CiClass(name="ci", parent="", help="the root of all classes"),
    CiClass(name="service", help="what delivers value to users"),
    CiClass(name="business_service", parent="service"),
    CiClass(name="technical_service", parent="service"),
    CiClass(name="application"),
    CiClass(name="database", parent="application"),
    CiClass(name="middleware", parent="application"),
    CiClass(name="infrastructure"),
    CiClass(name="server", parent="infrastructure"),
    CiClass(name="virtual_machine", parent="server"),
    CiClass(name="container_host", parent="server"),
    CiClass(name="container", parent="infrastructure"),
    CiClass(name="cluster", parent="infrastructure"),
    CiClass(name="storage", parent="infrastructure"),
    CiClass(name="network_device", parent="infrastructure"),
    CiClass(name="cloud_resource", parent="infrastructure"),
    CiClass(name="facility", help="rooms, racks, power"),
    CiClass(name="rack", parent="facility"),
    CiClass(name="location", parent="facility"),
)
BUILT_IN_RELATIONS = (
    RelationRule(type="depends_on"),
    RelationRule(
        type="runs_on",
        pairs=[
            Pair(source="application", target="infrastructure"),
            Pair(source="infrastructure", target="infrastructure"),
        ],
        acyclic=True,
    ),
    RelationRule(
        type="hosted_on",
        pairs=[
            Pair(source="application", target="infrastructure"),
            Pair(source="infrastructure", target="infrastructure"),
            Pair(source="infrastructure", target="facility"),
            Pair(source="facility", target="facility"),
        ],
        acyclic=True,
    ),
    RelationRule(type="member_of", acyclic=True),
)


def classes_of(section: Configuration) -> dict[str, CiClass]:
    """Return all classes by name, the section's own over the built-in ones."""
    return {each.name: each for each in (*BUILT_IN_CLASSES, *section.classes)}


def relations_of(section: Configuration) -> dict[str, RelationRule]:
    """Return the rule of each relation type, the section's own over the built-in ones."""
    return {each.type: each for each in (*BUILT_IN_RELATIONS, *section.relations)}


def check(section: Configuration, _parsed: Parsed) -> list[Problem]:
    """Return what the types cannot say: unknown parents, cycles of inheritance, unknown classes in pairs."""
    known = classes_of(section)
    problems: list[Problem] = []
    for index, each in enumerate(section.classes):
        path = f"/classes/{index}"
        if each.name != "ci" and each.parent not in known:
            problems.append(
                Problem(
                    path=f"{path}/parent",
                    message=f"There is no class {each.parent!r}.",
                    remedy="Declare it, or use 'ci'.",
                )
            )
        elif _inherits_from_itself(each.name, known):
            problems.append(
                Problem(
                    path=f"{path}/parent",
                    message=f"{each.name!r} inherits from itself.",
                    remedy="Break the circle.",
                )
            )
        for place, name in enumerate(each.required):
            if name not in REQUIRABLE:
                problems.append(
                    Problem(
                        path=f"{path}/required/{place}",
                        message=f"{name!r} cannot be required.",
                        remedy=f"Possible: {', '.join(REQUIRABLE)}.",
                    )
                )
    problems += _unknown_in_pairs(section, known)
    if section.service_class not in known:
        problems.append(
            Problem(
                path="/service_class",
                message=f"There is no class {section.service_class!r}.",
                remedy="Declare it under classes.",
            )
        )
    return problems


def _unknown_in_pairs(section: Configuration, known: dict[str, CiClass]) -> list[Problem]:
    return [
        Problem(
            path=f"/relations/{index}/pairs/{place}/{end}",
            message=f"There is no class {getattr(pair, end)!r}.",
            remedy="Declare it under classes.",
        )
        for index, rule in enumerate(section.relations)
        for place, pair in enumerate(rule.pairs)
        for end in ("source", "target")
        if getattr(pair, end) not in known
    ]


def _inherits_from_itself(name: str, known: dict[str, CiClass]) -> bool:
    seen: set[str] = set()
    while name and name in known:
        if name in seen:
            return True
        seen.add(name)
        name = known[name].parent
    return False


def declare() -> None:
    """Register the section; called once from `ready`."""
    register(
        Section(
            name="configuration",
            schema=Configuration,
            help="Classes of configuration items, their attributes, and which relations are allowed between them.",
            default=Configuration,
            check=check,
        )
    )
