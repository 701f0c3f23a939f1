"""The inbox of drafts: what the hub would have opened, waiting for a person's word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.record import Reason
from isthmus.practices.monitoring import acts, service
from isthmus.practices.monitoring.models import Alert

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

DRAFTED: Final = "drafted"
REJECTED: Final = "draft_rejected"
REASON_MAX: Final = 2_000
Word = Literal["confirm", "reject"]


def reject(work: Work, alert: Alert, reason: str) -> Alert:
    """Say that no incident is needed; a new episode of the alert is decided anew."""
    if alert.decision != DRAFTED or alert.incident:
        raise Conflict("There is no draft to reject.", remedy="Look at the alert again.")
    if not 1 <= len(reason.strip()) <= REASON_MAX:
        raise Rejected(
            "Say why no incident is needed.",
            problems=(Problem(path="/body/reason", message="missing or too long", remedy=f"1 to {REASON_MAX} characters."),),
        )  # fmt: skip
    text = f"Draft rejected by {work.actor.label or work.actor.id}: {reason.strip()}"
    why = [Reason(rule="monitoring.draft.rejected", text=text)]
    return work.change(alert, {"decision": REJECTED, "decision_reason": text}, why=why)


def bulk(work: Work, ids: Sequence[str], word: Word, reason: str = "") -> list[acts.Result]:
    """Confirm or reject many drafts in one Work; return, in order, what became of each."""

    def one(alert: Alert) -> Alert:
        return service.confirm_draft(work, alert) if word == "confirm" else reject(work, alert, reason)

    return acts.one_by_one(work, ids, one, permission="incident:write")
