"""What can be asked of the blueprint: plan, apply, history, rollback. Nothing here commits."""

from __future__ import annotations

from typing import Any

import msgspec

from isthmus.blueprint import approvals, running, validate
from isthmus.blueprint import plan as planning
from isthmus.blueprint.models import Generation
from isthmus.blueprint.plan import Plan
from isthmus.blueprint.sections import Parsed
from isthmus.blueprint.source import Source
from isthmus.kernel.errors import Conflict, Forbidden, NotFound
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import organisations, scope
from isthmus.ledger.work import Work


def checked(source: Source) -> Parsed:
    """Return the typed candidate, or raise `Invalid` with every problem."""
    parsed, problems = validate.check(source)
    if parsed is None:
        raise validate.Invalid(problems)
    return parsed


def plan(source: Source) -> Plan:
    """Return what applying `source` would change, without changing anything."""
    now = running.current(fresh=True)
    parsed = checked(source)
    return planning.make(now.plain or {}, now, source.sections, parsed, base_generation=now.generation)


def apply(work: Work, source: Source, *, expected: int | None = None) -> Generation | None:
    """Make `source` the blueprint in force; return its generation, or None where nothing differs.

    `expected` is the generation that the caller planned against: another one in between is a `Conflict`.
    What is of the high tier needs a second person's consent to this content hash (`approvals.approve`).
    """
    proposed = plan(source)
    if expected is not None and expected != proposed.base_generation:
        raise Conflict(
            f"The blueprint moved from generation {expected} to {proposed.base_generation} since the plan.",
            remedy="Plan again and look at the new differences.",
        )
    if proposed.empty:
        return None
    text = f"{len(proposed.steps)} value(s) changed against generation {proposed.base_generation}."
    return _record(
        work,
        source.sections,
        proposed,
        Reason(rule="blueprint.apply", text=text, facts=_consent(work, proposed)),
    )


def rollback(work: Work, to_sequence: int) -> Generation | None:
    """Apply the content of an earlier generation again, as a new one; None where nothing differs.

    The way back needs the same consent as the way there: an old rule about authority is a rule about authority.
    """
    source = Source(sections=sections_of(generation(to_sequence)))
    proposed = plan(source)
    if proposed.empty:
        return None
    text = (
        f"Rolled back from generation {proposed.base_generation} to the content of generation {to_sequence}."
    )
    return _record(
        work,
        source.sections,
        proposed,
        Reason(rule="blueprint.rollback", text=text, facts=_consent(work, proposed)),
        rolled_back_from=proposed.base_generation,
    )


def _consent(work: Work, proposed: Plan) -> dict[str, Json]:
    """Return who else agreed to a content of the high tier; `Forbidden` if nobody did. The first blueprint of
    an installation is exempt: there is nobody yet who could agree."""
    if not proposed.high_tier or proposed.base_generation == 0:
        return {}
    found = approvals.second_person(work.actor, proposed.content_hash, proposed.base_generation, work.now)
    if found is None:
        raise Forbidden(
            f"{', '.join(proposed.high_tier)} need a second person's approval of this content.",
            remedy=f"Ask a colleague to plan and approve it; its content hash is {proposed.content_hash}.",
        )
    return {"approved_by": found.approver, "approval": found.id}


def _record(
    work: Work, plain: dict[str, Any], proposed: Plan, reason: Reason, *, rolled_back_from: int | None = None
) -> Generation:
    with scope.everywhere("the blueprint belongs to the installation"):
        superseded = list(Generation.objects.filter(state="applied"))
    for each in superseded:
        # Expecting its version also makes two concurrent applies collide instead of both winning.
        work.change(
            each,
            {"state": "superseded"},
            why=[Reason(rule="blueprint.superseded", text="A newer generation was applied.")],
        )
    return work.create(
        Generation,
        organisation=organisations.root(),
        values={
            "sequence": proposed.base_generation + 1,
            "content_hash": proposed.content_hash,
            "content": planning.content_of(plain),
            "state": "applied",
            "rolled_back_from": rolled_back_from,
        },
        why=[reason, *(Reason(rule="blueprint.affects", text=text) for text in proposed.affects[:50])],
    )


def generation(sequence: int) -> Generation:
    """Return one generation by its number."""
    with scope.everywhere("the blueprint belongs to the installation"):
        found: Generation | None = Generation.objects.filter(sequence=sequence).first()
    if found is None:
        raise NotFound(f"There is no generation {sequence}.", remedy="See `isthmus history`.")
    return found


def sections_of(found: Generation) -> dict[str, Any]:
    """Return the plain sections of a generation, as written."""
    plain: dict[str, Any] = msgspec.json.decode(found.content)
    return plain


def history(limit: int = 50) -> list[Generation]:
    """Return the newest generations, newest first."""
    with scope.everywhere("the blueprint belongs to the installation"):
        return list(Generation.objects.order_by("-sequence")[:limit])


def export() -> dict[str, Any]:
    """Return the plain sections in force, e.g. to write back what the console changed."""
    return dict(running.current(fresh=True).plain or {})
