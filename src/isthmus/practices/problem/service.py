"""What problem management can be asked to do. Pages, API and other practices call this and nothing beside it."""

from __future__ import annotations

from isthmus.ledger.work import Work
from isthmus.practices.problem import known_errors, loading, problems, verdicts
from isthmus.practices.problem.models import KnownError, KnownErrorMatch, Problem
from isthmus.practices.problem.providing import of_alert, of_incident
from isthmus.practices.problem.rules import states

__all__ = [
    "KnownError", "KnownErrorMatch", "Problem", "actions_of", "add_action", "assess", "attach", "cancel", "close",
    "create", "find_cause", "find_known_error", "find_problem", "in_words", "incidents_of", "judge", "known_error_moves",
    "known_error_of", "link", "match_of", "moves", "of_alert", "of_incident", "problem_of", "publish", "reopen",
    "resolve", "retire", "settle_action", "trial", "unlink", "update", "update_known_error", "write",
]  # fmt: skip

# Problems -----------------------------------------------------------------------------------------------------

create = problems.create
update = problems.update
assess = problems.assess
find_cause = problems.find_cause
resolve = problems.resolve
close = problems.close
reopen = problems.reopen
cancel = problems.cancel
actions_of = problems.actions_of
add_action = problems.add_action
settle_action = problems.settle_action
link = problems.link
unlink = problems.unlink
incidents_of = problems.incidents_of
moves = states.possible

# Known errors -------------------------------------------------------------------------------------------------

write = known_errors.create
update_known_error = known_errors.update
publish = known_errors.publish
retire = known_errors.retire
trial = known_errors.trial
known_error_moves = states.known_error_possible
attach = verdicts.attach
judge = verdicts.judge
in_words = verdicts.in_words

# Reading ------------------------------------------------------------------------------------------------------


def problem_of(work: Work, reference: str) -> Problem:
    """Return a problem by id or number: the instance that this Work goes on with."""
    return loading.get(work, Problem, reference)


def known_error_of(work: Work, reference: str) -> KnownError:
    """Return a known error by id or number: the instance that this Work goes on with."""
    return loading.get(work, KnownError, reference)


def match_of(work: Work, match_id: str, incident: str = "") -> KnownErrorMatch:
    """Return a match, of that incident if one is named."""
    return loading.match(work, match_id, incident)


def find_problem(reference: str) -> Problem:
    """Return a problem by id or number, as the open scope shows it; `NotFound` otherwise."""
    return loading.visible(Problem, reference)


def find_known_error(reference: str) -> KnownError:
    """Return a known error by id or number, as the open scope shows it; `NotFound` otherwise."""
    return loading.visible(KnownError, reference)
