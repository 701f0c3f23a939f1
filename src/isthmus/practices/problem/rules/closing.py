"""What a problem must say before it closes: which cause was found, and what is done about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.kernel.errors import Problem


def missing(*, cause_code: str, root_cause: str, actions: Sequence[Any]) -> list[Problem]:
    """Return what the analysis lacks, [] if the problem may close. An action counts whether it is done or not:
    what is still to do goes on as an improvement of the service."""
    found = []
    if not cause_code.strip():
        found.append(Problem(path="/cause_code", message="missing", remedy="Say of which sort the cause is."))
    if not root_cause.strip():
        found.append(Problem(path="/root_cause", message="missing", remedy="Say what caused it."))
    if not actions:
        found.append(Problem(path="/actions", message="missing", remedy="Say what is done about the cause."))
    return found
