"""What `Work` needs to know of a model, worked out once: columns in order, defaults, who converts what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from operator import itemgetter
from typing import Any

from django.db import connection, models

from isthmus.kernel.chain import encode_plain, plain
from isthmus.kernel.errors import Bug
from isthmus.kernel.record import DataClass, Field, FieldType
from isthmus.ledger.columns import JsonColumn, SealedJson, SealedText
from isthmus.ledger.records import ENVELOPE_COLUMNS, RecordModel, kind_of

_TEXTS = frozenset({FieldType.TEXT, FieldType.CHOICE, FieldType.REFERENCE})
_SCALARS = frozenset({str, int, bool, type(None)})

# Kinds whose records hang on another one are sealed under that record's key: erasing an incident
# erases its comments, the bases of its links and the values of its conflicts with it.
_BELONGS_TO = ("record", "subject")


def json_text(value: Any) -> str | None:
    """Return the stored form of plain JSON."""
    return None if value is None else encode_plain(value).decode()


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One journalled field: `blank` is the value that counts as absent, `choices` what else is allowed."""

    name: str
    blank: Any
    choices: frozenset[str] | None
    is_set: bool
    is_json: bool
    sealed: bool
    personal: bool

    def normalise(self, value: Any) -> Any:
        """Return the plain form of a value; refuse what the kind does not allow."""
        if type(value) not in _SCALARS:
            value = plain(sorted(set(value)) if self.is_set else value)
        elif self.is_set and value is not None:
            raise Bug(f"{self.name} is a set.", remedy="Give a list of texts.")
        if value is None or (value == "" and not self.is_json):
            return self.blank
        if self.choices is not None and value not in self.choices:
            raise Bug(
                f"{self.name} has no value {value!r}.", remedy=f"One of {', '.join(sorted(self.choices))}."
            )
        return value


@dataclass(frozen=True, slots=True)
class RecordShape:
    """A projection: its table and how to build its rows."""

    model: type[RecordModel]
    kind: str
    prefix: str
    table: str
    columns: tuple[str, ...]
    pick: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    blanks: Mapping[str, Any]
    shared: tuple[str, ...]
    fields: Mapping[str, FieldShape]
    extras: frozenset[str]
    json_at: tuple[int, ...]
    json_names: frozenset[str]
    sealed_at: tuple[tuple[int, str], ...]
    belongs_to: str
    insert: str

    def key_name(self, record: RecordModel, field: FieldShape) -> str:
        """Return the name of the key under which a sealed field of this record stands."""
        if field.personal:
            # What is personal ends with the person that it is about, wherever it is kept.
            about = getattr(record, "person") if "person" in self.fields else ""  # noqa: B009 - not every kind has it
            return f"person:{about or record.id}"
        owner = getattr(record, self.belongs_to) if self.belongs_to else ""
        return f"record:{owner or record.id}"


def _field_shape(declared: Field, column: models.Field[Any, Any]) -> FieldShape:
    is_json = isinstance(column, JsonColumn | SealedJson)
    sealed = isinstance(column, SealedText | SealedJson)
    if sealed != declared.sealed:
        raise Bug(
            f"{column.model.__name__}.{column.name} must{' ' if declared.sealed else ' not '}be a sealed column."
        )
    blank: Any = column.get_default()
    if declared.type in _TEXTS:
        blank = ""
    return FieldShape(
        name=declared.name,
        blank=blank,
        choices=frozenset(declared.choices) or None,
        is_set=declared.type is FieldType.SET,
        is_json=is_json,
        sealed=sealed,
        personal=declared.data_class is DataClass.PERSONAL,
    )


def quoted(*names: str) -> str:
    """Return column or table names quoted for both stores."""
    return ", ".join(f'"{name}"' for name in names)


def mark() -> str:
    """Return the placeholder of the open store."""
    return "?" if connection.vendor == "sqlite" else "%s"


def is_json(shape: RecordShape, name: str) -> bool:
    """True if this column of a projection stores JSON in text."""
    return name in shape.json_names


@cache
def of(model: type[RecordModel]) -> RecordShape:
    """Return the shape of a projection."""
    kind = kind_of(model)
    by_name = {each.name: each for each in model._meta.concrete_fields}  # noqa: SLF001 - Django's documented API
    missing = [name for name in kind.by_name if name not in by_name]
    if missing:
        raise Bug(f"{model.__name__} lacks columns of its kind: {', '.join(missing)}.")
    fields = {name: _field_shape(declared, by_name[name]) for name, declared in kind.by_name.items()}
    columns = tuple(str(each.column) for each in by_name.values())
    blanks = {
        name: fields[name].blank if name in fields else column.get_default()
        for name, column in by_name.items()
    }
    return RecordShape(
        model=model,
        kind=kind.name,
        prefix=kind.prefix,
        table=model._meta.db_table,  # noqa: SLF001
        columns=columns,
        pick=itemgetter(*by_name),
        blanks=blanks,
        shared=tuple(name for name, blank in blanks.items() if isinstance(blank, list | dict)),
        fields=fields,
        extras=frozenset(by_name) - fields.keys() - set(ENVELOPE_COLUMNS),
        json_at=tuple(i for i, each in enumerate(by_name.values()) if isinstance(each, JsonColumn)),
        json_names=frozenset(each.attname for each in by_name.values() if isinstance(each, JsonColumn)),
        sealed_at=tuple(
            (i, name) for i, name in enumerate(by_name) if name in fields and fields[name].sealed
        ),
        belongs_to=next((each for each in _BELONGS_TO if each in fields and kind.name != "system_event"), ""),
        insert=f"INSERT INTO {quoted(model._meta.db_table)} ({quoted(*columns)}) VALUES ({', '.join(mark() for _ in columns)})",  # noqa: S608, SLF001 - names of our own tables
    )


_PASSED = (models.CharField, models.TextField, models.IntegerField, models.BigIntegerField)


@dataclass(frozen=True, slots=True)
class SideShape:
    """A table beside the records: due times, deliveries, outcomes, counters."""

    table: str
    columns: Mapping[str, str]
    converters: Mapping[str, Callable[[Any], Any]]
    defaults: Mapping[str, models.Field[Any, Any]]

    def stored(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values as the store takes them, in their own order."""
        return tuple(
            self.converters[name](value) if name in self.converters else value
            for name, value in values.items()
        )


def _saved(column: models.Field[Any, Any], value: Any) -> Any:
    return column.get_db_prep_save(value, connection)


@cache
def beside(model: type[models.Model]) -> SideShape:
    """Return the shape of a side table."""
    columns, converters, defaults = {}, {}, {}
    for each in model._meta.concrete_fields:  # noqa: SLF001
        columns[each.attname] = str(each.column)
        if isinstance(each, JsonColumn):
            converters[each.attname] = each.get_prep_value
        elif type(each) not in _PASSED:
            converters[each.attname] = partial(_saved, each)
        if not (each.primary_key and isinstance(each, models.AutoField)):
            defaults[each.attname] = each
    return SideShape(table=model._meta.db_table, columns=columns, converters=converters, defaults=defaults)  # noqa: SLF001
