"""From a JSON body to observations, by the connection's own rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.rules import Rule, program
from isthmus.kernel import wild
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Field, FieldType, Json
from isthmus.kernel.wild import Wild

ITEMS_MAX = 5_000
_MILLISECONDS_FROM = 100_000_000_000  # As seconds, that would be the year 5138.


def observations(
    body: Wild, headers: Mapping[str, str], context: Context, rules: Sequence[Rule], delivery: str
) -> list[Observation]:
    """Return what the rules see in a body. `delivery` identifies the request; without one ("") equal content about
    the same thing is the same event."""
    if not isinstance(body.raw(), dict):
        body.refuse("must be an object")
    found: list[Observation] = []
    for rule in rules:
        for index, item in enumerate(_items(body, rule)):
            reader = _Reader(body=body, item=item, headers=headers)
            if rule.when and not reader.holds(rule.when):
                continue
            found.append(_observation(reader, rule, context.connection, delivery and f"{delivery}:{index}"))
        if found:
            return found
    return found


def _items(body: Wild, rule: Rule) -> Iterator[Wild]:
    if not rule.items:
        yield body
        return
    listed = _follow(body, rule.items)
    if listed.missing and rule.when:
        return  # A body of another type, which another rule may fit.
    for index, item in enumerate(listed.items()):
        if index >= ITEMS_MAX:
            listed.refuse(f"holds more than {ITEMS_MAX} items", "Send several requests.")
        yield item


class _Reader:
    """Evaluates the expressions of a rule for one item."""

    def __init__(self, *, body: Wild, item: Wild, headers: Mapping[str, str]) -> None:
        self._item = item
        self._values = {"body": body.raw(), "item": item.raw(), "headers": dict(headers)}

    @property
    def place(self) -> str:
        return self._item.path

    def holds(self, text: str) -> bool:
        return program(text).holds(self._values)

    def read(self, text: str, what: str) -> Wild:
        """Return the value of an expression as wild, at the place that a sender can find."""
        if text.startswith("/"):
            return _follow(self._item, text)
        try:
            return Wild(program(text).evaluate(self._values), self.place)
        except Rejected as cause:
            message = f"does not give a {what}: {cause.text}"
            raise Rejected(
                f"{self.place or 'The body'} {message}",
                remedy=cause.remedy,
                problems=(Problem(path=self.place, message=message, remedy=cause.remedy),),
            ) from cause


def _observation(reader: _Reader, rule: Rule, connection: str, delivery: str) -> Observation:
    declared = KINDS[rule.kind].by_name
    values: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    for name, text in rule.fields.items():
        found = reader.read(text, name)
        if found.missing:
            if declared[name].required:
                found.refuse("must be present")
            continue
        _put(declared[name], found, rule.tables.get(name), values, unknown)
    occurred = reader.read(rule.occurred_at, "time") if rule.occurred_at else None
    return Observation(
        kind=rule.kind,
        external=ExternalRef(
            connection=connection, kind=rule.kind, key=reader.read(rule.key, "key").tame(_key)
        ),
        values=values,
        event_id=reader.read(rule.event_id, "event id").tame(_key) if rule.event_id else delivery,
        occurred_at=None if occurred is None or occurred.missing else occurred.tame(moment),
        unknown=unknown,
    )


def _put(
    field: Field, found: Wild, table: dict[str, str] | None, values: dict[str, Json], unknown: dict[str, Json]
) -> None:
    """Store a value under its canonical name, or keep it as unknown where table or choices do not know it."""
    if table is not None:
        stated = found.tame(wild.scalar)
        if stated not in table:
            unknown[field.name] = stated
            return
        found = Wild(table[stated], found.path)
    match field.type:
        case FieldType.CHOICE:
            stated = found.tame(wild.scalar)
            (values if stated in field.choices else unknown)[field.name] = stated
        case FieldType.INSTANT:
            values[field.name] = found.tame(moment)
        case FieldType.INTEGER:
            values[field.name] = found.tame(wild.integer)
        case FieldType.BOOLEAN:
            values[field.name] = found.tame(wild.boolean)
        case FieldType.SET:
            values[field.name] = list[Json](sorted(set(found.tame(wild.each(wild.scalar)))))
        case FieldType.JSON:
            values[field.name] = _json(found)
        case _:
            values[field.name] = found.tame(wild.scalar)


def moment(found: Wild) -> Instant:
    """Tame an RFC 3339 text, or a whole number of seconds or milliseconds since 1970."""
    raw = found.raw()
    if type(raw) is not int:
        return found.tame(wild.moment)
    milliseconds = raw if abs(raw) >= _MILLISECONDS_FROM else raw * 1_000
    return Instant(milliseconds * 1_000)


def _key(found: Wild) -> str:
    text = found.tame(wild.scalar)
    if not text.strip() or len(text) > 500:
        found.refuse("must be a key of 1 to 500 characters")
    return text


def _json(found: Wild) -> Json:
    """Keep structured values; numbers with a fraction become text, since entries hold no floats."""

    def keep(value: Any) -> Json:
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, list):
            return [keep(each) for each in value]
        if isinstance(value, dict):
            return {str(name): keep(each) for name, each in value.items()}
        kept: Json = value
        return kept

    return keep(found.raw())


def _follow(start: Wild, pointer: str) -> Wild:
    here = start
    for part in pointer.removeprefix("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if here.missing:
            return Wild(None, f"{start.path}{pointer}")
        raw = here.raw()
        here = here[int(name)] if isinstance(raw, list) and name.isdigit() else here[name]
    return here
