"""Verify the open store with the independent verifier."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection

from isthmus.ledger import checkpoint, dump
from isthmus.ledger.verify import checkpoints
from isthmus.ledger.verify.findings import Report
from isthmus.ledger.verify.run import verify_path, verify_rows


def verify_store(*, chain_only: bool = False) -> Report:
    """Verify the book in one snapshot, against the witness and the installation's own key."""
    witness: Path | None = settings.ISTHMUS.witness_path
    if witness is not None and not witness.exists():
        witness = None
    public = bytes.fromhex(public_key_hex())
    if connection.vendor == "sqlite":
        return verify_path(
            Path(str(connection.settings_dict["NAME"])), witness=witness, public=public, chain_only=chain_only
        )
    known = checkpoints.witnessed(witness)
    with dump.snapshot():
        return verify_rows(dump.tables(), known=known, public=public)


def public_key_hex() -> str:
    """Return the installation's public checkpoint key."""
    checkpoint.signing_key()
    path: Path = settings.ISTHMUS.keys_path.with_name("checkpoint.pub")
    return path.read_text().strip()
