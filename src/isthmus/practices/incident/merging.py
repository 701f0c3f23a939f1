"""Merging duplicates and splitting what was two: alerts, comments, children and suspects follow, with reasons.

A duplicate is resolved as such, with its tickets at partners: they are marked as duplicates and never deleted.
What followed stands in the merge's own record, so that it can be taken back while nothing is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.hub.sync import service as sync
from isthmus.kernel.errors import Conflict, NotFound, Rejected
from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident import comments, hooks, ledger, lifecycle, loading, major, opening
from isthmus.practices.incident.comments import comment
from isthmus.practices.incident.models import Comment, Incident, IncidentMerge, Suspect
from isthmus.practices.incident.rules import states
from isthmus.practices.incident.suspects import suspects

FOLLOWING_MAX = 200
"""Most comments, children and suspects that follow in one merge; alerts follow all."""
_RULE = "incident.merge"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a merge would do with one duplicate: what follows, its tickets, or why not."""

    incident: Incident
    comments: int = 0
    children: int = 0
    suspects: int = 0
    alerts: int = 0
    tickets: tuple[str, ...] = ()
    refused: str = ""
    remedy: str = field(default="")


def preview(survivor: Incident, duplicates: Sequence[Incident]) -> list[Preview]:
    """Return what merging each duplicate into `survivor` would do; nothing is changed."""
    return [_preview(survivor, each) for each in duplicates]


def _preview(survivor: Incident, each: Incident) -> Preview:
    refused = _against(survivor, each)
    return Preview(
        incident=each,
        comments=len(comments.of(each.id)[:FOLLOWING_MAX]),
        children=Incident.objects.filter(parent=each.id).exclude(id=survivor.id).count(),
        suspects=len(suspects(each)),
        alerts=_alerts_of(each),
        tickets=tuple(f"{link.connection} {link.external_label or link.external_key}".strip() for link in sync.links_of(each.id)),
        refused=refused.text if refused is not None else "",
        remedy=refused.remedy if refused is not None else "",
    )  # fmt: skip


def _alerts_of(incident: Incident) -> int:
    # Monitoring builds on incidents; only this preview looks back.
    from isthmus.practices.monitoring import service as monitoring

    return monitoring.alerts_of(incident.id).count()


def _against(survivor: Incident, each: Incident) -> Conflict | Rejected | None:
    """Return why a duplicate cannot be merged, None if it can."""
    if each.id == survivor.id:
        return Rejected("An incident is not its own duplicate.", remedy="Leave it out.")
    if each.organisation != survivor.organisation:
        return Rejected("They belong to different organisations.", remedy="Forward it instead.")
    if survivor.state not in states.OPEN or survivor.merged_into:
        return Conflict(f"{survivor.number} is not open.", remedy="Merge into an open incident.")
    if each.merged_into:
        return Conflict(f"{each.number} is merged into another already.", remedy="Undo that merge first.")
    if each.state in states.FINAL:
        return Conflict(f"{each.number} is {each.state}.", remedy="What is final stays as it was.")
    if ledger.forwards():
        held = ledger.of(each)
        if held.offered is not None or (
            held.held is not None and not ledger.works_here(each, held, held.holder)
        ):
            return Conflict(
                f"{each.number} is offered to another desk or held by it.",
                remedy="Withdraw, or have it handed back, first.",
            )
    return None


def merge(work: Work, survivor: Incident, duplicate: Incident, *, reason: str) -> IncidentMerge:
    """Merge one duplicate into `survivor`."""
    against = _against(survivor, duplicate)
    if against is not None:
        raise against
    for each in (survivor, duplicate):
        major.require(work, each, "merge")
    text = f"{duplicate.number} is a duplicate of {survivor.number}. {reason}".strip()
    why = [Reason(rule=_RULE, text=text, facts={"survivor": survivor.id, "duplicate": duplicate.id})]
    moved: dict[str, Json] = {
        name: list(move(work, None, duplicate, survivor, text))
        for name, move in sorted(hooks.movers().items())
    }
    moved["comments"] = _copy_comments(work, duplicate, survivor, comments.of(duplicate.id), why)
    moved["children"] = _adopt_children(work, duplicate, survivor, why)
    moved["suspects"] = _copy_suspects(work, duplicate, survivor, why)
    moved["state"] = duplicate.state
    work.change(duplicate, {"merged_into": survivor.id}, why=why)
    if duplicate.state in states.OPEN:
        notes = f"Merged into {survivor.number}: {survivor.title}"[:1_000]
        lifecycle.update(
            work,
            duplicate,
            {"state": "resolved", "resolution_code": "duplicate", "resolution_notes": notes},
            why=why,
        )
    _say_at_partners(work, survivor, duplicate, why)
    work.note(survivor, why=why)
    return work.create(
        IncidentMerge,
        organisation=survivor.organisation,
        values={
            "type": "merge", "record": survivor.id, "other": duplicate.id, "state": "done", "reason": reason,
            "moved": moved, "done_at": work.now,
        },
        why=why,
        trace=survivor.trace,
    )  # fmt: skip


