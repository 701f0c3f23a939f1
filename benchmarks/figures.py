"""One measured figure beside what it is compared with and what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is done: `seconds` of load per measurement, `alerts` per workload, the size of the grown book."""

    name: str
    seconds: float
    alerts: int
    sustained_seconds: float
    book_bytes: int
    tickets: int


QUICK = Scale(name="quick", seconds=3, alerts=20_000, sustained_seconds=0, book_bytes=0, tickets=300)
FULL = Scale(
    name="full", seconds=8, alerts=60_000, sustained_seconds=120, book_bytes=2_000_000_000, tickets=1_500
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`value` in `unit`; `ratio` to `against` (0: nothing to compare); `target` is a bound on `judged`.

    `judged` names what the target is about: "value" or "ratio"; `at_most` turns the bound round.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    other: float = 0.0
    target: float = 0.0
    judged: str = "value"
    at_most: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        return self.value / self.other if self.other else 0.0

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if not self.target:
            return None
        judged = self.ratio if self.judged == "ratio" else self.value
        return judged <= self.target if self.at_most else judged >= self.target

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.ratio, 3), "met": self.met}


def show(figures: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the table."""
    table = Table(title="Measured in one run")
    for name in ("what", "reached", "against", "ratio", "target", "", "notes"):
        table.add_column(name, overflow="fold")
    for each in figures:
        bound = "≤" if each["at_most"] else "≥"
        unit = "×" if each["judged"] == "ratio" else ""
        table.add_row(
            each["name"],
            f"{_number(each['value'])} {each['unit']}",
            f"{each['against']} {_number(each['other'])}" if each["other"] else each["against"],
            f"{each['ratio']:.2f}" if each["other"] else "",
            f"{bound} {_number(each['target'])}{unit}" if each["target"] else "",
            {True: "met", False: "SHORT", None: ""}[each["met"]],
            ", ".join(f"{key} {value}" for key, value in each["notes"].items()),
        )
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
