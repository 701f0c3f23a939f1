"""The short form of service level targets: by when to respond and to resolve, around the clock, per priority.

Service level management reads them as definitions like any other and keeps the clocks; nothing here counts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Target:
    """Microseconds from the opening."""

    respond: int
    resolve: int
