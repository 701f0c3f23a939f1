"""An export proves itself: every entry's exact bytes, seals, checkpoints, projections, key and verifier."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import isthmus.ledger.verify
from isthmus.ledger import audit, dump

_README = """# Export of an Isthmus book of record

`tables/*.jsonl`: one file per table; the first line names the columns, each further line is a row. Bytes stand
as {"b64": "..."}; an entry's `body` is the exact sequence of bytes that was hashed and sealed. Sealed
(encrypted) values stay sealed: the evidence can be checked without being able to read people's data.

Verify it with the verifier of your own copy of Isthmus:

    python -m isthmus.ledger.verify EXPORT.zip --witness checkpoints.jsonl --public-key KEY

or with the copy inside, which needs Python 3.11 and nothing else:

    python EXPORT.zip --witness checkpoints.jsonl --public-key KEY

Take the public key and the witness from where you trust them, not from this file. To write a verifier of
your own: link[i] = SHA-256(link[i-1] || body[i]) from 32 zero bytes, per organisation in the order of
`ledger_seal` (first, count, seqs as 8-byte and links as 32-byte big-endian runs); a checkpoint is an Ed25519
signature over `body`, whose `root` is the RFC 6962 tree over the seals that it covers.
"""

_RUN_ME = """import sys
from isthmus.ledger.verify.__main__ import main
arguments = sys.argv[1:]
paths = [each for each in arguments if not each.startswith("-")]
sys.exit(main(arguments if paths and paths[0].endswith((".zip", ".sqlite")) else [sys.argv[0], *arguments]))
"""


def write(target: Path) -> Path:
    """Write the export of the whole book, from one snapshot, and return its path."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("README.md", _README)
        archive.writestr("checkpoint.pub", audit.public_key_hex() + "\n")
        _add_verifier(archive)
        with dump.snapshot():
            for table, columns, rows in dump.tables():
                _add_table(archive, table, columns, rows)
    return target


def _add_table(
    archive: zipfile.ZipFile, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    with archive.open(f"tables/{table}.jsonl", "w", force_zip64=True) as lines:
        lines.write(json.dumps(list(columns)).encode() + b"\n")
        for row in rows:
            plain = [
                {"b64": base64.b64encode(each).decode()} if isinstance(each, bytes) else each for each in row
            ]
            lines.write(json.dumps(plain, ensure_ascii=False).encode() + b"\n")


def _add_verifier(archive: zipfile.ZipFile) -> None:
    """Add the verifier's source, so that the export runs: `python EXPORT.zip`."""
    archive.writestr("__main__.py", _RUN_ME)
    for package in ("isthmus", "isthmus/ledger"):
        archive.writestr(f"{package}/__init__.py", "")
    for path in sorted(Path(isthmus.ledger.verify.__file__).parent.glob("*.py")):
        archive.write(path, f"isthmus/ledger/verify/{path.name}")
