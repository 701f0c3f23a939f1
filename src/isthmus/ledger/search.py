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
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
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
ENTRIES_AT_ONCE = 50
"""Entries whose tokens are written in one transaction."""

WORDS_MAX = 2_000
"""Distinct words indexed per field value; the rest of a longer text is not searchable by word."""

INDEXED_MAX = 2_000
"""Entries that one round indexes, about: sealing must not wait for longer."""

RESULTS_MAX = 500
_COLUMNS = ("organisation", "field", "record", "token")
_WORD = re.compile(r"[\w.@-]{2,64}")


def words(text: str) -> list[str]:
    """Return the distinct searchable words of a text: compatibility forms folded, case folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return list(dict.fromkeys(each.strip(".-") for each in _WORD.findall(folded)))[:WORDS_MAX]


def token(organisation: str, text: str) -> int:
    """Return the keyed hash of a value or word, as a signed 64-bit integer."""
    return _hashed(keys.ring().derived(f"search:{organisation}"), text)


def _hashed(key: bytes, text: str) -> int:
    found: int = struct.unpack(">q", hmac.digest(key, text.encode(), "sha256")[:8])[0]
    return found


def index_some() -> int:
    """Index segment after segment until nothing is left or a round's worth is done; return how many entries."""
    total = 0
    while total < INDEXED_MAX and (indexed := index_once()):
        total += indexed
    return total


def index_once() -> int:
    """Index the sealed segment that came next since the last call; return how many entries it had.

    A segment may hold thousands of entries, so its tokens are written in parts that hold the turnstile briefly;
    only the last part moves the reader on. A part written twice changes nothing.
    """
    progress = Progress.objects.filter(name=READER).first()
    after = progress.position if progress else 0
    seal = Seal.objects.filter(id__gt=after).order_by("id").first()
    if seal is None:
        return 0
    part: list[Body] = []
    for raw in _bodies(seal):
        part.append(decode_body(raw))
        if len(part) == ENTRIES_AT_ONCE:
            _write(part)
            part = []
    _write(part, moved=(progress, after, seal.id))
    return seal.count


def _write(part: Sequence[Body], moved: tuple[Progress | None, int, int] | None = None) -> None:
    secrets = {each: keys.ring().derived(f"search:{each}") for each in {body.organisation for body in part}}

    def act(work: Work) -> None:
        for body in part:
            _index(work, body, secrets[body.organisation])
        if moved is not None:
            progress, after, position = moved
            if progress is None:
                work.insert(Progress, name=READER, position=position)
            else:
                work.advance(Progress, {"name": READER, "position": after}, {"position": position})

    if part or moved:
        perform(act, actor=system("search"), origin=Origin(channel="hub"))


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
            for raw in Entry.objects.filter(seq__in=chunk, kind__in=_searchable())
            .order_by("seq")
            .values_list("body", flat=True)
        )


@cache
def _searchable() -> frozenset[str]:
    """Return the kinds that have anything to index: most entries of a busy hub are of none of them."""
    return frozenset(
        name for name, kind in KINDS.items() if any(_wanted(declared) for declared in kind.by_name.values())
    )


def _wanted(declared: Field) -> bool:
    return declared.sealed or declared.name == "number"


def _index(work: Work, body: Body, secret: bytes) -> None:
    fields = KINDS[body.kind].by_name
    for name, (_, new) in body.changes.items():
        declared = fields.get(name)
        if declared is None or not _wanted(declared):
            continue
        key = {"organisation": body.organisation, "field": name, "record": body.record}
        if body.version > 1:
            work.remove(SearchToken, key)
        for text in _texts(declared, new):
            tokens = {
                _hashed(secret, _whole(name, text)),
                *(_hashed(secret, word) for word in words(text)),
            }
            rows = [(*key.values(), each) for each in tokens]
            work.put_all(SearchToken, _COLUMNS, rows, key=_COLUMNS)


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
