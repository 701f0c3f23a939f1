"""Faults that a simulated vendor can be told to make, and the queue that hands them out.

A fault waits for the next request (or webhook) that it matches and is used up `times` times. They are the
faults that real partners were seen to make; each name says what happens, not how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fault(StrEnum):
    """What goes wrong with one request, or with one webhook (`WEBHOOK_*`)."""

    STATUS = "status"  # refused before anything happened: `status`, with Retry-After if `retry_after_seconds`
    TIMEOUT_AFTER_COMMIT = "timeout_after_commit"  # it happens, the answer never comes
    COMMIT_AFTER_TIMEOUT = "commit_after_timeout"  # no answer; it happens `delay_seconds` later
    RESET_BEFORE_COMMIT = "reset_before_commit"  # the connection breaks, nothing happened
    RESET_AFTER_COMMIT = "reset_after_commit"  # it happens, then the connection breaks
    LYING_200 = "lying_200"  # the answer of a success, nothing happened
    BAD_JSON = "bad_json"  # it happens; the answer is a proxy's HTML page
    SCHEMA_DRIFT = "schema_drift"  # the answer's shape changed: `drift` rewrites the JSON
    OVERSIZED = "oversized"  # an answer beyond any sane limit
    SLOW = "slow"  # the answer comes after `delay_seconds`
    WEBHOOK_LOST = "webhook_lost"
    WEBHOOK_TWICE = "webhook_twice"
    WEBHOOK_LATE = "webhook_late"  # sent `delay_seconds` later
    WEBHOOK_REORDERED = "webhook_reordered"  # held until after the next one
    WEBHOOK_FIRST = "webhook_first"  # sent and received before the response to the write that causes it
    WEBHOOK_DRIFT = "webhook_drift"  # `drift` rewrites its JSON


@dataclass(kw_only=True)
class Planned:
    """One planned fault. `method` and `path` (a part of it) narrow it; empty matches all.

    `method` "WRITE" matches every method that may change something.
    """

    fault: Fault
    times: int = 1
    method: str = ""
    path: str = ""
    status: int = 503
    retry_after_seconds: float | None = None
    delay_seconds: float = 0.2
    hang_seconds: float = 30.0
    drift: Callable[[Any], Any] | None = None

    def matches(self, method: str, path: str) -> bool:
        """Return whether the fault waits for this request."""
        wanted = method in WRITE_METHODS if self.method == "WRITE" else self.method in {"", method}
        return self.times > 0 and wanted and self.path in path


@dataclass
class FaultQueue:
    """The planned faults of one simulator, oldest first."""

    planned: list[Planned] = field(default_factory=list)

    def plan(self, fault: Fault, **how: Any) -> Planned:
        """Plan a fault for the next matching request or webhook and return it."""
        made = Planned(fault=fault, **how)
        self.planned.append(made)
        return made

    def clear(self) -> None:
        """Forget all planned faults: the vendor behaves."""
        self.planned.clear()

    def take(self, method: str, path: str) -> Planned | None:
        """Use up and return the fault of a request, if one waits for it."""
        return self._first(method, path, webhook=False)

    def take_webhook(self, *kinds: Fault) -> Planned | None:
        """Use up and return the fault of a webhook, if one (of `kinds`) is planned."""
        return self._first("", "", webhook=True, kinds=kinds)

    def _first(
        self, method: str, path: str, *, webhook: bool, kinds: tuple[Fault, ...] = ()
    ) -> Planned | None:
        for each in self.planned:
            is_webhook = each.fault.startswith("webhook_")
            wanted = not kinds or each.fault in kinds
            if (
                is_webhook is webhook
                and wanted
                and (webhook or each.matches(method, path))
                and each.times > 0
            ):
                each.times -= 1
                return each
        return None
