"""How each connection is doing: what succeeded last, what failed, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.hub.models import ConnectionState
from isthmus.kernel.errors import IsthmusError
from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Reason

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

TEXT_MAX = 500


def state_of(organisation: str, connection: str) -> ConnectionState:
    """Return what is known of a connection; an untouched one is closed, unpaused and without history."""
    found = ConnectionState.objects.filter(organisation=organisation, connection=connection).first()
    return found or ConnectionState(organisation=organisation, connection=connection)


def observed(work: Work, organisation: str, connection: str, **values: Any) -> None:
    """Set some observed facts of a connection (columns of `ConnectionState`)."""
    work.upsert(ConnectionState, key={"organisation": organisation, "connection": connection}, values=values)


def succeeded(work: Work, organisation: str, connection: str, now: Instant) -> None:
    """Note that a call to the partner succeeded."""
    observed(work, organisation, connection, last_success_at=now, failures=0)


def failed(work: Work, organisation: str, connection: str, error: Exception, now: Instant) -> None:
    """Note that a call failed. Only texts made for people are kept; an unforeseen fault gives its type."""
    text = error.text if isinstance(error, IsthmusError) else f"An unforeseen fault ({type(error).__name__})."
    remedy = error.remedy if isinstance(error, IsthmusError) else "See the hub's log for this time."
    work.bump(
        ConnectionState,
        key={"organisation": organisation, "connection": connection},
        add={"failures": 1},
        values={"last_error_at": now, "last_error": text[:TEXT_MAX], "last_error_remedy": remedy[:TEXT_MAX]},
    )


def pause(work: Work, organisation: str, connection: str, reason: str) -> None:
    """Stop calls to a partner until `resume`; messages from it are still taken and merged."""
    observed(work, organisation, connection, paused=True, paused_reason=reason[:TEXT_MAX])
    _journal(work, organisation, connection, "connection.paused", reason)


def resume(work: Work, organisation: str, connection: str) -> None:
    """Let calls go out again, oldest first."""
    observed(work, organisation, connection, paused=False, paused_reason="")
    _journal(work, organisation, connection, "connection.resumed", "")


def _journal(work: Work, organisation: str, connection: str, rule: str, reason: str) -> None:
    said = f"Connection {connection} was {rule.partition('.')[2]}" + (f": {reason}" if reason else ".")
    work.journal(organisation, f"connection:{connection}", {"reason": reason}, [Reason(rule=rule, text=said)])
