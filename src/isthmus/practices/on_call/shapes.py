"""How on-call stands in API answers. Addresses of people never do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.identity import people
from isthmus.practices.configuration.shapes import record_out, time_out
from isthmus.practices.on_call import service
from isthmus.practices.on_call.models import ContactCard, Escalation, Notification, RotaOverride
from isthmus.practices.on_call.rules.rota import Duty


def duty_out(rota: str, found: Duty, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a stretch of duty; `gap` where nobody is on duty."""
    return {
        "rota": rota, "person": found.person, "name": names.get(found.person, ""), "gap": not found.person, "layer": found.layer,
        "override": found.override, "starts_at": time_out(found.starts_at), "ends_at": time_out(found.ends_at),
    }  # fmt: skip


def duties_out(found: Iterable[tuple[str, Duty]]) -> list[dict[str, Any]]:
    """Return stretches of duty of rotas with names."""
    rows = list(found)
    names = people.labels(each.person for _, each in rows)
    return [duty_out(rota, each, names) for rota, each in rows]


def override_out(found: RotaOverride) -> dict[str, Any]:
    """Return an override with names."""
    names = people.labels([found.person, found.replaces])
    return record_out(found) | {
        "person_name": names.get(found.person, ""), "replaces_name": names.get(found.replaces, ""),
    }  # fmt: skip


def notification_out(found: Notification) -> dict[str, Any]:
    """Return a notification without its addresses; `receipts` is the evidence of each attempt."""
    shown = record_out(found)
    shown.pop("methods")
    shown["channel"] = found.carrier
    shown["receipts"] = [{**each, "at": time_out(each["at"])} for each in found.evidence]
    return shown


def escalation_out(found: Escalation) -> dict[str, Any]:
    """Return an escalation."""
    return record_out(found)


def escalation_whole(found: Escalation) -> dict[str, Any]:
    """Return an escalation with everybody who was told."""
    rows = Notification.objects.filter(organisation=found.organisation, escalation=found.id).order_by("id")[
        :200
    ]
    return escalation_out(found) | {"notifications": [notification_out(each) for each in rows]}


def card_out(person: str, found: ContactCard | None) -> dict[str, Any]:
    """Return a person's own card, addresses included: nobody else is shown it."""
    held = found.methods if found is not None and isinstance(found.methods, list) else []
    return {
        "person": person, "methods": held, "locale": found.locale if found else "", "zone": found.zone if found else "",
        "quiet_hours": found.quiet_hours or [] if found else [], "channels": service.channels_for_people(),
    }  # fmt: skip
