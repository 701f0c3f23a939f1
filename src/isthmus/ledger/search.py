"""Finding sealed text without being able to read it: keyed hashes of values and words.

Each organisation has its own index key, so a token says nothing without it and nothing across organisations.
The index is filled after commit, from sealed segments, and may lag a second or two behind.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from isthmus.kernel.actor import Origin, system
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import Field, FieldType
from isthmus.ledger import keys
from isthmus.ledger.body import Body, decode_body
from isthmus.ledger.columns import open_json, open_text
from isthmus.ledger.door import perform
from isthmus.ledger.models import Entry, Progress, Seal, SearchToken
from isthmus.ledger.work import Work

READER = "search"
SEALS_MAX = 20
WORDS_MAX = 2_000
"""Distinct words indexed per field value; the rest of a longer text is not searchable by word."""

RESULTS_MAX = 500
_WORD = re.compile(r"[\w.@-]{2,64}")


def words(text: str) -> list[str]:
    """Return the distinct searchable words of a text: compatibility forms folded, case folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return list(dict.fromkeys(each.strip(".-") for each in _WORD.findall(folded)))[:WORDS_MAX]


def token(organisation: str, text: str) -> int:
    """Return the keyed hash of a value or word, as a signed 64-bit integer."""
    key = keys.ring().derived(f"search:{organisation}")
    found: int = struct.unpack(">q", hmac.digest(key, text.encode(), "sha256")[:8])[0]
    return found


def index_once() -> int:
    """Index the sealed segments that came since the last call; return how many entries were read."""
    progress = Progress.objects.filter(name=READER).first()
    after = progress.position if progress else 0
    seals = list(Seal.objects.filter(id__gt=after).order_by("id")[:SEALS_MAX])
    if not seals:
        return 0
    count = 0

    def act(work: Work) -> None:
        nonlocal count
        count = 0
        for seal in seals:
            for raw in _bodies(seal):
                count += 1
                _index(work, decode_body(raw))
        if progress is None:
            work.insert(Progress, name=READER, position=seals[-1].id)
        else:
            work.advance(Progress, {"name": READER, "position": after}, {"position": seals[-1].id})

    perform(act, actor=system("search"), origin=Origin(channel="hub"))
    return count


def find(organisation: str, query: str, *, field: str = "") -> list[str]:
    """Return ids of records of one organisation that hold all words of the query, newest first."""
    found: set[str] | None = None
    for word in words(query):
        rows = SearchToken.objects.filter(organisation=organisation, token=token(organisation, word))
        if field:
            rows = rows.filter(field=field)
        here = set(rows.values_list("record", flat=True))
        found = here if found is None else found & here
    return sorted(found or (), reverse=True)[:RESULTS_MAX]


def find_equal(organisation: str, field: str, value: str) -> list[str]:
    """Return ids of records whose sealed field equals the value (case and form folded)."""
    wanted = token(organisation, _whole(field, value))
    rows = SearchToken.objects.filter(organisation=organisation, field=field, token=wanted)
    return sorted(rows.values_list("record", flat=True)[:RESULTS_MAX], reverse=True)


def forget(work: Work, organisation: str, record_id: str) -> None:
    """Remove a record from the index."""
    work.remove(SearchToken, {"organisation": organisation, "record": record_id})


def _whole(field: str, value: str) -> str:
    return f"={field}={unicodedata.normalize('NFKC', value).casefold()}"


def _bodies(seal: Seal) -> Iterator[bytes]:
    seqs = struct.unpack(f">{seal.count}q", bytes(seal.seqs))
    for start in range(0, len(seqs), 500):
        chunk = seqs[start : start + 500]
        yield from (
            bytes(raw)
            for raw in Entry.objects.filter(seq__in=chunk).order_by("seq").values_list("body", flat=True)
        )


def _index(work: Work, body: Body) -> None:
    if body.kind not in KINDS:
        return
    fields = KINDS[body.kind].by_name
    for name, (_, new) in body.changes.items():
        declared = fields.get(name)
        if declared is None or not (declared.sealed or name == "number"):
            continue
        key = {"organisation": body.organisation, "field": name, "record": body.record}
        work.remove(SearchToken, key)
        for text in _texts(declared, new):
            for each in {
                token(body.organisation, _whole(name, text)),
                *(token(body.organisation, word) for word in words(text)),
            }:
                work.upsert(SearchToken, {**key, "token": each}, {})


def _texts(declared: Field, value: Any) -> Iterable[str]:
    """Return the texts in a field's value; nothing where it is absent or erased."""
    if value is None:
        return []
    if not declared.sealed:
        return [str(value)]
    envelope = base64.b64decode(value)
    found = open_json(envelope) if declared.type in {FieldType.JSON, FieldType.SET} else open_text(envelope)
    return [] if found == keys.ERASED else list(_flat(found))


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _flat(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _flat(each)
