"""What people say about a known error on an incident: it was this, it was not; or attached by hand."""

from __future__ import annotations

from typing import Any, Final

from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.kinds.problem import MATCH_VERDICTS
from isthmus.ledger.work import Work
from isthmus.practices.incident import service as incidents
from isthmus.practices.problem import loading, taming
from isthmus.practices.problem.models import KnownError, KnownErrorMatch
from isthmus.practices.problem.models import Problem as ProblemRecord
from isthmus.practices.problem.problems import because, who

COMMENTS: Final = ("", "internal", "public")
NOTE_CHARACTERS_MAX: Final = 2_000
ATTACHED_MAX: Final = 50
"""Most known errors of one incident, however they came to it."""


def attach(
    work: Work,
    incident: incidents.Incident,
    known: KnownError,
    *,
    reason: str = "",
    verdict: str = "proposed",
) -> KnownErrorMatch:
    """Put a known error on an incident by hand; one that was rejected there is proposed again."""
    if known.organisation != incident.organisation:
        raise Rejected("They belong to different organisations.", remedy="Write a known error there.")
    if known.state == "retired":
        raise Conflict(f"{known.number} is retired.", remedy="Publish it again, or attach another.")
    note = taming.text_of(reason, "reason", most=NOTE_CHARACTERS_MAX, needed=False)
    text = f"Known error attached by {who(work)}."
    rows = KnownErrorMatch.objects.filter(organisation=incident.organisation, record=incident.id)
    held: KnownErrorMatch | None = rows.filter(known_error=known.id).first()
    values: dict[str, Any] = {"verdict": verdict, "note": note, "known_error_version": known.version}
    if verdict != "proposed":
        values |= {"judged_by": work.actor.id, "judged_at": work.now}
    inputs = [(known.id, known.version)]
    if held is not None:
        if held.verdict != "rejected":
            raise Conflict(f"{incident.number} carries {known.number} already.", remedy="Judge it there.")
        again = loading.match(work, held.id)
        return work.change(again, values, why=because("known_error.attach", text), inputs=inputs)
    if rows.count() >= ATTACHED_MAX:
        raise Conflict(
            f"An incident carries at most {ATTACHED_MAX} known errors.", remedy="Is it one incident?"
        )
    values |= {"record": incident.id, "known_error": known.id, "found_by": "hand", "reason": text}
    return work.create(
        KnownErrorMatch,
        organisation=incident.organisation,
        values=values,
        why=because("known_error.attach", text),
        inputs=inputs,
        trace=incident.trace,
    )


def judge(
    work: Work,
    incident: incidents.Incident,
    match: KnownErrorMatch,
    verdict: str,
    *,
    reason: str = "",
    comment: str = "",
) -> KnownErrorMatch:
    """Confirm that it was this known error, reject it (it is not offered again for this incident), or take that back.

    With a confirmation the incident takes over the workaround and the problem behind it, where it names none, and
    `comment` puts the workaround into a comment: internal, or public for the caller and the other systems.
    """
    _check(verdict, comment)
    note = taming.text_of(reason, "reason", most=NOTE_CHARACTERS_MAX, needed=verdict == "rejected")
    said = {"confirmed": "It was this", "rejected": "It was not this", "proposed": "Open again"}[verdict]
    why = because("known_error.verdict", f"{said}, says {who(work)}.", verdict=verdict)
    values = {"verdict": verdict, "note": note, "judged_by": work.actor.id, "judged_at": work.now}
    judged = work.change(match, values, why=why)
    if verdict == "confirmed":
        _confirmed(work, incident, loading.get(work, KnownError, match.known_error), comment)
    return judged


def _confirmed(work: Work, incident: incidents.Incident, known: KnownError, comment: str) -> None:
    if known.workaround and not incident.workaround and incidents.is_open(incident):
        text = f"The workaround of {known.number}, confirmed by {who(work)}."
        incidents.update(
            work, incident, {"workaround": known.workaround}, why=because("known_error.workaround", text)
        )
    behind = known.problem and not incident.problem and loading.get(work, ProblemRecord, known.problem)
    if behind and behind.state != "cancelled":
        text = f"The problem behind {known.number}, confirmed by {who(work)}."
        incidents.blame(work, incident, known.problem, because("known_error.problem", text))
    if comment:
        incidents.comment(work, incident, in_words(known), public=comment == "public")


def in_words(known: KnownError) -> str:
    """Return what a comment or a resolution says of a known error: what it is, how to go on, where the fix is."""
    lines = [f"Known error {known.number}: {known.title}"]
    if known.workaround:
        lines.append(f"Workaround: {known.workaround}")
    if known.fix:
        lines.append(f"Fix: {known.fix}")
    if known.link:
        lines.append(known.link)
    return "\n".join(lines)[:30_000]


def _check(verdict: str, comment: str) -> None:
    faults = []
    if verdict not in MATCH_VERDICTS:
        faults.append(Problem(path="/verdict", message="unknown", remedy=f"Use {', '.join(MATCH_VERDICTS)}."))
    if comment not in COMMENTS:
        faults.append(
            Problem(path="/comment", message="unknown", remedy="Use internal, public or leave it out.")
        )
    if comment and verdict != "confirmed":
        faults.append(Problem(path="/comment", message="needs a confirmation", remedy="Leave it out."))
    if faults:
        raise Rejected(
            "The verdict is not accepted.", problems=tuple(faults), remedy="Correct what is named."
        )
