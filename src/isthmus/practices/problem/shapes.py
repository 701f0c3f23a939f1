"""How the API shows problems, known errors and matches; times in RFC 3339."""

from __future__ import annotations

from typing import Any

from isthmus.kernel.instant import Instant, to_rfc3339
from isthmus.practices.configuration.shapes import record_out
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem
from isthmus.practices.problem.problems import actions_of
from isthmus.practices.problem.rules import states
from isthmus.practices.problem.rules.matching import Fit


def problem_out(problem: Problem) -> dict[str, Any]:
    """Return a problem with the moves that it may make."""
    shown = [
        {**each, **{name: _time(each.get(name)) for name in ("added_at", "done_at")}}
        for each in actions_of(problem)
    ]
    return record_out(problem) | {"actions": shown, "moves": list(states.possible(problem.state))}


def known_error_out(known: KnownError) -> dict[str, Any]:
    """Return a known error with the moves that it may make."""
    return record_out(known) | {"moves": list(states.known_error_possible(known.state))}


def match_out(match: KnownErrorMatch) -> dict[str, Any]:
    """Return what puts a known error on an incident: `record` is the incident."""
    return record_out(match)


def trial_out(fit: Fit | None) -> dict[str, Any]:
    """Return whether a known error would fit, and why."""
    if fit is None:
        return {"fits": False, "reason": "", "alert": ""}
    return {"fits": True, "reason": fit.reason.text, "alert": fit.subject.alert}


def _time(value: object) -> str | None:
    return to_rfc3339(Instant(value)) if isinstance(value, int) else None
