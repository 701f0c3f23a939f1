"""Who is meant by a target of a step: a person, who is on duty, a channel, a group or its manager."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.kernel.instant import Instant
from isthmus.practices.on_call import rotas
from isthmus.practices.on_call.blueprint import ASSIGNED, OWNER
from isthmus.practices.on_call.directory import Recipient, chain, of_person, people, section, serves, usable


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
    if not serves(rotas.home_of(name), organisation):
        return [], f"Rota {name} does not serve this organisation."
    duty = rotas.on_duty(name, at)
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
