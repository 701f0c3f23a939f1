"""Errors, named for the reaction that they need.

Every error carries `text` for the user (what happened, why, what to do) and may chain an internal cause
with `raise ... from cause`. The texts never hold secrets or personal values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class IsthmusError(Exception):
    """The root of all errors that Isthmus raises on purpose.

    `text` says what happened and why; `remedy` says what the reader can do about it.
    """

    def __init__(self, text: str, *, remedy: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".strip()


class Retryable(IsthmusError):
    """A passing fault: the same call may succeed later. `after_seconds` is the earliest useful time."""

    def __init__(self, text: str, *, remedy: str = "", after_seconds: float | None = None) -> None:
        super().__init__(text, remedy=remedy)
        self.after_seconds = after_seconds


class UnknownOutcome(Retryable):
    """The call may or may not have taken effect: look before doing it again."""


class NeedsOperator(IsthmusError):
    """No retry will help until a person changes something (credential, permission, configuration).

    `status` is that of the HTTP answer that says so, 0 if it was none.
    """

    def __init__(self, text: str, *, remedy: str = "", status: int = 0) -> None:
        super().__init__(text, remedy=remedy)
        self.status = status


class Conflict(IsthmusError):
    """Somebody else changed the thing first (a version, an ETag): read again, then decide again."""


class Forbidden(IsthmusError):
    """The actor may not do this. The text names the missing permission and nothing about the record.

    `on_record`: what the door puts into the book about the refusal, in a Work of its own, once the refused act
    has been dropped.
    """

    def __init__(
        self, text: str, *, remedy: str = "", on_record: Callable[[Any], object] | None = None
    ) -> None:
        super().__init__(text, remedy=remedy)
        self.on_record = on_record


class NotFound(IsthmusError):
    """There is no such thing, or none that this actor may see: the two are not told apart."""


class Bug(IsthmusError):
    """An impossible state: the fault is ours."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with an input: `path` is a JSON Pointer (or file:line:path), `remedy` how to mend it."""

    path: str
    message: str
    remedy: str = ""


class Rejected(IsthmusError):
    """The input is wrong and stays wrong: never retried. `problems` names each place and its remedy."""

    def __init__(self, text: str, *, remedy: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(text, remedy=remedy)
        self.problems = problems
