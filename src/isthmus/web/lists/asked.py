"""What a URL asks of a list: filters, order, columns. Whatever in it means nothing is reported, never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Problem, Rejected
from isthmus.web.lists import choosing
from isthmus.web.lists.table import Column, Table

PASSING: Final = ("view", "cursor", "limit", "format", "arrange")
"""Parameters that every list takes and no view keeps."""
KEPT: Final = ("order", "columns")
"""Parameters that every list takes and that views keep, besides the filters."""
VALUE_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`values`: filter → what the URL says (absent: the usual). `notices`: what in the URL meant nothing."""

    table: Table
    reader: Actor
    values: Mapping[str, str]
    columns: tuple[Column, ...]
    order: str = ""
    named_columns: bool = False
    notices: tuple[str, ...] = ()

    def get(self, name: str) -> str:
        """Return the value of a filter, or the usual one."""
        if name in self.values:
            return self.values[name]
        return next((each.usual for each in self.table.filters if each.name == name), "")

    def several(self, name: str) -> list[str]:
        return [each for each in self.get(name).split(",") if each]

    @property
    def sorted_by(self) -> Column | None:
        """Return the column whose head says how the list is sorted."""
        field = self.stored_order.lstrip("-")
        named = self.table.column(self.order.lstrip("-")) if self.order else None
        return named or next((each for each in self.table.columns if each.order == field), None)

    @property
    def descending(self) -> bool:
        return self.stored_order.startswith("-")

    @property
    def stored_order(self) -> str:
        """Return how the store is to sort: a field, with `-` for descending."""
        if not self.order:
            return self.table.order
        column = self.table.column(self.order.lstrip("-"))
        return f"{'-' if self.order.startswith('-') else ''}{column.order}" if column else self.table.order

    def query(self, **changes: str) -> str:
        """Return what stands in the URL and is kept by views, in a fixed order, with some parts replaced ("" removes)."""
        parts = dict(self.values)
        if self.order:
            parts["order"] = self.order
        if self.named_columns:
            parts["columns"] = ",".join(each.key for each in self.columns)
        for name, value in changes.items():
            if value:
                parts[name] = value
            else:
                parts.pop(name, None)
        # People read the columns in the URL: their commas stay commas.
        return urlencode(parts, safe=",")


def read(
    table: Table,
    reader: Actor,
    query: QueryDict,
    *,
    kept: Sequence[str] | None = None,
    lenient: bool = False,
    strict: bool = False,
) -> Asked:
    """Return what the URL asks of a list.

    A column that the list does not have is refused. `kept`: the columns that the reader chose for good; `lenient`: the
    URL's columns come from a kept view; both outlive a column, so what is gone is reported instead. `strict` refuses
    everything else that means nothing, for programs and for views that are to be kept.
    """
    problems = [*_unknown_names(table, query)]
    values = {}
    for each in table.filters:
        if each.name not in query:
            continue
        value = query.get(each.name, "").strip()
        if wrong := each.wrong(value):
            problems.append(_wrong(each.name, wrong, each.possible))
            continue
        if len(value) > VALUE_CHARACTERS_MAX:
            problems.append(
                Problem(path=f"/query/{each.name}", message=f"at most {VALUE_CHARACTERS_MAX} characters")
            )
            continue
        if value or each.usual or each.blank:
            values[each.name] = value
    order, order_problem = _order(table, query.get("order", "").strip())
    if order_problem is not None:
        problems.append(order_problem)
    named = [each.strip() for each in query.get("columns", "").split(",") if each.strip()]
    gone = choosing.unknown(table, named or kept or ())
    if gone and named and not lenient:
        raise choosing.refuse(table, gone)
    if strict and problems:
        raise Rejected(
            f"The list of {table.title.lower()} cannot be asked like this.", problems=tuple(problems)
        )
    if gone:
        problems.append(
            Problem(
                path="/query/columns", message=f"there is no column {', '.join(map(repr, gone))} any more"
            )
        )
    wanted = named or kept
    return Asked(
        table=table,
        reader=reader,
        values=values,
        columns=choosing.chosen(table, wanted) if wanted else table.usual,
        order=order,
        named_columns=bool(named),
        notices=tuple(_sentence(each) for each in problems),
    )


def canonical(table: Table, reader: Actor, text: str) -> str:
    """Return a view's query as it is kept: the filters, the order and the columns, all of them valid, nothing else."""
    query = QueryDict(text.lstrip("?"), mutable=True)
    for name in (*PASSING, "column", "move"):
        query.pop(name, None)
    return read(table, reader, query, strict=True).query()


def _unknown_names(table: Table, query: QueryDict) -> Iterable[Problem]:
    known = [each.name for each in table.filters]
    for name in query:
        if name not in known and name not in KEPT and name not in PASSING:
            yield Problem(
                path=f"/query/{name[:40]}",
                message=f"{name[:40]!r} is no filter of this list",
                remedy=f"Its filters are {', '.join(known)}." if known else "It has no filters.",
            )


def _wrong(name: str, wrong: Sequence[str], possible: Sequence[str]) -> Problem:
    said = ", ".join(repr(each[:40]) for each in wrong)
    return Problem(
        path=f"/query/{name}",
        message=f"{name} cannot be {said}",
        remedy=f"It is one of {', '.join(possible)}.",
    )


def _order(table: Table, given: str) -> tuple[str, Problem | None]:
    found = table.former.get(given, given)
    if not found:
        return "", None
    column = table.column(found.lstrip("-"))
    if column is None or not column.order:
        possible = ", ".join(each.key for each in table.sortable) or "nothing"
        return "", Problem(
            path="/query/order",
            message=f"the list cannot be sorted by {given[:40]!r}",
            remedy=f"It can be by {possible}, and with - before it the other way round.",
        )
    return found, None


def _sentence(problem: Problem) -> str:
    said = f"{problem.message[:1].upper()}{problem.message[1:]}, so it was not applied. {problem.remedy}"
    return said.strip()
