"""Rows by their keys, for loops that read the same tables a thousand times a minute (lanes, the pump).

Django builds and compiles a query each time it is asked: several times the cost of running it. Here the statement
is put together from names that are known beforehand, and instances are made as `from_db` would make them. What an
open scope shows is Django's affair: inside `scope.within` records are read through their manager.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from django.db import connection, models
from django.db.models.base import ModelState

from isthmus.ledger import scope, visibility
from isthmus.ledger.records import RecordModel
from isthmus.ledger.shapes import quoted

M = TypeVar("M", bound=models.Model)

CHUNK = 500
Convert = Callable[[Any], Any]


class _Table(NamedTuple):
    names: tuple[str, ...]
    columns: Mapping[str, str]
    converters: Mapping[str, Convert]


def instances(model: type[M], by: str, values: Sequence[str], **equal: Any) -> list[M]:
    """Return the rows whose `by` is among `values` and whose other columns are as given, in no order.

    A given list, tuple or set means "one of these": name the organisations, indexes begin with them.
    """
    if not values or any(_several(each) and not each for each in equal.values()):
        return []
    if issubclass(model, RecordModel) and scope.current() is not None:
        return list(_queryset(model, by, values, equal))
    table = _table(model, connection.vendor)
    return [_made(model, table, row) for row in _rows(model, table, table.names, by, values, equal)]


def tuples(
    model: type[models.Model], names: Sequence[str], by: str, values: Sequence[str], **equal: Any
) -> list[tuple[Any, ...]]:
    """Return some columns of those rows, in no order."""
    if not values or any(_several(each) and not each for each in equal.values()):
        return []
    if issubclass(model, RecordModel) and scope.current() is not None:
        return list(_queryset(model, by, values, equal).values_list(*names))
    table = _table(model, connection.vendor)
    converters = [table.converters.get(name) for name in names]
    found = _rows(model, table, names, by, values, equal)
    if not any(converters):
        return list(found)
    return [
        tuple(value if how is None else how(value) for how, value in zip(converters, row, strict=True))
        for row in found
    ]


def _queryset(model: Any, by: str, values: Sequence[str], equal: Mapping[str, Any]) -> Any:
    given = {(f"{name}__in" if _several(value) else name): value for name, value in equal.items()}
    return model.objects.filter(**{f"{by}__in": list(values)}, **given)


def _rows(
    model: type[models.Model], table: _Table, names: Sequence[str], by: str, values: Sequence[str], equal: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    visibility.apply(scope.current_or_all())
    conditions, given = [], []
    for name, value in equal.items():
        if isinstance(value, bool):
            # Said, not given: only then may the store choose an index that holds these rows alone.
            conditions.append(quoted(table.columns[name]) if value else f"NOT {quoted(table.columns[name])}")
            continue
        held = list(value) if _several(value) else [value]
        conditions.append(f"{quoted(table.columns[name])} IN ({', '.join(['%s'] * len(held))})")
        given += held
    picked = quoted(*(table.columns[name] for name in names))
    wanted = list(values)
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        every = [*conditions, f"{quoted(table.columns[by])} IN ({', '.join(['%s'] * len(part))})"]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {picked} FROM {quoted(model._meta.db_table)} WHERE {' AND '.join(every)}",  # noqa: S608, SLF001 - names of our own tables
                [*given, *part],
            )
            yield from cursor.fetchall()


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _made(model: type[M], table: _Table, row: tuple[Any, ...]) -> M:
    """Return an instance as `Model.from_db` would: loaded, unchanged. Skips Django's slower constructor."""
    state = dict(zip(table.names, row, strict=True))
    for name, convert in table.converters.items():
        state[name] = convert(state[name])
    found = model.__new__(model)
    found.__dict__ = state
    loaded = ModelState()
    loaded.adding, loaded.db = False, "default"
    found._state = loaded  # noqa: SLF001 - as Django's own `from_db` does
    return found


@cache
def _table(model: type[models.Model], vendor: str) -> _Table:
    """Return how rows of a table are read; one store per process, `vendor` keeps tests of both apart."""
    del vendor
    columns, converters = {}, {}
    for each in model._meta.concrete_fields:  # noqa: SLF001 - Django's documented API
        columns[each.attname] = str(each.column)
        expression = each.get_col(model._meta.db_table)  # noqa: SLF001
        steps = [*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection)]
        if steps:
            converters[each.attname] = _chained(steps, expression)
    return _Table(tuple(columns), columns, converters)


def _chained(steps: Sequence[Callable[..., Any]], expression: Any) -> Convert:
    def convert(value: Any) -> Any:
        for each in steps:
            value = each(value, expression, connection)
        return value

    return convert
