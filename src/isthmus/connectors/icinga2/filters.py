"""Matchers of the hub as filters of Icinga: fixed expressions, values apart from them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.kernel.errors import Problem, Rejected

_FIELDS = {"host": "host.name", "check": "service.name", "address": "host.address"}
_EXPRESSIONS = {
    "=": "{field} == {value}", "!=": "{field} != {value}",
    "=~": "regex({value}, {field})", "!~": "!regex({value}, {field})",
}  # fmt: skip


def of_matchers(matchers: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the target of an action on every object that fits all matchers; `Rejected` names one that cannot be said.

    Where a check is named, services are meant; else hosts, with all their services.
    """
    parts, values = [], {}
    for place, each in enumerate(matchers):
        field, template = _FIELDS.get(each.get("label", "")), _EXPRESSIONS.get(each.get("op", "="))
        if field is None or template is None:
            known = ", ".join(_FIELDS)
            raise Rejected(
                f"Icinga knows objects by {known}; one of the matchers names something else.",
                remedy=f"Match {known} only, or silence one alert.",
                problems=(Problem(path=f"/matchers/{place}", message="cannot be expressed"),),
            )
        value = each.get("value", "")
        # A pattern of the hub fits whole values; Icinga's finds parts of them.
        values[f"v{place}"] = f"^(?:{value})$" if "~" in each.get("op", "=") else value
        parts.append(f"({template.format(field=field, value=f'v{place}')})")
    if not parts:
        raise Rejected("Nothing says what may be quiet.", remedy="Give matchers or an alert.")
    services = any(each.get("label") == "check" for each in matchers)
    target: dict[str, Any] = {
        "type": "Service" if services else "Host", "filter": " && ".join(parts), "filter_vars": values,
    }  # fmt: skip
    return target if services else {**target, "all_services": True}
