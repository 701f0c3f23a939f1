"""Risk of a change from what the map says: a table of thresholds, the highest that applies wins."""

from __future__ import annotations

import msgspec

from isthmus.kernel.record import Reason


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which figures on a change counts as medium or high risk."""

    high_dependants: int = 50
    medium_dependants: int = 5
    high_users: int = 1_000
    high_criticalities: tuple[str, ...] = ("gold",)
    medium_criticalities: tuple[str, ...] = ("silver",)
    shared: str = "high"


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of an impact report that risk looks at."""

    dependants: int
    users: int
    criticality: str
    shared: bool
    unresolved: bool


def assess(exposure: Exposure, thresholds: Thresholds) -> tuple[str, list[Reason]]:
    """Return (low | medium | high, the reasons for that level)."""
    found: list[tuple[str, str]] = []
    if exposure.unresolved:
        found.append(("high", "It names items that the map does not know, so nobody knows whom it reaches."))
    if exposure.shared:
        found.append((thresholds.shared, "It touches shared infrastructure."))
    if exposure.criticality in thresholds.high_criticalities:
        found.append(("high", f"A service of criticality {exposure.criticality} depends on it."))
    elif exposure.criticality in thresholds.medium_criticalities:
        found.append(("medium", f"A service of criticality {exposure.criticality} depends on it."))
    if exposure.dependants >= thresholds.high_dependants:
        found.append(
            ("high", f"{exposure.dependants} items depend on it (high from {thresholds.high_dependants}).")
        )
    elif exposure.dependants >= thresholds.medium_dependants:
        found.append(
            (
                "medium",
                f"{exposure.dependants} items depend on it (medium from {thresholds.medium_dependants}).",
            )
        )
    if exposure.users >= thresholds.high_users:
        found.append(("high", f"{exposure.users} users depend on it (high from {thresholds.high_users})."))
    level = next((each for each in ("high", "medium") if any(risk == each for risk, _ in found)), "low")
    texts = [text for risk, text in found if risk == level] or [
        "Few items and no important service depend on it."
    ]
    return level, [Reason(rule="change.risk", text=text, facts={"risk": level}) for text in texts]
