"""The command line of the verifier: `python -m isthmus.ledger.verify PATH`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from isthmus.ledger.verify.run import verify_path
from isthmus.ledger.verify.sources import NotABook


def _public(text: str) -> bytes:
    path = Path(text)
    return bytes.fromhex(path.read_text().strip() if path.exists() else text)


def main(arguments: list[str] | None = None) -> int:
    """Verify what the arguments name; 0 if untouched, 1 with findings, 2 if it is not a book."""
    parser = argparse.ArgumentParser(
        prog="isthmus.ledger.verify", description="Verify a book of record or an export of one."
    )
    parser.add_argument("path", type=Path, help="book.sqlite or export.zip")
    parser.add_argument("--witness", type=Path, help="the file of checkpoints outside the store")
    parser.add_argument("--public-key", type=_public, help="the checkpoint key, as hex or a file of it")
    parser.add_argument(
        "--chain-only", action="store_true", help="walk the chains and checkpoints, do not replay"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    chosen = parser.parse_args(arguments)
    try:
        report = verify_path(
            chosen.path, witness=chosen.witness, public=chosen.public_key, chain_only=chosen.chain_only
        )
    except NotABook as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    if chosen.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
        return 0 if report.ok else 1
    for note in report.notes:
        sys.stdout.write(f"note: {note}\n")
    for finding in report.findings:
        sys.stdout.write(f"{finding}\n")
    if report.unnamed:
        sys.stdout.write(f"... and {report.unnamed} more\n")
    looked = ", ".join(f"{number} {what}" for what, number in sorted(report.counts.items()))
    sys.stdout.write(f"{'Untouched' if report.ok else 'TOUCHED'}: {looked}\n")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
