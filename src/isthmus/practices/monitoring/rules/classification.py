"""The three kinds of events of ITIL: informational, warning and exception, by the severity of the alert.

An alert whose severity nobody declared is unclassified: it is treated like any other, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INFORMATIONAL, WARNING, EXCEPTION, UNCLASSIFIED = "informational", "warning", "exception", "unclassified"
CLASSES: Final = (INFORMATIONAL, WARNING, EXCEPTION, UNCLASSIFIED)
BY_SEVERITY: Final[Mapping[str, str]] = {
    "informational": INFORMATIONAL,  # recorded, no action
    "warning": WARNING,  # a threshold is near: act before something fails
    "error": EXCEPTION,  # something fails
    "critical": EXCEPTION,
    "": UNCLASSIFIED,
}


def classify(severity: str) -> str:
    """Return the kind of an event."""
    return BY_SEVERITY.get(severity, UNCLASSIFIED)


def severities_of(kind: str) -> tuple[str, ...]:
    """Return the severities of a kind; none for an unknown one."""
    return tuple(severity for severity, each in BY_SEVERITY.items() if each == kind)