def _say_at_partners(work: Work, survivor: Incident, duplicate: Incident, why: Sequence[Reason]) -> None:
    """Name the surviving ticket on the duplicate's own ones: linked as duplicates, not deleted."""
    if not sync.links_of(duplicate.id):
        return
    tickets = [
        f"{each.connection} {each.external_label or each.external_key}"
        for each in sync.links_of(survivor.id)
        if each.external_key
    ]
    where = f" ({', '.join(tickets)})" if tickets else ""
    comment(
        work,
        duplicate,
        f"Duplicate of {survivor.number}{where}: {survivor.title}",
        author_label="Isthmus",
        why=why,
    )


def _copy_comments(
    work: Work, source: Incident, target: Incident, rows: Sequence[Comment], why: Sequence[Reason]
) -> list[Json]:
    pairs: list[Json] = []
    for said in rows[:FOLLOWING_MAX]:
        copy = work.create(
            Comment,
            organisation=target.organisation,
            values={
                "record_kind": target.kind, "record": target.id, "body": said.body, "public": said.public, "author": said.author,
                "author_label": f"{said.author_label or said.author} ({source.number})", "state": "shown",
                "written_at": said.written_at,
            },
            why=why,
        )  # fmt: skip
        pairs.append([said.id, copy.id])
    return pairs


def _adopt_children(work: Work, source: Incident, target: Incident, why: Sequence[Reason]) -> list[Json]:
    found: list[Json] = []
    rows = Incident.objects.filter(parent=source.id, organisation=source.organisation).exclude(id=target.id)
    for child in rows.order_by("id")[:FOLLOWING_MAX]:
        if child.id not in work.pending:
            work.change(child, {"parent": target.id}, why=why)
            found.append(child.id)
    return found


def _copy_suspects(work: Work, source: Incident, target: Incident, why: Sequence[Reason]) -> list[Json]:
    known = {each.change for each in suspects(target)}
    found: list[Json] = []
    for each in suspects(source)[:FOLLOWING_MAX]:
        if each.change not in known:
            copy = work.create(
                Suspect,
                organisation=target.organisation,
                values={
                    "incident": target.id, "change": each.change, "hops": each.hops, "reason": each.reason,
                    "verdict": each.verdict,
                },
                why=why,
            )  # fmt: skip
            found.append(copy.id)
    return found


def split(
    work: Work, incident: Incident, *, title: str, alerts: Sequence[str], comment_ids: Sequence[str] = (),
    reason: str = "", urgency: str = "",
) -> IncidentMerge:  # fmt: skip
    """Take alerts and comments that are about something else into an incident of their own."""
    if incident.state not in states.OPEN or incident.merged_into:
        raise Conflict(f"{incident.number} is not open.", remedy="Split an open incident.")
    if not alerts and not comment_ids:
        raise Rejected("A split takes something along.", remedy="Choose alerts or comments.")
    if urgency and urgency not in LEVELS:
        raise Rejected(f"{urgency!r} is not a level.", remedy="Use 1 (highest) to 4.")
    major.require(work, incident, "merge")
    chosen = [each for each in comments.of(incident.id) if each.id in set(comment_ids)]
    if len(chosen) != len(set(comment_ids)):
        raise NotFound("A chosen comment is not on this incident.", remedy="List its comments.")
    why = [
        Reason(
            rule="incident.split",
            text=f"Split off {incident.number}. {reason}".strip(),
            facts={"from": incident.id},
        )
    ]
    values: dict[str, Any] = {
        "title": title, "ci": incident.ci, "service": incident.service, "impact": incident.impact,
        "urgency": urgency or incident.urgency, "category": incident.category, "assignment_group": incident.assignment_group,
    }  # fmt: skip
    made = opening.create(work, incident.organisation, {k: v for k, v in values.items() if v}, why=why)
    moved: dict[str, Json] = {}
    if alerts:
        move = hooks.movers().get("alerts")
        went = list(move(work, list(alerts), incident, made, why[0].text)) if move is not None else []
        if len(went) != len(set(alerts)):
            raise NotFound("A chosen alert is not on this incident.", remedy="List its alerts.")
        moved["alerts"] = list(went)
    moved["comments"] = _copy_comments(work, incident, made, chosen, why)
    work.note(
        incident, why=[Reason(rule="incident.split", text=f"{len(alerts)} alert(s) and {len(chosen)} comment(s) went to an incident of their own: {title}", facts={"to": made.id})]
    )  # fmt: skip
    return work.create(
        IncidentMerge,
        organisation=incident.organisation,
        values={
            "type": "split", "record": incident.id, "other": made.id, "state": "done", "reason": reason, "moved": moved,
            "done_at": work.now,
        },
        why=why,
        trace=incident.trace,
    )  # fmt: skip


