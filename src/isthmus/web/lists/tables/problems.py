"""Problems, and known errors with the incidents that they fit."""

from __future__ import annotations

from typing import Any, Final

from isthmus.kernel.kinds.incident import LEVELS
from isthmus.kernel.kinds.problem import KNOWN_ERROR_STATES, PROBLEM_STATES
from isthmus.practices.problem.rules import states
from isthmus.practices.problem.service import actions_of
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    instant,
    level,
    link,
    number,
    quiet,
    state,
    words,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import (
    ITEMS_SHOWN,
    counted,
    first_items,
    item,
    items,
    labels,
    organisation,
    organisations,
    person,
    titles,
)


def _problems(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("problem")
    wanted = asked.get("state")
    if wanted == "open":
        rows = rows.filter(state__in=states.OPEN)
    elif wanted in PROBLEM_STATES:
        rows = rows.filter(state=wanted)
    if levels := asked.several("priority"):
        rows = rows.filter(priority__in=levels)
    for name, field in (("group", "assignment_group"), ("service", "service"), ("owner", "owner")):
        if value := asked.get(name):
            rows = rows.filter(**{field: value})
    return stored(rows, asked, cursor, limit)


def _who(row: Any, beside: Beside) -> Cell:
    return person(row.owner, beside) if row.owner else words(row.assignment_group or "nobody")


def _actions(row: Any, _: Beside) -> Cell:
    held = actions_of(row)
    done = sum(1 for each in held if each["done"])
    return words(f"{done} of {len(held)} done") if held else EMPTY


PROBLEMS: Final = Table(
    key="problems",
    title="Problems",
    path="/problems",
    permission="problem:read",
    fixed="number",
    fetch=_problems,
    filters=(
        Filter(name="state", choices=PROBLEM_STATES, keywords=("open", "any"), usual="open"),
        Filter(name="priority", choices=LEVELS, many=True, linked=True),
        Filter(name="group", linked=True),
        Filter(name="service", linked=True),
        Filter(name="owner", linked=True),
    ),
    loaders={
        "cis": first_items("cis", "service"),
        "people": labels("owner"),
        "incidents": counted("incident", "problem"),
        "organisations": organisations,
    },
    columns=(
        Column(key="number", heading="Number", order="id", newest=True, look="keep",
               cell=lambda row, _: link(row.number, f"/problems/{row.id}")),
        Column(key="title", heading="Title", look="wrap", cell=lambda row, _: words(row.title)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="priority", heading="Priority", order="priority", cell=lambda row, _: level(row.priority)),
        Column(key="service", heading="Service", look="wrap", needs=("cis",),
               cell=lambda row, beside: item(row.service, beside)),
        Column(key="items", heading="Items", look="small wrap", needs=("cis",),
               cell=lambda row, beside: items(row.cis, beside)),
        Column(key="who", heading="Who", look="wrap", needs=("people",), cell=_who),
        Column(key="incidents", heading="Incidents", number=True, needs=("incidents",),
               cell=lambda row, beside: number(beside.loaded["incidents"].get(row.id, 0))),
        Column(key="opened", heading="Opened", order="opened_at", newest=True,
               cell=lambda row, beside: instant(row.opened_at or row.created_at, beside)),
        Column(key="cause_code", heading="Cause code", shown=False, order="cause_code",
               cell=lambda row, _: words(row.cause_code)),
        Column(key="actions", heading="Actions", shown=False, cell=_actions),
        Column(key="group", heading="Group", shown=False, order="assignment_group",
               cell=lambda row, _: words(row.assignment_group)),
        Column(key="resolved", heading="Resolved", shown=False, order="resolved_at", newest=True,
               cell=lambda row, beside: instant(row.resolved_at, beside)),
        Column(key="changed", heading="Changed", shown=False, order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        organisation,
    ),
)  # fmt: skip


def _known_errors(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("known_error")
    for name in ("state", "problem"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def _fits(row: Any, beside: Beside) -> Cell:
    """What it names, in the words of its page."""
    on = [beside.name("cis", each, "?") for each in list(row.cis or ())[:ITEMS_SHOWN]]
    services = [beside.name("cis", each, "?") for each in list(row.services or ())[:ITEMS_SHOWN]]
    said = [
        f"on {', '.join(on)}" if on else "",
        f"of class {', '.join(row.classes)}" if row.classes else "",
    ]
    parts = [
        " or ".join(each for each in said if each),
        f"hitting {', '.join(services)}" if services else "",
        row.condition,
    ]
    told = "; ".join(each for each in parts if each)
    return words(told[:200]) if told else quiet("attached by hand only")


def _problem(row: Any, beside: Beside) -> Cell:
    called = beside.name("problems", row.problem)
    return link(called, f"/problems/{row.problem}") if called else EMPTY


KNOWN_ERRORS: Final = Table(
    key="known-errors",
    title="Known errors",
    path="/known-errors",
    permission="problem:read",
    fixed="number",
    fetch=_known_errors,
    filters=(
        Filter(name="state", choices=KNOWN_ERROR_STATES),
        Filter(name="problem", linked=True),
    ),
    loaders={
        "cis": first_items("cis", "services"),
        "problems": titles("problem", "number", "problem"),
        "matches": counted("known_error_match", "known_error"),
        "organisations": organisations,
    },
    columns=(
        Column(key="number", heading="Number", order="id", newest=True, look="keep",
               cell=lambda row, _: link(row.number, f"/known-errors/{row.id}")),
        Column(key="title", heading="Title", look="wrap", cell=lambda row, _: words(row.title)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="problem", heading="Problem", needs=("problems",), cell=_problem),
        Column(key="fits", heading="Fits", look="small wrap", needs=("cis",), cell=_fits),
        Column(key="found_on", heading="Found on", number=True, needs=("matches",),
               cell=lambda row, beside: number(beside.loaded["matches"].get(row.id, 0))),
        Column(key="changed", heading="Changed", order="updated_at", newest=True,
               cell=lambda row, beside: instant(row.updated_at, beside)),
        Column(key="workaround", heading="Workaround", shown=False, look="small wrap",
               cell=lambda row, _: words(row.workaround)),
        Column(key="published", heading="Published", shown=False, order="published_at", newest=True,
               cell=lambda row, beside: instant(row.published_at, beside)),
        Column(key="retired", heading="Retired", shown=False, order="retired_at", newest=True,
               cell=lambda row, beside: instant(row.retired_at, beside)),
        organisation,
    ),
)  # fmt: skip
