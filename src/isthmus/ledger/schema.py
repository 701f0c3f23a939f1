"""The book describes itself: which kinds live in which tables and columns, journalled as an entry.

A verifier that knows nothing of this code replays entries into tables by that description. It is published
when an installation is initialised and again when a release changes it.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps

from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import Json, Reason
from isthmus.ledger import shapes
from isthmus.ledger.body import FORMAT
from isthmus.ledger.models import SystemEvent
from isthmus.ledger.records import ENVELOPE_COLUMNS, RecordModel, kind_of
from isthmus.ledger.work import Work

SUBJECT = "book.schema"


def models_by_kind() -> dict[str, type[RecordModel]]:
    """Return the projection of every kind that has one installed."""
    found = [each for each in apps.get_models() if issubclass(each, RecordModel)]
    return {kind_of(each).name: each for each in sorted(found, key=lambda model: kind_of(model).name)}


def describe() -> dict[str, Json]:
    """Return the description: per kind its table, envelope columns, fields with blank value and form.

    Forms: `plain` (stored as in the entry), `json` (canonical text), `sealed` (envelope; base64 in the
    entry). Columns that are not named (counters) are not part of the book's truth.
    """
    kinds: dict[str, Json] = {}
    for kind, model in models_by_kind().items():
        shape = shapes.of(model)
        fields: dict[str, Json] = {
            name: {
                "blank": _blank(each),
                "form": "sealed" if each.sealed else "json" if each.is_json else "plain",
            }
            for name, each in shape.fields.items()
        }
        kinds[kind] = {"table": KINDS[kind].table, "fields": fields}
    return {"format": FORMAT, "envelope": list(ENVELOPE_COLUMNS), "kinds": kinds}


def _blank(field: shapes.FieldShape) -> Any:
    if field.sealed:
        return None
    return shapes.json_text(field.blank) if field.is_json else field.blank


def publish(work: Work, organisation: str) -> None:
    """Journal the description in the root organisation, unless the last one says the same."""
    last = (
        SystemEvent.objects.filter(organisation=organisation, subject=SUBJECT)
        .order_by("-created_at", "-id")
        .first()
    )
    facts = describe()
    if last is None or last.facts != facts:
        why = [Reason(rule=SUBJECT, text="The tables of the book are described for its verifiers.")]
        work.journal(organisation, SUBJECT, facts, why)
