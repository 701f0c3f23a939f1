"""Overrides and contact cards: what people decide about duty and about how they are reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import msgspec

from isthmus.identity.models import Person
from isthmus.kernel.errors import Conflict, NotFound, Problem, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import scope
from isthmus.practices.on_call import directory, rotas
from isthmus.practices.on_call.blueprint import OnCallHours
from isthmus.practices.on_call.models import ContactCard, RotaOverride

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

OVERRIDE_DAYS_MAX = 92
METHODS_MAX = 10
ADDRESS_CHARACTERS_MAX = 320
QUIET_MAX = 14
REASON_CHARACTERS_MAX = 500


def override(
    work: Work,
    rota: str,
    *,
    person: str,
    starts_at: Instant,
    ends_at: Instant,
    replaces: str = "",
    reason: str = "",
) -> RotaOverride:
    """Put a person (id or user name) on duty for a stretch of time, for everybody or only in place of one."""
    if rota not in directory.section().rotas:
        raise NotFound(f"There is no rota {rota!r}.", remedy="Rotas stand in the blueprint under on_call.")
    home = rotas.home_of(rota)
    problems = []
    who, whom = _person(person, home), _person(replaces, home)
    if who is None:
        problems.append(
            Problem(path="/person", message=f"{person!r} is nobody here", remedy="Give a user name.")
        )
    if replaces and whom is None:
        problems.append(
            Problem(path="/replaces", message=f"{replaces!r} is nobody here", remedy="Give a user name.")
        )
    if not starts_at < ends_at <= starts_at + OVERRIDE_DAYS_MAX * DAY:
        problems.append(
            Problem(
                path="/ends_at",
                message=f"an override ends after it starts, within {OVERRIDE_DAYS_MAX} days",
                remedy="Give a later end, or change the rota in the blueprint.",
            )
        )
    if ends_at <= work.now:
        problems.append(Problem(path="/ends_at", message="lies in the past", remedy="Give a later end."))
    if len(reason) > REASON_CHARACTERS_MAX:
        problems.append(Problem(path="/reason", message=f"at most {REASON_CHARACTERS_MAX} characters"))
    if problems or who is None:
        raise Rejected("The override was not set.", problems=tuple(problems))
    text = f"{work.actor.label or work.actor.id} put somebody on duty in rota {rota}."
    return work.create(
        RotaOverride,
        organisation=home,
        values={
            "rota": rota, "person": who.id, "replaces": whom.id if whom is not None else "", "starts_at": starts_at,
            "ends_at": ends_at, "reason": reason, "state": "active",
        },
        why=[Reason(rule="on_call.override", text=text)],
    )  # fmt: skip


def cancel(work: Work, found: RotaOverride) -> RotaOverride:
    """Take an override back; what it did until now stays in the history."""
    if found.state != "active":
        raise Conflict("This override is cancelled already.")
    text = f"{work.actor.label or work.actor.id} took the override back."
    return work.change(found, {"state": "cancelled"}, why=[Reason(rule="on_call.override", text=text)])


def override_of(override_id: str) -> RotaOverride:
    """Return an override within the open scope."""
    found = RotaOverride.objects.filter(id=override_id).first()
    if not isinstance(found, RotaOverride):
        raise NotFound("There is no such override, or none that you may see.")
    return found


def _person(name: str, organisation: str) -> Person | None:
    if not name:
        return None
    found = directory.people([name], organisation).get(name)
    if found is not None:
        return found
    by_id = directory.person(name)
    return by_id if by_id is not None and directory.serves(by_id.organisation, organisation) else None


# Contact cards --------------------------------------------------------------------------------------------------


def set_card(
    work: Work,
    person_id: str,
    *,
    methods: Sequence[Mapping[str, Any]],
    quiet_hours: Sequence[Mapping[str, Any]] = (),
    locale: str = "",
    zone: str = "",
) -> ContactCard:
    """Write down how a person wants to be reached. Addresses stand under the person's own key."""
    who = directory.person(person_id)
    if who is None:
        raise NotFound("There is no such person.")
    problems = [*_wrong_methods(methods), *_wrong_hours(quiet_hours)]
    if zone and zone not in available_timezones():
        problems.append(
            Problem(path="/zone", message=f"{zone!r} is no time zone", remedy="Use e.g. Europe/Berlin.")
        )
    if len(locale) > 12:
        problems.append(Problem(path="/locale", message="is no language", remedy="Use e.g. en or de."))
    if problems:
        raise Rejected("The contact card was not changed.", problems=tuple(problems))
    values = {
        "person": person_id, "locale": locale, "zone": zone,
        "methods": [{"channel": str(each["channel"]), "address": str(each["address"]).strip()} for each in methods],
        "quiet_hours": [msgspec.to_builtins(msgspec.convert(dict(each), OnCallHours)) for each in quiet_hours],
    }  # fmt: skip
    why = [
        Reason(rule="on_call.contact", text=f"{work.actor.label or work.actor.id} said how they are reached.")
    ]
    with scope.everywhere("a card belongs to its person"):
        held: ContactCard | None = ContactCard.objects.filter(
            organisation=who.organisation, person=person_id
        ).first()
    if held is None:
        return work.create(ContactCard, organisation=who.organisation, values=values, why=why)
    return work.change(held, values, why=why)


def _wrong_methods(methods: Sequence[Mapping[str, Any]]) -> list[Problem]:
    channels = directory.section().channels
    known = [name for name, spec in channels.items() if not spec.recipient]
    problems = []
    if len(methods) > METHODS_MAX:
        problems.append(Problem(path="/methods", message=f"at most {METHODS_MAX} methods"))
    for index, each in enumerate(methods):
        address = str(each.get("address", "")).strip()
        if each.get("channel") not in known:
            there = ", ".join(sorted(known)) or "none"
            problems.append(
                Problem(
                    path=f"/methods/{index}/channel",
                    message=f"{each.get('channel')!r} is no channel for people",
                    remedy=f"There are: {there}.",
                )
            )
        if not 0 < len(address) <= ADDRESS_CHARACTERS_MAX or any(ord(letter) < 32 for letter in address):
            problems.append(
                Problem(path=f"/methods/{index}/address", message="is no address", remedy="Fill it in.")
            )
    return problems


def _wrong_hours(hours: Sequence[Mapping[str, Any]]) -> list[Problem]:
    problems = []
    if len(hours) > QUIET_MAX:
        problems.append(Problem(path="/quiet_hours", message=f"at most {QUIET_MAX} stretches"))
    for index, each in enumerate(hours):
        try:
            msgspec.convert(dict(each), OnCallHours)
        except msgspec.ValidationError as fault:
            problems.append(
                Problem(
                    path=f"/quiet_hours/{index}",
                    message=str(fault),
                    remedy='Write it like {"days": ["mon"], "start": "22:00", "end": "07:00"}.',
                )
            )
    return problems