def undo(work: Work, held: IncidentMerge, *, reason: str = "") -> IncidentMerge:
    """Take a merge or a split back; what others have done since on either incident stays."""
    if held.state != "done":
        raise Conflict("It is undone already.")
    record, other = (loading.one(work, Incident, each) for each in (held.record, held.other))
    for each in (record, other):
        major.require(work, each, "merge")
    text = f"The {held.type} of {record.number} and {other.number} is undone. {reason}".strip()
    why = [Reason(rule=f"incident.{held.type}.undone", text=text)]
    if held.type == "merge":
        _unmerge(work, held, record, other, why)
    else:
        _rejoin(work, held, record, other, why)
    work.note(record, why=why)
    return work.change(held, {"state": "undone", "undone_at": work.now}, why=why)


def _unmerge(
    work: Work, held: IncidentMerge, survivor: Incident, duplicate: Incident, why: Sequence[Reason]
) -> None:
    if duplicate.state in states.FINAL:
        raise Conflict(
            f"{duplicate.number} is {duplicate.state}: that is final.", remedy="Open a new incident."
        )
    moved = held.moved or {}
    _move_back(work, moved, survivor, duplicate, why)
    _delete_copies(work, moved, why)
    for child in loading.many(work, Incident, moved.get("children", ())).values():
        if child.parent == survivor.id:
            work.change(child, {"parent": duplicate.id}, why=why)
    # What came confirmed goes as well; only a verdict at the survivor itself has made a second version.
    copies = Suspect.objects.filter(id__in=moved.get("suspects", ()), version=1)
    for each in copies.exclude(verdict="cleared"):
        work.change(each, {"verdict": "cleared"}, why=why)
    work.change(duplicate, {"merged_into": ""}, why=why)
    if duplicate.state == "resolved" and moved.get("state") in states.OPEN:
        lifecycle.update(work, duplicate, {"state": "in_progress"}, why=why)
    if sync.links_of(duplicate.id):
        comment(
            work,
            duplicate,
            f"Not a duplicate of {survivor.number} after all.",
            author_label="Isthmus",
            why=why,
        )


def _rejoin(work: Work, held: IncidentMerge, record: Incident, made: Incident, why: Sequence[Reason]) -> None:
    moved = held.moved or {}
    _move_back(work, moved, made, record, why)
    _delete_copies(work, moved, why)
    if made.state == "new":
        lifecycle.update(work, made, {"state": "cancelled"}, why=why)
    elif made.state in states.OPEN:
        raise Conflict(
            f"{made.number} has been worked on.", remedy=f"Merge {made.number} into {record.number} instead."
        )


def _move_back(
    work: Work, moved: dict[str, Any], source: Incident, target: Incident, why: Sequence[Reason]
) -> None:
    for name, move in sorted(hooks.movers().items()):
        if moved.get(name):
            move(work, moved[name], source, target, why[0].text)


def _delete_copies(work: Work, moved: dict[str, Any], why: Sequence[Reason]) -> None:
    copies = [copy for _, copy in moved.get("comments", ())]
    for each in Comment.objects.filter(id__in=copies, state="shown"):
        work.change(each, {"state": "deleted"}, why=why)


def merges_of(incident: Incident) -> list[IncidentMerge]:
    """Return the merges and splits that an incident took part in, the newest first."""
    rows = IncidentMerge.objects.filter(organisation=incident.organisation)
    found = {
        each.id: each
        for each in (*rows.filter(record=incident.id)[:100], *rows.filter(other=incident.id)[:100])
    }
    return [found[each] for each in sorted(found, reverse=True)]


def get(merge_id: str) -> IncidentMerge:
    """Return a merge or split by its id, or raise `NotFound`."""
    found: IncidentMerge | None = IncidentMerge.objects.filter(id=merge_id).first()
    if found is None:
        raise NotFound(f"There is no merge {merge_id}.", remedy="List those of the incident.")
    return found
