"""From rows to observations of configuration items and relations. Pure; a bad cell refuses the whole file."""

from __future__ import annotations

from isthmus.connectors.csv.config import CsvConfig
from isthmus.connectors.csv.table import Faults, Row, nearest, rows
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Field, FieldType, Json

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ITEM, _RELATION = "ci", "ci_relation"
_ENDS = {"source_ci", "target_ci"}


def observations(body: bytes, connection: str, config: CsvConfig) -> list[Observation]:
    """Return one observation per row, in file order; `Rejected` names every faulty line.

    A file with the columns source_ci and target_ci holds relations, any other one items.
    """
    header, found = rows(body, config)
    named = {column: config.columns.get(column, column.lower().replace(" ", "_")) for column in header}
    kind = _RELATION if set(named.values()) >= _ENDS else _ITEM
    faults = Faults()
    _check_columns(kind, named, config, faults)
    faults.raise_if_any()
    made = [_observation(kind, row, named, connection, config, faults) for row in found]
    _check_keys(made, found, faults)
    faults.raise_if_any()
    return made


def _check_columns(kind: str, named: dict[str, str], config: CsvConfig, faults: Faults) -> None:
    declared = KINDS[kind].by_name
    fields = list(named.values())
    for column, field in named.items():
        if field not in declared and not (kind == _ITEM and config.keep_other_columns):
            faults.add(1, column, "is no known column", nearest(column, list(declared)))
        if fields.count(field) > 1 and fields.index(field) != list(named).index(column):
            faults.add(1, column, f"means {field}, as another column does", "Correct `columns`.")
    for each in declared.values():
        if each.required and each.name not in fields:
            faults.add(1, each.name, "is missing", f"Add the column, or map one to {each.name}.")


def _observation(
    kind: str, row: Row, named: dict[str, str], connection: str, config: CsvConfig, faults: Faults
) -> Observation:
    declared = KINDS[kind].by_name
    values: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    attributes: dict[str, Json] = {}
    for column, field in named.items():
        cell = row.cells[column]
        if field not in declared:
            if cell:
                attributes[column] = cell
        elif cell:
            _put(declared[field], cell, row.line, config, values, unknown, faults)
        elif declared[field].required:
            faults.add(row.line, field, "is empty", "Fill the cell.")
    if attributes:
        values["attributes"] = attributes
    if kind == _RELATION and "type" in unknown:
        faults.add(row.line, "type", f"is not one of {', '.join(declared['type'].choices)}")
    return Observation(
        kind=kind,
        external=ExternalRef(connection=connection, kind=kind, key=_key(kind, values)),
        values=values,
        unknown=unknown,
    )


def _put(
    field: Field,
    cell: str,
    line: int,
    config: CsvConfig,
    values: dict[str, Json],
    unknown: dict[str, Json],
    faults: Faults,
) -> None:
    match field.type:
        case FieldType.INTEGER:
            if cell.isascii() and cell.isdigit() and len(cell) < 16:
                values[field.name] = int(cell)
            else:
                faults.add(line, field.name, "must be a whole number", "Write digits only.")
        case FieldType.BOOLEAN:
            if cell.lower() in _TRUTH:
                values[field.name] = _TRUTH[cell.lower()]
            else:
                faults.add(line, field.name, "must be yes or no", f"Use one of {', '.join(_TRUTH)}.")
        case FieldType.SET:
            parts = {part.strip() for part in cell.split(config.list_separator)}
            values[field.name] = list[Json](sorted(parts - {""}))
        case FieldType.CHOICE:
            stated = cell.lower()
            (values if stated in field.choices else unknown)[field.name] = stated
        case FieldType.JSON:
            faults.add(line, field.name, "cannot be a column", "Give each attribute a column of its own.")
        case _:
            values[field.name] = cell


def _key(kind: str, values: dict[str, Json]) -> str:
    if kind == _RELATION:
        return f"{values.get('source_ci')} {values.get('type', 'depends_on')} {values.get('target_ci')}"
    return str(values.get("external_key") or values.get("name") or "")


def _check_keys(made: list[Observation], found: list[Row], faults: Faults) -> None:
    first: dict[str, int] = {}
    for observation, row in zip(made, found, strict=True):
        key = observation.external.key
        if key in first:
            faults.add(row.line, "", f"repeats line {first[key]}: both are {key!r}", "Remove one.")
        first.setdefault(key, row.line)
