"""What other practices may hear of, and what they may add: they register, incident knows none of them.

Handlers are called in the Work that records the fact, so what they schedule stands or falls with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isthmus.kernel.errors import Bug
from isthmus.kernel.instant import Instant
from isthmus.ledger.work import Work
from isthmus.practices.incident.models import Incident, Wait


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """A workflow that waited too long: which, whose move it is, since when, along which path to tell, and why.

    `partner`: the connection or desk that owes the move ("" if it is ours), `owner`: who is accountable here.
    """

    workflow: str
    incident: Incident | None
    wait: Wait | None
    partner: str
    owner: str
    path: str
    since: Instant
    text: str

    @property
    def wait_id(self) -> str:
        return self.wait.id if self.wait is not None else ""

    @property
    def organisation(self) -> str:
        held = self.wait or self.incident
        return held.organisation if held is not None else ""


@dataclass(frozen=True, kw_only=True)
class Escalated:
    """An escalation by hand. `kind`: functional or hierarchical; `to`: the group or the person in authority."""

    incident: Incident
    kind: str
    level: int
    to: str
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class KnownError:
    """A known error that fits an incident, with the workaround to try.

    `state`: whether it is published still; `link` and `fix` lead to the permanent fix. `match` is the record of its
    fitting this incident since `at`; `verdict` (proposed, confirmed, rejected) and `note` what people said of it.
    """

    id: str
    number: str
    title: str
    workaround: str = ""
    href: str = ""
    why: str = ""
    fix: str = ""
    link: str = ""
    state: str = ""
    match: str = ""
    verdict: str = ""
    note: str = ""
    at: Instant | None = None
    trace: str = ""
    version: int = 0


OnStalled = Callable[[Work, Stalled], None]
OnEscalated = Callable[[Work, Escalated], None]
Errors = Callable[[Incident], Sequence[KnownError]]
Mover = Callable[[Work, Sequence[str] | None, Incident, Incident, str], list[str]]
"""(work, ids or None for all, from, to, text of the reason) → ids that moved."""

_stalled: list[OnStalled] = []
_escalated: list[OnEscalated] = []
_errors: list[Errors] = []
_movers: dict[str, Mover] = {}
KNOWN_ERRORS_MAX = 50


def register_stalled(handler: OnStalled) -> None:
    """Have `handler` called once for each workflow that the watchdog escalates."""
    if handler not in _stalled:
        _stalled.append(handler)


def register_escalated(handler: OnEscalated) -> None:
    """Have `handler` called when somebody escalates an incident."""
    if handler not in _escalated:
        _escalated.append(handler)


def register_known_errors(provider: Errors) -> None:
    """Have `provider` asked which known errors fit an incident."""
    if provider not in _errors:
        _errors.append(provider)


def register_mover(what: str, mover: Mover) -> None:
    """Say how things of another practice follow when incidents are merged or split."""
    held = _movers.get(what)
    if held is not None and held is not mover:
        raise Bug(f"Two parts move {what!r} between incidents.")
    _movers[what] = mover


def stalled(work: Work, found: Stalled) -> None:
    for each in _stalled:
        each(work, found)


def escalated(work: Work, found: Escalated) -> None:
    for each in _escalated:
        each(work, found)


def known_errors(incident: Incident) -> list[KnownError]:
    """Return the known errors that fit an incident, at most `KNOWN_ERRORS_MAX`."""
    return [found for each in _errors for found in each(incident)][:KNOWN_ERRORS_MAX]


def movers() -> dict[str, Mover]:
    """Return what follows an incident besides its own comments, by name."""
    return dict(_movers)
