"""Comments on incidents and changes, wherever they were written."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.kernel.actor import ActorKind
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work
from isthmus.practices.incident.models import Comment, Incident

BODY_CHARACTERS_MAX = 32_000


def comment(
    work: Work,
    record: RecordModel,
    body: str,
    *,
    public: bool = False,
    author: str = "",
    author_label: str = "",
    connection: str = "",
    written_at: Instant | None = None,
    why: Sequence[Reason] = (),
    record_id: str = "",
) -> Comment:
    """Add a comment to a record of any kind and return it.

    `author` is a person's id ("" for the hub itself), `connection` where it was written ("" for here).
    """
    if not body.strip() or len(body) > BODY_CHARACTERS_MAX:
        raise Rejected(
            "A comment needs a text.",
            remedy=f"Give 1 to {BODY_CHARACTERS_MAX} characters.",
            problems=(
                Problem(
                    path="/body", message="empty or too long", remedy=f"1 to {BODY_CHARACTERS_MAX} characters"
                ),
            ),
        )
    person = work.actor.kind in {ActorKind.PERSON, ActorKind.SERVICE}
    if public and person and not connection and isinstance(record, Incident):
        # The procedure of major incidents builds on comments.
        from isthmus.practices.incident import major

        major.require(work, record, "communicate")
    return work.create(
        Comment,
        organisation=record.organisation,
        values={
            "record_kind": record.kind,
            "record": record.id,
            "body": body,
            "public": public,
            "author": author or (work.actor.id if person else ""),
            "author_label": author_label or work.actor.label,
            "connection": connection,
            "state": "shown",
            "written_at": written_at or work.now,
        },
        why=why
        or [
            Reason(
                rule="incident.comment",
                text=f"Written by {author_label or work.actor.label or work.actor.id}.",
            )
        ],
        occurred_at=written_at,
        record_id=record_id,
    )


def of(record_id: str) -> list[Comment]:
    """Return the shown comments of a record, oldest first."""
    return list(Comment.objects.filter(record=record_id, state="shown").order_by("written_at", "id"))
