"""Check (a): the chain of every organisation, link by link, and entries that no chain holds."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterator

from isthmus.ledger.verify.findings import Report

CHECK = "chain"
TAIL_MAX = 300_000_000
"""An entry that waits longer than this for the sealer (microseconds, before the newest entry) is a finding."""


def verify(book: sqlite3.Connection, report: Report) -> None:
    """Walk all chains; then look for entries that stand in none."""
    low, high = book.execute(
        "SELECT COALESCE((SELECT MIN(seq) FROM ledger_entry), 0), COALESCE((SELECT MAX(seq) FROM ledger_entry), -1)"
    ).fetchone()
    sealed = bytearray(high - low + 1)
    organisations = [
        name for (name,) in book.execute("SELECT DISTINCT organisation FROM ledger_seal ORDER BY 1")
    ]
    for organisation in organisations:
        position, link = _walk(book, report, organisation, sealed, low)
        _compare_head(book, report, organisation, position, link)
    for (organisation,) in book.execute(
        "SELECT organisation FROM ledger_head WHERE organisation NOT IN (SELECT organisation FROM ledger_seal)"
    ):
        report.find(
            CHECK, f"organisation {organisation}", "its chain has a head but no seals: they were deleted"
        )
    report.count("organisations", len(organisations))
    _tail(book, report, sealed, low)


def _name(book: sqlite3.Connection, seq: int) -> str:
    row = book.execute("SELECT kind, record, version FROM ledger_entry WHERE seq = ?", (seq,)).fetchone()
    return f"entry {row[1]}.{row[2]} ({row[0]}, seq {seq})" if row else f"entry with seq {seq}"


def _walk(
    book: sqlite3.Connection, report: Report, organisation: str, sealed: bytearray, low: int
) -> tuple[int, bytes]:
    """Follow one chain; return its last position and link."""
    position, link = 0, bytes(32)
    where = f"organisation {organisation}"
    for first, count, seqs, links in book.execute(
        "SELECT first, count, seqs, links FROM ledger_seal WHERE organisation = ? ORDER BY first",
        (organisation,),
    ):
        if first != position + 1:
            report.find(
                CHECK,
                where,
                f"positions {position + 1} to {first - 1} are missing: their seals were deleted or moved",
            )
        if len(seqs) != 8 * count or len(links) != 32 * count:
            report.find(CHECK, f"{where}, seal at {first}", "its parts do not have the length that it claims")
            position, link = first + count - 1, links[-32:]
            continue
        numbers = struct.unpack(f">{count}q", seqs)
        if _untouched(book, numbers, link, links, sealed, low):
            link = links[-32:]
        else:
            link = _examine(book, report, organisation, first, numbers, link, links, sealed, low)
        position = first + count - 1
        report.count("sealed", count)
    return position, link


def _untouched(
    book: sqlite3.Connection, numbers: tuple[int, ...], link: bytes, links: bytes, sealed: bytearray, low: int
) -> bool:
    """True if a segment of consecutive entries has exactly the links that it claims: the usual case, fast."""
    count, start = len(numbers), numbers[0] - low
    if numbers[-1] - numbers[0] != count - 1 or numbers != tuple(range(numbers[0], numbers[0] + count)):
        return False
    if start < 0 or start + count > len(sealed) or sealed.find(1, start, start + count) >= 0:
        return False
    rows = book.execute(
        "SELECT body FROM ledger_entry WHERE seq BETWEEN ? AND ? ORDER BY seq", (numbers[0], numbers[-1])
    )
    sha256 = hashlib.sha256
    found = []
    for (body,) in rows:
        link = sha256(link + body).digest()
        found.append(link)
    if b"".join(found) != links:
        return False
    sealed[start : start + count] = b"\1" * count
    return True


def _examine(
    book: sqlite3.Connection,
    report: Report,
    organisation: str,
    first: int,
    numbers: tuple[int, ...],
    link: bytes,
    links: bytes,
    sealed: bytearray,
    low: int,
) -> bytes:
    """Go through a segment entry by entry and name what is wrong; return its last link."""
    sha256 = hashlib.sha256
    bodies = _bodies(book, numbers)
    count = len(numbers)
    for i, seq in enumerate(numbers):
        stored = links[32 * i : 32 * i + 32]
        body = bodies.get(seq)
        at = f"organisation {organisation}, position {first + i}"
        if body is None:
            report.find(CHECK, at, f"{_name(book, seq)} is missing: it was deleted")
            link = stored
            continue
        computed = sha256(link + body).digest()
        if computed != stored:
            following = bodies.get(numbers[i + 1]) if i + 1 < count else None
            if (
                following is not None
                and sha256(computed + following).digest() == links[32 * i + 32 : 32 * i + 64]
            ):
                report.find(CHECK, at, f"the stored link of {_name(book, seq)} was changed")
                stored = computed
            else:
                report.find(
                    CHECK,
                    at,
                    f"{_name(book, seq)} does not have the bytes that were sealed: it was edited or swapped",
                )
        if 0 <= seq - low < len(sealed):
            if sealed[seq - low]:
                report.find(CHECK, at, f"{_name(book, seq)} is sealed twice")
            sealed[seq - low] = 1
        link = stored
    return link


def _bodies(book: sqlite3.Connection, numbers: tuple[int, ...]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for start in range(0, len(numbers), 500):
        chunk = numbers[start : start + 500]
        marks = ",".join("?" * len(chunk))
        found.update(book.execute(f"SELECT seq, body FROM ledger_entry WHERE seq IN ({marks})", chunk))  # noqa: S608 - our own names only
    return found


def _compare_head(
    book: sqlite3.Connection, report: Report, organisation: str, position: int, link: bytes
) -> None:
    head = book.execute(
        "SELECT position, link FROM ledger_head WHERE organisation = ?", (organisation,)
    ).fetchone()
    if head is None:
        report.find(CHECK, f"organisation {organisation}", "the head of its chain is missing")
    elif head[0] != position or head[1] != link:
        report.find(
            CHECK,
            f"organisation {organisation}",
            f"its chain ends at position {position}, its head says {head[0]}: the tail was cut, extended or edited",
        )


def _unsealed(book: sqlite3.Connection) -> Iterator[int]:
    for (packed,) in book.execute("SELECT seqs FROM ledger_unsealed"):
        yield from struct.unpack(f">{len(packed) // 8}q", packed)


def _tail(book: sqlite3.Connection, report: Report, sealed: bytearray, low: int) -> None:
    """Entries outside every chain are new ones in the sealer's queue, or somebody inserted them."""
    queued = set(_unsealed(book))
    newest = book.execute("SELECT COALESCE(MAX(recorded_at), 0) FROM ledger_entry").fetchone()[0]
    for seq in queued:
        if (
            not 0 <= seq - low < len(sealed)
            or book.execute("SELECT 1 FROM ledger_entry WHERE seq = ?", (seq,)).fetchone() is None
        ):
            report.find(CHECK, f"entry with seq {seq}", "it waits for its seal but is gone: it was deleted")
    at = sealed.find(0)
    while at >= 0:
        seq = at + low
        row = book.execute("SELECT recorded_at FROM ledger_entry WHERE seq = ?", (seq,)).fetchone()
        if row is not None:
            report.count("unsealed")
            if seq not in queued:
                report.find(CHECK, _name(book, seq), "it stands in no chain and in no queue: it was inserted")
            elif newest - row[0] > TAIL_MAX:
                report.find(
                    CHECK, _name(book, seq), "it was never sealed although later entries are minutes newer"
                )
        at = sealed.find(0, at + 1)
