"""When is a number an alert? A comparison, a threshold, and optionally another at which it is over. Pure.

Between the two the alert stays as it is, so that a number that wavers around the threshold is one alert. Worked
example: `> 100`, `clear: 80` fires at 101, goes on at 90, is over at 80.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

Comparison = Literal[">", ">=", "<", "<="]
Verdict = Literal["fires", "stays", "over"]
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Threshold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The number that must not be reached, and from where on it is well again."""

    comparison: Annotated[Comparison, Meta(description="How the number is compared with `value`.")] = ">="
    value: Annotated[float, Meta(description="The threshold.")]
    clear: Annotated[
        float | None,
        Meta(
            description="Where it is over; between the two the alert stays as it is. Empty: at the threshold."
        ),
    ] = None

    def __post_init__(self) -> None:
        numbers = [self.value] if self.clear is None else [self.value, self.clear]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a threshold is a finite number")
        if self.clear is not None and _COMPARE[self.comparison](self.clear, self.value):
            raise ValueError(f"clear must not itself be {self.comparison} {self.value:g}")


def judge(number: float, threshold: Threshold) -> Verdict:
    """Return what a number means; one that is none (NaN) says nothing."""
    if math.isnan(number):
        return "stays"
    compare = _COMPARE[threshold.comparison]
    if compare(number, threshold.value):
        return "fires"
    if threshold.clear is not None and compare(number, threshold.clear) and number != threshold.clear:
        return "stays"
    return "over"


def said(number: float, threshold: Threshold) -> str:
    """Return number and threshold in words."""
    return f"{number:g} {threshold.comparison} {threshold.value:g}"
