"""The side rows of a Work: due times, deliveries, outcomes, counters, fences. Not journalled, but atomic with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from isthmus.kernel.errors import Bug
from isthmus.ledger import shapes
from isthmus.ledger.records import RecordModel

_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class SideRows:
    """Rows for one statement on one side table. `exact`: every row must hit exactly one row of the store."""

    table: str
    verb: str
    shape: tuple[Any, ...]
    rows: list[tuple[Any, ...]]
    exact: bool


class SideRowsOfWork:
    """Collects side rows in the order in which they were asked for."""

    def __init__(self) -> None:
        self.side: list[SideRows] = []
        self._last_on_table: dict[str, SideRows] = {}

    def insert(self, model: type[models.Model], **values: Any) -> None:
        """Insert one side row; absent fields take their defaults."""
        shape = shapes.beside(model)
        full = {
            name: values[name] if name in values else each.get_default()
            for name, each in shape.defaults.items()
        }
        for name in values.keys() - full.keys():
            full[name] = values[name]
        self._beside(
            shape, "insert", (tuple(shape.columns[name] for name in full),), shape.stored(full), exact=False
        )

    def upsert(self, model: type[models.Model], key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Insert or overwrite the side row with this unique key; on insert, absent fields take defaults."""
        self._merge(model, key, values, {})

    def put_all(
        self,
        model: type[models.Model],
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
        *,
        key: Sequence[str],
        newest: Sequence[str] = (),
    ) -> None:
        """Insert many plain side rows at once, in the order of `columns` (all but a generated id); of a row whose
        `key` is there already, the columns `newest` are overwritten."""
        if not rows:
            return
        self._side_only(model)
        shape = shapes.beside(model)
        names = (*(tuple(shape.columns[name] for name in each) for each in (columns, key, newest)), ())
        last = self._last_on_table.get(shape.table)
        if last is None or last.verb != "merge" or last.shape != names:
            last = SideRows(shape.table, "merge", names, [], exact=False)
            self._last_on_table[shape.table] = last
            self.side.append(last)
        last.rows.extend(rows)

    def bump(
        self,
        model: type[models.Model],
        key: Mapping[str, Any],
        add: Mapping[str, int],
        values: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Add to counters of the row with this key (and set `values`), inserting a side row if there is none.

        On a record only the counters of its kind may be bumped; the row must exist.
        """
        if issubclass(model, RecordModel):
            shape = shapes.of(model)
            if not {*add, *values} <= shape.extras:
                raise Bug(f"Only counters of a {shape.kind} can be bumped.", remedy="Use work.change.")
            side = shapes.beside(model)
            names = tuple(add), tuple(values), tuple(key)
            self._beside(side, "count", names, (*add.values(), *values.values(), *key.values()), exact=True)
            return
        self._merge(model, key, values, add)

    def advance(self, model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Update the one side row that is as `where` says; none or several: `StaleRecord` at the flush."""
        self._side_only(model)
        shape = shapes.beside(model)
        names = tuple(shape.columns[each] for each in values), tuple(shape.columns[each] for each in where)
        self._beside(shape, "advance", names, shape.stored(values) + shape.stored(where), exact=True)

    def remove(self, model: type[models.Model], where: Mapping[str, Any]) -> None:
        """Delete the side rows that are as `where` says, if any."""
        self._side_only(model)
        shape = shapes.beside(model)
        self._beside(
            shape, "remove", (tuple(shape.columns[each] for each in where),), shape.stored(where), exact=False
        )

    def remove_one(self, model: type[models.Model], where: Mapping[str, Any]) -> None:
        """Delete the one side row that is as `where` says; none or several: `StaleRecord` at the flush."""
        self._side_only(model)
        shape = shapes.beside(model)
        names = tuple(shape.columns[each] for each in where), "one"
        self._beside(shape, "remove", names, shape.stored(where), exact=True)

    def _side_only(self, model: type[models.Model]) -> None:
        if issubclass(model, RecordModel):
            raise Bug(f"{model.__name__} is a record.", remedy="Use work.change.")

    def _merge(
        self,
        model: type[models.Model],
        key: Mapping[str, Any],
        values: Mapping[str, Any],
        add: Mapping[str, int],
    ) -> None:
        self._side_only(model)
        shape = shapes.beside(model)
        given = {**key, **values, **add}
        full = given | {
            name: each.get_default() for name, each in shape.defaults.items() if name not in given
        }
        names = (
            tuple(shape.columns[name] for name in full),
            tuple(shape.columns[name] for name in key),
            tuple(shape.columns[name] for name in values),
            tuple(shape.columns[name] for name in add),
        )
        self._beside(shape, "merge", names, shape.stored(full), exact=False)

    def _beside(
        self, shape: shapes.SideShape, verb: str, names: tuple[Any, ...], row: tuple[Any, ...], *, exact: bool
    ) -> None:
        """Queue a row; it joins the last statement on its table only if that has the same form, so order holds."""
        last = self._last_on_table.get(shape.table)
        if last is not None and last.verb == verb and last.shape == names:
            last.rows.append(row)
            return
        last = SideRows(shape.table, verb, names, [row], exact)
        self._last_on_table[shape.table] = last
        self.side.append(last)
