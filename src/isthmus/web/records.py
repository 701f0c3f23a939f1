"""Finding records of any kind: by id, by number, by a partner's key. Visible ones only."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from django.apps import apps

from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.ledger.records import RecordModel, kind_of

PATHS: Final = {
    "incident": "/incidents/", "change": "/changes/", "ci": "/map/", "alert": "/alerts/", "conflict": "/conflicts/",
    "problem": "/problems/", "known_error": "/known-errors/",
    "sla_clock": "/sla/clocks/",
    "incident_review": "/reviews/",
    "escalation": "/on-call/escalations/",
}  # fmt: skip
"""Kinds with a page of their own; every other record is shown by its trace."""
READ: Final = {
    "incident": "incident:read", "change": "change:read", "ci": "ci:read", "alert": "alert:read",
    "conflict": "conflict:read", "link": "link:read", "sla_clock": "sla:read", "sla_partner_clock": "sla:read", "approval": "approval:read",
    "problem": "problem:read", "known_error": "problem:read", "known_error_match": "incident:read",
    "escalation": "oncall:read", "notification": "oncall:read", "acknowledgement": "oncall:read", "rota_override": "oncall:read",
    "contact_card": "people:read",
    "accuracy_sample": "alert:read", "automation_mode": "alert:read",
    "list_view": "people:read", "list_choice": "people:read",
    "person": "people:read", "role_grant": "people:read", "service_account": "token:read", "generation": "configuration:read",
}  # fmt: skip
_NOT_BY_TRACE: Final = (
    "contact_card",
    "list_choice",
    "list_view",
    "person",
    "role_grant",
    "service_account",
    "generation",
)
"""Kinds that belong to the story of no ticket: whoever may follow traces need not see people or the blueprint."""


@cache
def models() -> dict[str, type[RecordModel]]:
    """Return the projection of every kind that has one."""
    return {
        kind_of(model).name: model
        for model in apps.get_models()
        if issubclass(model, RecordModel) and not model._meta.abstract  # noqa: SLF001 - Django's documented API
    }


def hidden_from(actor: Actor, kind: str, organisation: str) -> bool:
    """Return whether a trace does not show records of this kind of this organisation to the actor."""
    return kind in _NOT_BY_TRACE and not permissions.allowed(actor, READ[kind], organisation)


def of(kind: str) -> Any:
    """Return the rows of a kind that the open scope shows."""
    return models()[kind].objects


def path_of(kind: str, record_id: str) -> str:
    """Return the page that shows a record."""
    return f"{PATHS[kind]}{record_id}" if kind in PATHS else f"/trace/{record_id}"


def titles(kind: str, ids: Iterable[str], field: str) -> dict[str, str]:
    """Return id → value of `field` for records of one kind; one query."""
    wanted = {each for each in ids if each}
    return dict(of(kind).filter(id__in=wanted).values_list("id", field)) if wanted else {}


def by_ids(kind: str, ids: Iterable[str]) -> dict[str, Any]:
    """Return id → record; one query, and none for no ids."""
    wanted = {each for each in ids if each}
    return {each.id: each for each in of(kind).filter(id__in=wanted)} if wanted else {}
