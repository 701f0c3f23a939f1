"""The escalation section of a record's page."""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.template.loader import render_to_string

from isthmus.identity import people
from isthmus.practices.on_call import directory
from isthmus.web import records

register = template.Library()
ESCALATIONS_MAX: Final = 10
TOLD_MAX: Final = 200


@register.simple_tag(takes_context=True)
def escalations_of(context: template.Context, record: Any) -> str:
    """Show who was told about a record, what comes next, and the button that ends it; four queries."""
    held = context.get("held") or ()
    if "oncall:read" not in held:
        return ""
    rows = list(records.of("escalation").filter(subject=record.id).order_by("-id")[:ESCALATIONS_MAX])
    told: dict[str, list[Any]] = {each.id: [] for each in rows}
    if rows:
        for each in records.of("notification").filter(escalation__in=list(told)).order_by("id")[:TOLD_MAX]:
            told[each.escalation].append(each)
    names = people.labels(each.person for some in told.values() for each in some)
    ladders = [
        name
        for name, spec in sorted(directory.section().ladders.items())
        if all(each.percent is None for each in spec.steps)
    ]
    found: dict[str, Any] = {
        **{str(name): value for name, value in context.flatten().items()}, "record": record, "escalations": [(each, told[each.id]) for each in rows], "people": names,
        "ladders": ladders if record.state in {"new", "in_progress", "on_hold"} else [], "writes": "oncall:write" in held,
    }  # fmt: skip
    return render_to_string("console/_escalations.html", found, request=context.get("request"))
