"""What people do with alerts: take them, put them back, leave a note, have them closed at their source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from isthmus.identity import permissions
from isthmus.kernel.errors import Conflict, Forbidden, IsthmusError, NotFound, Problem, Rejected
from isthmus.practices.incident.loading import chunks
from isthmus.practices.monitoring import index
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.telling import tell

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

Action = Literal["acknowledge", "unacknowledge", "annotate", "resolve"]
ACTIONS: Final = ("acknowledge", "unacknowledge", "annotate", "resolve")
AT_ONCE_MAX: Final = 200
TEXT_MAX: Final = 2_000
Result = tuple[str, Alert | IsthmusError]
"""An id, and the alert as it is now or why it was refused."""


def act(work: Work, alert: Alert, action: Action, comment: str = "") -> Alert:
    """Do one thing with an alert as the actor, and have its source told as far as the blueprint lets it.

    Taking and putting back count here in any case; a note and a closing exist at the source only, so that a
    source which cannot be told is a refusal.
    """
    _check(alert, action, comment)
    by = work.actor.label or work.actor.id
    text = comment.strip() or {"acknowledge": "Acknowledged", "resolve": "Resolved"}.get(action, "Put back")
    # The alert's own entry is written first: the key of what is sent names its version.
    if action == "acknowledge" and alert.taken_at is not None and alert.taken_by == by:
        return alert
    told = tell(work, alert, action, by=by, text=text, cause=alert)
    if not told.verb and action in {"annotate", "resolve"}:
        raise Conflict("Its source was not told.", remedy=told.why)
    return alert


def bulk(work: Work, ids: Sequence[str], action: Action, comment: str = "") -> list[Result]:
    """Do one thing with many alerts in one Work; return, in order, what became of each."""
    return one_by_one(work, ids, lambda alert: act(work, alert, action, comment), permission="alert:write")


def one_by_one(
    work: Work, ids: Sequence[str], do: Callable[[Alert], Alert], *, permission: str
) -> list[Result]:
    """Call `do` with each of many open alerts; what one of them refuses is its own answer and stops no other."""
    if not 1 <= len(ids) <= AT_ONCE_MAX:
        raise Rejected(
            f"Choose 1 to {AT_ONCE_MAX} alerts.",
            problems=(
                Problem(path="/body/ids", message=f"{len(ids)} alerts", remedy="Send several requests."),
            ),
        )
    held = load(work, ids)
    results: list[Result] = []
    for each in ids:
        try:
            results.append((each, do(_permitted(work, held.get(each), permission))))
        except (NotFound, Forbidden, Conflict) as refusal:
            results.append((each, refusal))
    return results


def _permitted(work: Work, alert: Alert | None, permission: str) -> Alert:
    if alert is None:
        raise NotFound("There is no such open alert.", remedy="It may have ended meanwhile.")
    permissions.require(work.actor, permission, alert.organisation)
    return alert


def load(work: Work, ids: Sequence[str]) -> dict[str, Alert]:
    """Return open alerts by id, as this Work holds them."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks(ids):
        for organisation, identity in Alert.objects.filter(id__in=chunk, open=True).values_list(
            "organisation", "identity"
        ):
            wanted[organisation].append(identity)
    found: dict[str, Alert] = {}
    for organisation, identities in wanted.items():
        found |= {each.id: each for each in index.load(work, organisation, identities).values()}
    return found


def _check(alert: Alert, action: str, comment: str) -> None:
    if action not in ACTIONS:
        raise Rejected(f"{action!r} is not an action.", remedy=f"Use {', '.join(ACTIONS)}.")
    if len(comment) > TEXT_MAX or (action == "annotate" and not comment.strip()):
        raise Rejected(
            "The note is missing or too long.",
            problems=(
                Problem(
                    path="/body/comment", message="missing or too long", remedy=f"1 to {TEXT_MAX} characters"
                ),
            ),
        )
    if action in {"acknowledge", "resolve"} and alert.state != "firing":
        raise Conflict("The alert does not fire any more.", remedy="Read it again.")
