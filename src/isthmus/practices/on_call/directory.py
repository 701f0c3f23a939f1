"""Who is meant by a target, and how they are reached: the blueprint, people and their contact cards, joined.

Organisations: a rota, a channel or a person serves its own organisation and those below it. What is about an
organisation never reaches a rota, a channel or a person of a sibling's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus import blueprint
from isthmus.hub import connections
from isthmus.identity.models import Person
from isthmus.kernel.errors import IsthmusError, NotFound
from isthmus.kernel.instant import Instant
from isthmus.ledger import organisations, scope
from isthmus.ledger.models import Organisation
from isthmus.practices.on_call.blueprint import ASSIGNED, OWNER, SECTION, OnCallSection, rota_of
from isthmus.practices.on_call.models import ContactCard, RotaOverride
from isthmus.practices.on_call.rules import rota as rules
from isthmus.practices.on_call.rules.rota import Duty, Override, Rota

OVERRIDES_MAX = 1_000


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


def organisation_named(name: str) -> str:
    """Return the id of an organisation by name, the root's for ""; "" if there is none."""
    if not name:
        return organisations.root()
    with scope.everywhere("the blueprint names organisations"):
        found = Organisation.objects.filter(name=name, state="active").values_list("id", flat=True).first()
    return str(found or "")


def serves(owner: str, organisation: str) -> bool:
    """Return whether what belongs to `owner` may be told of things of `organisation`."""
    try:
        return owner in organisations.lineage(organisation)
    except NotFound:
        return False


def home_of(rota: str) -> str:
    """Return the organisation that a rota belongs to."""
    return organisation_named(section().rotas[rota].organisation)


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


# Rotas ----------------------------------------------------------------------------------------------------------


def rota(name: str) -> Rota:
    """Return a rota whose participants are ids of people; `NotFound` if there is none."""
    found = section().rotas.get(name)
    if found is None:
        raise NotFound(f"There is no rota {name!r}.", remedy="Rotas stand in the blueprint under on_call.")
    plain = rota_of(name, found)
    names = {each for layer in plain.layers for each in layer.participants}
    known = people(names, organisation_named(found.organisation))
    # One who has left keeps the turn: their place shows as a gap instead of moving everybody else's weeks.
    return Rota(
        name=name,
        layers=tuple(
            rules.Layer(
                name=layer.name,
                participants=tuple(known[each].id if each in known else "" for each in layer.participants),
                rotation=layer.rotation, start=layer.start, zone=layer.zone, hours=layer.hours,
            )
            for layer in plain.layers
        ),
    )  # fmt: skip


def overrides(name: str, since: Instant, until: Instant) -> list[Override]:
    """Return the active overrides of a rota that touch a stretch of time, the oldest first."""
    with scope.everywhere("an override belongs to its rota"):
        rows = RotaOverride.objects.filter(
            organisation=home_of(name), rota=name, state="active", starts_at__lt=until, ends_at__gt=since
        ).order_by("id")[:OVERRIDES_MAX]
        return [
            Override(
                id=each.id, person=each.person, replaces=each.replaces,
                starts_at=Instant(each.starts_at or 0), ends_at=Instant(each.ends_at or 0),
            )
            for each in rows
        ]  # fmt: skip


def on_duty(name: str, at: Instant) -> Duty:
    """Return who of a rota is on duty at an instant."""
    return rules.on_duty(rota(name), overrides(name, at, Instant(at + 1)), at)


def duties(name: str, since: Instant, until: Instant) -> list[Duty]:
    """Return who of a rota is on duty over a stretch of time, gaps included."""
    return rules.duties(rota(name), overrides(name, since, until), since, until)


# Targets --------------------------------------------------------------------------------------------------------


def resolved(
    target: Mapping[str, str], *, organisation: str, assigned: str, owner: str, at: Instant
) -> tuple[list[Recipient], str]:
    """Return the recipients that a target means now, and why there is none if there is none.

    `assigned` is the group that the subject is assigned to, `owner` the rota that owns its service or connection.
    """
    ((kind, name),) = target.items()
    label = f"{kind}:{name}"
    match kind:
        case "person":
            found = people([name], organisation)
            return (
                (_recipients([found[name].id], label), "")
                if name in found
                else ([], f"{name} is not here (any more).")
            )
        case "rota":
            return _of_rota(owner if name == OWNER else name, organisation, label, at)
        case "channel":
            return _of_channel(name, organisation, label)
        case "group":
            return _of_group(assigned if name == ASSIGNED else name, organisation, label, at)
        case _:
            group = section().groups.get(assigned if name == ASSIGNED else name)
            manager = group.manager if group is not None else ""
            found = people([manager], organisation)
            if manager in found:
                return _recipients([found[manager].id], label), ""
            return [], f"{name} has no manager who could be reached."


def _of_rota(name: str, organisation: str, label: str, at: Instant) -> tuple[list[Recipient], str]:
    if not name or name not in section().rotas:
        return [], "No rota owns it."
    if not serves(home_of(name), organisation):
        return [], f"Rota {name} does not serve this organisation."
    duty = on_duty(name, at)
    if not duty.person:
        return [], f"Nobody of rota {name} is on duty."
    found = _recipients([duty.person], label if label != f"rota:{OWNER}" else f"rota:{name}")
    return found, "" if found else f"Who is on duty in rota {name} cannot be reached."


def _of_group(name: str, organisation: str, label: str, at: Instant) -> tuple[list[Recipient], str]:
    group = section().groups.get(name)
    if group is None:
        return [], f"The blueprint does not say how group {name or '(none)'} is reached."
    found: list[Recipient] = []
    if group.rota:
        found += _of_rota(group.rota, organisation, label, at)[0]
    if group.channel:
        found += _of_channel(group.channel, organisation, label)[0]
    members = people(group.members, organisation)
    found += _recipients([members[each].id for each in group.members if each in members], label)
    unique = list({each.id: each for each in found}.values())
    return unique, "" if unique else f"Nobody of group {name} can be reached."


def _of_channel(name: str, organisation: str, label: str) -> tuple[list[Recipient], str]:
    methods = [
        (each, section().channels[each].recipient) for each in chain(name) if usable(each, organisation)
    ]
    if not methods:
        return [], f"Channel {name} does not serve this organisation, or its connection cannot be used."
    spec = section().channels[name]
    found = Recipient(
        id=f"channel:{name}",
        person="",
        target=label,
        methods=tuple(methods),
        locale=spec.locale,
        zone=spec.zone,
    )
    return [found], ""


def _recipients(ids: Iterable[str], label: str) -> list[Recipient]:
    return [found for each in ids if (found := of_person(each, label)) is not None]


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
