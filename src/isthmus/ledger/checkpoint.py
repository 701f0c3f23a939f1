"""Checkpoints: signed statements of where all chains stood, each naming the hash of the one before.

They form the installation's own chain. A checkpoint covers the seals since its predecessor by an RFC 6962
tree, and names the heads that moved. Copies go to the witness, a file outside the store.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.db import transaction

from isthmus.kernel.chain import decode, encode, merkle_root, new_signing_key, public_key, sign
from isthmus.kernel.errors import Conflict, NeedsOperator
from isthmus.kernel.instant import SECOND, Instant
from isthmus.ledger import turnstile, witness
from isthmus.ledger.models import Checkpoint, Head, Seal

FORMAT = 1
EVERY = 10 * SECOND
"""How long a running hub waits between two checkpoints, if something was sealed."""

SEALS_MAX = 20_000


def signing_key() -> bytes:
    """Return the installation's checkpoint key, made on first use beside the keyring."""
    path = settings.ISTHMUS.keys_path.with_name("checkpoint.key")
    if not path.exists():
        _write_once(path, new_signing_key(), 0o600)
        _write_once(path.with_suffix(".pub"), public_key(path.read_bytes()).hex().encode() + b"\n", 0o644)
    found: bytes = path.read_bytes()
    if len(found) != 32:
        raise NeedsOperator(
            "The checkpoint key is damaged.", remedy="Restore it from the backup of the keys."
        )
    return found


def _write_once(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def seal_leaf(seal: Seal) -> bytes:
    """Return the bytes that stand for a seal in the tree of a checkpoint."""
    return encode(
        {
            "count": seal.count,
            "epoch": seal.epoch,
            "first": seal.first,
            "links": hashlib.sha256(bytes(seal.links)).hexdigest(),
            "organisation": seal.organisation,
            "sealed_at": seal.sealed_at,
            "seqs": hashlib.sha256(bytes(seal.seqs)).hexdigest(),
        }
    )


def make(now: Instant, *, key: bytes | None = None) -> Checkpoint | None:
    """Sign the seals since the last checkpoint; None if there are none. The witness has it before this returns."""
    secret = signing_key() if key is None else key
    last = Checkpoint.objects.order_by("-number").first()
    after = decode(bytes(last.body))["covers"][1] if last else 0
    seals = list(Seal.objects.filter(id__gt=after).order_by("id")[:SEALS_MAX])
    if not seals:
        witness.catch_up()
        return None
    moved = {each.organisation: each for each in seals}
    body = encode(
        {
            "at": now,
            "covers": [seals[0].id, seals[-1].id],
            "format": FORMAT,
            "heads": {
                name: [each.first + each.count - 1, bytes(each.links)[-32:].hex()]
                for name, each in moved.items()
            },
            "key": public_key(secret).hex(),
            "number": last.number + 1 if last else 1,
            "previous": hashlib.sha256(bytes(last.body)).hexdigest() if last else "",
            "root": merkle_root([seal_leaf(each) for each in seals]).hex(),
            "seals": len(seals),
        }
    )
    made = Checkpoint(
        number=last.number + 1 if last else 1,
        at=now,
        body=body,
        signature=sign(secret, body),
        key=public_key(secret),
    )
    with turnstile.entered(), transaction.atomic():
        _, first = Checkpoint.objects.get_or_create(
            number=made.number,
            defaults={"at": now, "body": body, "signature": made.signature, "key": made.key},
        )
        if not first:
            raise Conflict("Another process made this checkpoint.", remedy="Nothing is lost; go on.")
    witness.catch_up()
    return made


def due(now: Instant) -> bool:
    """True if the last checkpoint is older than `EVERY` and heads have moved since."""
    last = Checkpoint.objects.order_by("-number").values_list("at", flat=True).first()
    return (last is None or now - last >= EVERY) and Head.objects.exists()
