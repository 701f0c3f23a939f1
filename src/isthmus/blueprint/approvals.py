"""A second person for what decides who authorises: their consent is a record bound to the content hash.

Consent is given signed in, by a person who may decide approvals; no token gives it. It holds for one content
on one generation and for a week. Whether it counts is read from its entries, never from the row alone.
"""

from __future__ import annotations

import re

from isthmus.blueprint import running
from isthmus.blueprint.models import BlueprintApproval
from isthmus.identity import permissions
from isthmus.identity.models import Person, ServiceAccount
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Forbidden, Problem, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import organisations, reading, scope
from isthmus.ledger.work import Work

PERMISSION = "approval:decide"
VALID_FOR = 7 * DAY
GIVEN_MAX = 100
_HASH = re.compile(r"[0-9a-f]{64}")
_LOCAL = "local:"


def approve(work: Work, content_hash: str) -> BlueprintApproval:
    """Consent to a content, as planned against the generation in force; the actor is the approver."""
    root = organisations.root()
    if work.actor.kind is not ActorKind.PERSON:
        raise Forbidden(
            "Only a person who is signed in approves a blueprint.",
            remedy="Sign in to the console: Configuration, Plan, Approve.",
        )
    permissions.require(work.actor, PERMISSION, root)
    if _HASH.fullmatch(content_hash) is None:
        problem = Problem(path="/content_hash", message="is no hash", remedy="Copy it from the plan.")
        raise Rejected("64 hexadecimal digits are needed.", problems=(problem,))
    base = running.current(fresh=True).generation
    with scope.everywhere("the blueprint belongs to the installation"):
        held = BlueprintApproval.objects.filter(
            organisation=root, content_hash=content_hash, base_generation=base, approver=work.actor.id
        ).first()
    if isinstance(held, BlueprintApproval) and work.now - held.created_at < VALID_FOR:
        return held
    return work.create(
        BlueprintApproval,
        organisation=root,
        values={"content_hash": content_hash, "base_generation": base, "approver": work.actor.id},
        why=[
            Reason(
                rule="blueprint.approve", text=f"{work.actor.label or work.actor.id} approves this content."
            )
        ],
    )


def second_person(
    actor: Actor, content_hash: str, base_generation: int, now: Instant
) -> BlueprintApproval | None:
    """Return a consent to this content by somebody else than the one who applies it, None if there is none."""
    applies = _persons_behind(actor)
    with scope.everywhere("the blueprint belongs to the installation"):
        rows = BlueprintApproval.objects.filter(content_hash=content_hash, base_generation=base_generation)
        given: list[BlueprintApproval] = list(rows.order_by("-id")[:GIVEN_MAX])
        for row in given:
            approver = _approver(row.id, content_hash, base_generation, now)
            if approver and approver not in applies and _active(approver):
                return row
    return None


def _approver(record: str, content_hash: str, base_generation: int, now: Instant) -> str:
    """Return who gave a consent, as its one entry tells it; "" if that does not say this."""
    history = reading.history(record)
    if len(history) != 1 or history[0].actor_kind != ActorKind.PERSON:
        return ""
    entry = history[0]
    told = {name: change[1] for name, change in entry.changes.items()}
    right = (told.get("content_hash"), told.get("base_generation")) == (content_hash, base_generation)
    fresh = 0 <= now - entry.recorded_at < VALID_FOR
    return str(entry.actor) if right and fresh and told.get("approver") == entry.actor else ""


def _persons_behind(actor: Actor) -> set[str]:
    """Return everybody who stands behind who applies: the owner of a service account, the person whose user
    name a local operator has at the machine."""
    found = {actor.id}
    if actor.kind is ActorKind.SERVICE:
        with scope.everywhere("who stands behind a service account"):
            found |= set(ServiceAccount.objects.filter(id=actor.id).values_list("owner", flat=True))
            if actor.id.startswith(_LOCAL):
                name = actor.id.removeprefix(_LOCAL)
                found |= set(Person.objects.filter(username=name).values_list("id", flat=True))
    return found


def _active(person: str) -> bool:
    return Person.objects.filter(id=person, state="active").exists()
