"""Who does something, and through which door."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ActorKind(StrEnum):
    PERSON = "person"
    SERVICE = "service"  # a service account holding a token
    PARTNER = "partner"  # somebody on an external system, known only through it
    SYSTEM = "system"  # the hub itself: pump, lane, timer


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A resolvable doer. `id` is a person's or service account's record id, or `system:<part>`.

    `organisations` are the organisations that the actor may see (descendants already expanded);
    `roles` are names from `identity.roles`; `scopes` limit a service token further (None: no limit).
    `grants` are (role, organisation) pairs where a role does not hold everywhere (None: every role holds
    in every organisation of the actor).
    """

    kind: ActorKind
    id: str
    label: str = ""
    organisations: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] | None = None
    grants: frozenset[tuple[str, str]] | None = None


def system(part: str) -> Actor:
    """Return the hub's own actor for one of its parts, e.g. `system("pump")`."""
    return Actor(kind=ActorKind.SYSTEM, id=f"system:{part}", label=part)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a change came from: the channel (page, api, webhook, poll, file, timer, cli, hub), the
    connection if one was involved, and whether the traffic is synthetic (a probe, never a KPI)."""

    channel: str
    connection: str = ""
    synthetic: bool = False
