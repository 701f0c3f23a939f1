"""Who is here and how they are reached: the blueprint, people and their contact cards, joined.

Organisations: a rota, a channel or a person serves its own organisation and those below it. What is about an
organisation never reaches a rota, a channel or a person of a sibling's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from isthmus import blueprint
from isthmus.hub import connections
from isthmus.identity.models import Person
from isthmus.kernel.errors import IsthmusError, NotFound
from isthmus.ledger import organisations, scope
from isthmus.practices.on_call.blueprint import SECTION, OnCallSection
from isthmus.practices.on_call.models import ContactCard


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Somebody to be told. `id` is a person's id or a channel's name; `methods` are (channel, address) in order."""

    id: str
    person: str
    target: str
    methods: tuple[tuple[str, str], ...]
    locale: str = "en"
    zone: str = "UTC"
    quiet_hours: list[dict[str, Any]] = field(default_factory=list)


def section() -> OnCallSection:
    """Return the section in force."""
    found: OnCallSection = blueprint.current().section(SECTION)
    return found


def serves(owner: str, organisation: str) -> bool:
    """Return whether what belongs to `owner` may be told of things of `organisation`."""
    try:
        return owner in organisations.lineage(organisation)
    except NotFound:
        return False


def people(names: Iterable[str], organisation: str) -> dict[str, Person]:
    """Return user name → active person, of those who serve the organisation."""
    wanted = {each for each in names if each}
    if not wanted:
        return {}
    near = organisations.lineage(organisation)
    with scope.everywhere("the blueprint names people; whoever serves the organisation may be told"):
        rows = Person.objects.filter(username__in=wanted, organisation__in=near, state="active").order_by(
            "id"
        )
        return {each.username: each for each in rows}


def person(person_id: str) -> Person | None:
    """Return an active person by id."""
    with scope.everywhere("a person on duty is told wherever the record lies"):
        found: Person | None = Person.objects.filter(id=person_id, state="active").first()
        return found


def of_person(person_id: str, label: str) -> Recipient | None:
    """Return how a person is reached; None for one who has left."""
    who = person(person_id)
    if who is None:
        return None
    card = card_of(person_id)
    methods = methods_of(card, who)
    return Recipient(
        id=person_id,
        person=person_id,
        target=label,
        methods=tuple(methods),
        locale=(card.locale if card else "") or section().people.locale,
        zone=(card.zone if card else "") or who.time_zone or "UTC",
        quiet_hours=list(card.quiet_hours or []) if card and isinstance(card.quiet_hours, list) else [],
    )


def card_of(person_id: str) -> ContactCard | None:
    """Return a person's contact card, if they have one."""
    with scope.everywhere("a card belongs to its person"):
        found: ContactCard | None = ContactCard.objects.filter(person=person_id).order_by("id").first()
        return found


def methods_of(card: ContactCard | None, who: Person) -> list[tuple[str, str]]:
    """Return (channel, address) in the order in which a person wants to be tried, with the channels' fall-backs."""
    channels = section().channels
    wanted: list[tuple[str, str]] = []
    held = card.methods if card is not None and isinstance(card.methods, list) else []
    for each in held:
        name, address = str(each.get("channel", "")), str(each.get("address", ""))
        if name in channels and address:
            wanted.append((name, address))
    if not wanted and who.email:
        wanted = [(name, who.email) for name in section().people.methods]
    found: list[tuple[str, str]] = []
    for name, address in wanted:
        for each in chain(name):
            target = channels[each].recipient or (address if each == name else _address(each, wanted, who))
            if target and usable(each, who.organisation):
                found.append((each, target))
    return list(dict.fromkeys(found))


def _address(channel: str, wanted: list[tuple[str, str]], who: Person) -> str:
    """Return where a fall-back reaches the person: as their card says, else their mail address where people use it."""
    known = dict(wanted)
    return known.get(channel) or (who.email if channel in section().people.methods else "")


def chain(name: str) -> list[str]:
    """Return a channel and its fall-backs."""
    found: list[str] = []
    while name and name not in found and name in section().channels:
        found.append(name)
        name = section().channels[name].fallback
    return found


def usable(channel: str, organisation: str) -> bool:
    """Return whether a channel's connection is in force and serves the organisation."""
    try:
        found = connections.get(section().channels[channel].connection)
    except IsthmusError:
        return False
    return serves(found.organisation, organisation)
