"""What each HTTP answer means for us: one table, one place where an answer becomes an error.

The error texts name method, host and path (never the query, never a header, never the partner's words);
the partner's words travel as the chained cause, with known secrets struck out, for the log at debug.
"""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from isthmus.kernel import wild
from isthmus.kernel.errors import (
    Conflict,
    IsthmusError,
    NeedsOperator,
    NotFound,
    Problem,
    Rejected,
    Retryable,
    UnknownOutcome,
)
from isthmus.kernel.wild import Wild

Reaction = Literal["done", "retry", "unknown", "operator", "conflict", "rejected", "gone"]

REACTIONS: Mapping[int, Reaction] = {
    400: "rejected",
    401: "operator",
    402: "operator",
    403: "operator",
    404: "gone",
    405: "operator",
    406: "operator",
    407: "operator",
    408: "retry",
    409: "conflict",
    410: "gone",
    411: "rejected",
    412: "conflict",
    413: "rejected",
    414: "rejected",
    415: "operator",
    421: "operator",
    422: "rejected",
    423: "retry",
    425: "retry",
    428: "conflict",
    429: "retry",
    451: "operator",
    500: "unknown",
    501: "operator",
    502: "unknown",
    503: "retry",
    504: "unknown",
    505: "operator",
    507: "operator",
    511: "operator",
}
"""Statuses with a reaction of their own. `unknown` becomes `retry` for calls that change nothing."""

_REMEDIES: Mapping[Reaction, str] = {
    "retry": "It is tried again by itself.",
    "unknown": "The hub looks whether the call took effect before it tries again.",
    "operator": "Check the connection's credentials, permissions and address.",
    "conflict": "The hub reads the record again and decides anew.",
    "rejected": "Correct the named fields or the mapping, then retry the delivery.",
    "gone": "The object does not exist (any more), or the account may not see it.",
}


class PartnerSaidError(Exception):
    """The partner's own words, secrets struck out: only ever the cause of one of our errors.

    A traceback shows the causes of an error, and the words may quote a ticket: so it says only that there are some.
    """

    def __init__(self, words: str) -> None:
        super().__init__(f"The partner said {len(words)} characters, which are not logged.")
        self.words = words


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: `status`, `headers` (lower-case names), `body` (bounded).

    `where` names the call for errors; `writes` says whether it may have changed something there.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    where: str
    writes: bool = False

    def wild(self) -> Wild:
        """Return the JSON body as a wild value.

        A body that is not JSON (a proxy's error page) is `Retryable`, after a write `UnknownOutcome`.
        """
        try:
            return wild.from_json(self.body)
        except Rejected as cause:
            kind = UnknownOutcome if self.writes else Retryable
            raise kind(
                f"{self.where} answered {self.status} with a body that is not JSON.",
                remedy="It is tried again by itself; if it stays, a proxy stands in between.",
            ) from cause


def reaction(status: int, *, writes: bool) -> Reaction:
    """Return the reaction to a status; unlisted ones fall back on their class."""
    if 200 <= status < 300:
        return "done"
    found = REACTIONS.get(status)
    if found is None:
        found = "unknown" if status >= 500 else "rejected" if status >= 400 else "operator"
    return "retry" if found == "unknown" and not writes else found


def error(
    answer: Answer, *, writes: bool, now: float, problems: Callable[[Wild], tuple[Problem, ...]] | None = None
) -> IsthmusError | None:
    """Return the error that an answer calls for, or None. `now` is epoch seconds, for dated Retry-After."""
    found = reaction(answer.status, writes=writes)
    text, remedy = f"{answer.where} answered {answer.status}.", _REMEDIES.get(found, "")
    after = retry_after(answer.headers, now)
    match found:
        case "done":
            return None
        case "retry":
            return Retryable(text, remedy=remedy, after_seconds=after)
        case "unknown":
            return UnknownOutcome(text, remedy=remedy, after_seconds=after)
        case "operator":
            return NeedsOperator(text, remedy=_operator_remedy(answer.status), status=answer.status)
        case "conflict":
            return Conflict(text, remedy=remedy)
        case "gone":
            return NotFound(text, remedy=remedy)
        case "rejected":
            return Rejected(text, remedy=remedy, problems=_problems(answer, problems))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of `Retry-After` (a number or an HTTP date), or None. Bounded to a day."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        seconds = moment.timestamp() - now
    return min(max(seconds, 0.0), 86_400.0) if seconds == seconds else None  # noqa: PLR0124 - NaN


def _operator_remedy(status: int) -> str:
    if status == 401:
        return "The credential is wrong, expired or revoked: renew the connection's secret."
    if status == 403:
        return "The account lacks a permission: compare it with the scopes in the connector's manifest."
    return _REMEDIES["operator"]


def _problems(answer: Answer, read: Callable[[Wild], tuple[Problem, ...]] | None) -> tuple[Problem, ...]:
    if read is None:
        return ()
    try:
        return read(wild.from_json(answer.body))
    except Rejected:
        return ()  # A refusal whose body we cannot read is still a refusal; it just names no field.
