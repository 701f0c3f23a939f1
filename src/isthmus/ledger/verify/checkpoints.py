"""Check (d): signed checkpoints against the chains, and against the witness outside the store."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.ledger.verify import ed25519
from isthmus.ledger.verify.findings import Report

CHECK = "checkpoint"
WITNESS = "witness"


@dataclass(frozen=True)
class Witnessed:
    """A line of the witness: exact body, parsed body, key and signature."""

    raw: bytes
    body: dict[str, Any]
    key: bytes
    signature: bytes


@dataclass(frozen=True)
class Known:
    """The bytes of a witness at one moment; `content` is None if the file does not exist."""

    path: Path
    content: bytes | None


def witnessed(path: Path | None) -> Known | None:
    """Read the witness, before the book that it is compared with; None without one."""
    if path is None:
        return None
    return Known(path, path.read_bytes() if path.exists() else None)


def verify(book: sqlite3.Connection, report: Report, known: Known | None, public: bytes | None) -> None:
    """Check all checkpoints of the store, then the witness if there is one."""
    lines = _read(known, report) if known else []
    pinned = public or (lines[0].key if lines else None)
    if pinned is None:
        report.notes.append(
            "No public key and no witness were given: signatures are checked with the key that the store names."
        )
    stored = _chain(book, report, pinned)
    if known is None:
        report.notes.append(
            "No witness was given: a tail cut off together with its checkpoints would not be seen."
        )
    else:
        _compare(report, stored, lines, pinned)


def _chain(book: sqlite3.Connection, report: Report, pinned: bytes | None) -> dict[int, bytes]:
    """Check numbers, predecessors, signatures, trees and heads; return number → body."""
    stored: dict[int, bytes] = {}
    number, previous, after = 0, "", 0
    for claimed, at, raw, signature, key in book.execute(
        "SELECT number, at, body, signature, key FROM ledger_checkpoint ORDER BY number"
    ):
        number += 1
        where = f"checkpoint {claimed}"
        stored[claimed] = raw
        pinned = pinned or key
        if key != pinned or not ed25519.verifies(pinned, raw, signature):
            report.find(
                CHECK,
                where,
                "its signature does not belong to this installation's key and these bytes: it was edited",
            )
            number, previous = claimed, hashlib.sha256(raw).hexdigest()
            continue
        body = json.loads(raw)
        if claimed != number or body["number"] != claimed:
            report.find(CHECK, where, f"checkpoint {number} was expected here: one was deleted or renumbered")
            number = claimed
        elif body["previous"] != previous:
            report.find(CHECK, where, "it does not follow the checkpoint before it")
        if at != body["at"]:
            report.find(CHECK, where, f"column at says {at}, what was signed says {body['at']}")
        if body["covers"][0] <= after:
            report.find(CHECK, where, "it covers seals that an earlier one covers")
        _compare_seals(book, report, where, body, after)
        after, previous = body["covers"][1], hashlib.sha256(raw).hexdigest()
        report.count("checkpoints")
    return stored


def _compare_seals(
    book: sqlite3.Connection, report: Report, where: str, body: dict[str, Any], after: int
) -> None:
    rows = book.execute(
        "SELECT organisation, first, count, epoch, sealed_at, seqs, links FROM ledger_seal WHERE id > ? AND id <= ? ORDER BY id",
        (after, body["covers"][1]),
    ).fetchall()
    if len(rows) != body["seals"]:
        report.find(
            CHECK,
            where,
            f"it covers {body['seals']} seals, the store has {len(rows)}: seals were deleted or inserted",
        )
    elif _root([_leaf(row) for row in rows]).hex() != body["root"]:
        report.find(
            CHECK, where, "the seals that it covers are not those that were signed: a seal was edited"
        )
    for organisation, (position, link) in body["heads"].items():
        row = book.execute(
            "SELECT first, links FROM ledger_seal WHERE organisation = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (organisation, position),
        ).fetchone()
        at = 32 * (position - row[0]) if row else 0
        if row is None or row[1][at : at + 32].hex() != link:
            report.find(
                CHECK,
                where,
                f"organisation {organisation} stood elsewhere at position {position} when this was signed",
            )


def _leaf(row: tuple[Any, ...]) -> bytes:
    organisation, first, count, epoch, sealed_at, seqs, links = row
    value = {
        "count": count,
        "epoch": epoch,
        "first": first,
        "links": hashlib.sha256(links).hexdigest(),
        "organisation": organisation,
        "sealed_at": sealed_at,
        "seqs": hashlib.sha256(seqs).hexdigest(),
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _root(leaves: list[bytes]) -> bytes:
    """Return the tree hash of RFC 6962 section 2.1, by its recursive definition."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def _read(known: Known, report: Report) -> list[Witnessed]:
    if known.content is None:
        report.find(WITNESS, str(known.path), "the witness does not exist")
        return []
    found = []
    for number, line in enumerate(known.content.split(b"\n")[:-1], start=1):
        try:
            parts = json.loads(line)
            raw = base64.b64decode(parts["body"])
            found.append(
                Witnessed(
                    raw, json.loads(raw), bytes.fromhex(parts["key"]), bytes.fromhex(parts["signature"])
                )
            )
        except (ValueError, KeyError, TypeError):
            report.find(WITNESS, f"line {number}", "it cannot be read: the witness was damaged")
    return found


def _compare(report: Report, stored: dict[int, bytes], lines: list[Witnessed], pinned: bytes | None) -> None:
    counting: dict[int, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if line.key != pinned or not ed25519.verifies(line.key, line.raw, line.signature):
            report.find(WITNESS, f"line {number}", "its signature is wrong: the witness was edited")
            continue
        if "restored_to" in line.body:
            lost = [each for each in counting if each > line.body["restored_to"]]
            counting = {each: raw for each, raw in counting.items() if each <= line.body["restored_to"]}
            report.notes.append(
                f"A restore was acknowledged by {line.body['by']}: {len(lost)} checkpoints after {line.body['restored_to']} are lost."
            )
        else:
            counting[line.body["number"]] = line.raw
    for number, raw in sorted(counting.items()):
        if number not in stored:
            report.find(
                WITNESS,
                f"checkpoint {number}",
                "the witness has it and the store has not: the book was cut back",
            )
        elif stored[number] != raw:
            report.find(
                WITNESS,
                f"checkpoint {number}",
                "the store has another one than the witness: it was rewritten",
            )
    if stored and counting and max(stored) > max(counting):
        report.notes.append(f"The witness ends at checkpoint {max(counting)}, the store at {max(stored)}.")
    report.count("witnessed", len(counting))
