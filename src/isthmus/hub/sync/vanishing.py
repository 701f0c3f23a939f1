"""A brake for "everything is gone": what many partners say when an account lost its rights.

A linked object that is not found any more counts as deleted: its link ends, and a change that was raised
there is cancelled. When more than `limits.vanished_per_hour` go within an hour, or a fifth of all that the
connection follows, that is not believed: calls stop, no further object is taken as deleted, and Systems says
so, until a person either has them looked for again (those of the last hour too) or confirms that they are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from isthmus.hub import connections, health
from isthmus.hub.lanes import levels
from isthmus.hub.models import ConnectionState
from isthmus.hub.sync import loading, recording
from isthmus.hub.sync.algorithm import mark_dirty
from isthmus.hub.sync.models import Link
from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.instant import HOUR
from isthmus.kernel.record import Json, Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

WINDOW: Final = HOUR
FEW: Final = 5
"""Fewer than this are believed however few the connection follows."""
SHARE: Final = 5
"""One in so many is more than people delete in an hour."""
REOPENED_MAX: Final = 5_000
REASON_CHARACTERS_MAX: Final = 500
REMEDY: Final = (
    "Check at the partner whether our account still sees these objects. Then resume: they are looked for again. "
    "If they were really deleted, confirm that they are gone."
)


def suspicious(gone: int, followed: int, per_hour: int) -> bool:
    """Return whether so many gone of so many followed within an hour are more than people delete."""
    return gone > per_hour or (gone >= FEW and gone * SHARE > followed)


def held(work: Work, link: Link) -> bool:
    """Return whether a sight of this link's object being gone must not be believed now; pull the brake if it is
    the one too many. Counted per connection; what a person has confirmed is believed for an hour, and never counted."""
    connection = connections.get(link.connection)
    state = _state_of(work, connection.organisation, connection.name)
    if state.vanished_held_at is not None:
        return True
    if state.vanished_accepted_until > work.now:
        return False
    seen: set[str] = work.__dict__.setdefault("vanished_links", set())
    links = Link.objects.filter(connection=connection.name)
    since = max(work.now - WINDOW, state.vanished_accepted_until)
    ended = set(links.filter(state="parked", updated_at__gt=since).values_list("id", flat=True))
    gone = len({*ended, *seen, link.id})
    followed = links.filter(state="active").exclude(external_key="").count() + len(ended)
    if not suspicious(gone, followed, connection.entry.limits.vanished_per_hour):
        seen.add(link.id)
        return False
    _hold(work, connection, state, gone, followed)
    return True


def _hold(
    work: Work, connection: connections.Connection, state: ConnectionState, gone: int, followed: int
) -> None:
    text = f"{gone} of {followed} linked objects were gone within an hour; none is taken as deleted now."
    health.pause(work, connection.organisation, connection.name, text)
    values = {"last_error": text, "last_error_remedy": REMEDY, "last_error_at": work.now}
    health.observed(work, connection.organisation, connection.name, vanished_held_at=work.now, **values)
    why = [Reason(rule="sync.vanished", text=text)]
    work.journal(
        connection.organisation, f"connection:{connection.name}", {"gone": gone, "followed": followed}, why
    )
    state.vanished_held_at = work.now


def release(work: Work, name: str, *, gone: bool = False, reason: str = "") -> int:
    """Let a held connection go on; return how many links follow again.

    `gone`: a person confirms that what is not found was deleted. Else the links that ended in the hour before
    the brake follow again, and every one of them is looked at anew.
    """
    connection = connections.get(name)
    state = _state_of(work, connection.organisation, name)
    if state.vanished_held_at is None:
        raise Conflict(f"Nothing is held at {name}.", remedy="Look at Systems again.")
    if gone and not 0 < len(reason.strip()) <= REASON_CHARACTERS_MAX:
        raise Rejected(
            "Say how you know that they are gone.",
            remedy=f"Give a reason of at most {REASON_CHARACTERS_MAX} characters.",
            problems=(Problem(path="/body/reason", message=f"1 to {REASON_CHARACTERS_MAX} characters"),),
        )
    since = max(state.vanished_held_at - WINDOW, state.vanished_accepted_until)
    state.vanished_held_at = None
    accepted = work.now + WINDOW if gone else 0
    health.observed(
        work, connection.organisation, name, vanished_held_at=None, vanished_accepted_until=accepted
    )
    reopened = 0 if gone else _reopen(work, name, since)
    text = (
        f"Objects that are gone at {name} count as deleted for an hour: {reason.strip()}"
        if gone
        else f"Objects that were gone at {name} are looked for again."
    )
    why = [Reason(rule="sync.vanished_accepted" if gone else "sync.vanished_again", text=text)]
    facts: dict[str, Json] = {"reopened": reopened, "reason": reason.strip()}
    work.journal(connection.organisation, f"connection:{name}", facts, why)
    return reopened


def _reopen(work: Work, connection: str, since: int) -> int:
    """Have the links that ended since then follow again, each owed a fresh look."""
    ended = Link.objects.filter(connection=connection, state="parked", updated_at__gt=since)
    ids = list(ended.order_by("id").values_list("id", flat=True)[:REOPENED_MAX])
    why = [Reason(rule="sync.vanished_again", text="It was gone with many others: it is looked for again.")]
    for loaded in loading.load(work, ids).values():
        work.change(loaded.link, {"state": "active"}, why=why)
        recording.put_state(work, loaded, mark_dirty(structs.replace(loaded.state, gone=False)), reasons=why)
        levels.converge(work, loaded.link)
    return len(ids)


def _state_of(work: Work, organisation: str, connection: str) -> Any:
    """Return the connection's state, the same one for all sights of this Work."""
    states: dict[str, Any] = work.__dict__.setdefault("vanished_states", {})
    if connection not in states:
        states[connection] = health.state_of(organisation, connection)
    return states[connection]
