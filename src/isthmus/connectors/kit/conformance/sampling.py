"""Values for the contract tests: made from the kind and the mapping, or given by the simulator."""

from __future__ import annotations

from isthmus.connectors.kit.conformance.world import Running
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import FieldType, Json

AWKWARD = "Zürich – ありがとう & <b>né</b> 🚒"
"""A text that survives only honest encodings."""

_NOT_SAMPLED = {FieldType.REFERENCE, FieldType.INSTANT, FieldType.JSON, FieldType.SET}


def sample(running: Running, kind: str, title: str = AWKWARD) -> dict[str, Json]:
    """Return values of a new object in the partner's spelling, under canonical names.

    References, times and everything that belongs to a state are left out: partners demand that these fit
    what they already hold. `Simulator.sample` overrides the choice.
    """
    given = running.simulator.sample(kind)
    mapping = running.context.mappings[kind]
    values: dict[str, Json] = {}
    for name in mapping.written():
        field = KINDS[kind].by_name[name]
        if name in given:
            values[name] = mapping.outward(name, given[name])
        elif not given and not field.group and field.type not in _NOT_SAMPLED and not field.authority:
            values[name] = mapping.outward(name, _value(field.choices, field.type, title))
    if "title" in values:
        values["title"] = mapping.outward("title", title)
    return values


def text_patch(running: Running, kind: str, text: str) -> dict[str, Json]:
    """Return a patch of one text field."""
    return {"title": running.context.mappings[kind].outward("title", text)}


def _value(choices: tuple[str, ...], kind: FieldType, text: str) -> Json:
    if choices:
        return choices[-1]
    match kind:
        case FieldType.BOOLEAN:
            return True
        case FieldType.INTEGER:
            return 7
        case _:
            return text
