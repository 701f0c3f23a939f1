"""How entries become bytes, and how bytes become evidence.

Canonical encoding: JSON in UTF-8, object keys sorted, no blanks, no floats. Equal values have equal bytes,
so a hash speaks about the value and not about who wrote it. The chain is
`link[i] = SHA-256(link[i-1] || body[i])`, starting from 32 zero bytes. Trees follow RFC 6962 section 2.1.
Checkpoints are signed with Ed25519 (RFC 8032); the key arrives as data, nothing here reads a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from isthmus.kernel.errors import Bug
from isthmus.kernel.record import Json

GENESIS = bytes(32)
"""The link before the first entry of a chain."""

INTEGER_MAX = 2**63 - 1
DEPTH_MAX = 32

_encoder = msgspec.json.Encoder(order="deterministic")
_SCALARS = frozenset({str, bool, type(None)})


class NotPlain(Bug):
    """A value that has no canonical bytes (a float, a date, an object) was about to enter the book."""


def plain(value: Any, depth: int = 0) -> Json:
    """Return `value` built of str, int, bool, None, list and dict[str, …] only; raise `NotPlain` otherwise.

    Subclasses of str and int (enumerations) become their base type; tuples become lists, because they
    have no other form in JSON. Floats are refused: two ways of writing one number would be two hashes.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value  # type: ignore[no-any-return]
    if depth > DEPTH_MAX:
        raise NotPlain(f"A value is nested deeper than {DEPTH_MAX} levels.")
    # Most of what enters the book is text in exact lists and dicts: a call for each text would be the dearest part.
    if kind is dict:
        return {
            key if type(key) is str else _key(key): each if type(each) in _SCALARS else plain(each, depth + 1)
            for key, each in value.items()
        }
    if kind is list or kind is tuple:
        return [each if type(each) in _SCALARS else plain(each, depth + 1) for each in value]
    return _plain_form(value, depth)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise NotPlain(f"An object key is a {type(key).__name__}, not text.")
    return str.__str__(key)


def _plain_form(value: Any, depth: int) -> Json:
    """Return the plain form of a number, and of what is derived from text, numbers, lists and objects."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if -INTEGER_MAX <= value <= INTEGER_MAX:
            return int(value)
        raise NotPlain("An integer does not fit into 64 bits.", remedy="Store it as text.")
    if isinstance(value, list | tuple):
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, Mapping):
        return {_key(key): plain(each, depth + 1) for key, each in value.items()}
    raise NotPlain(
        f"A {type(value).__name__} cannot stand in an entry.",
        remedy="Use text, whole numbers, lists, objects.",
    )


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a value; raise `NotPlain` where there are none."""
    return encode_plain(plain(value))


def encode_plain(value: Any) -> bytes:
    """Return the canonical bytes of a value that is known to be plain (the hot path of the book)."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError) as cause:
        raise NotPlain(
            "A value has no canonical bytes.", remedy="Remove lone surrogates and huge numbers."
        ) from cause


def decode(body: bytes | str) -> Any:
    """Return the value of canonical bytes."""
    return msgspec.json.decode(body)


def extend(link: bytes, bodies: Iterable[bytes]) -> list[bytes]:
    """Return the links that follow `link`, one per body."""
    sha256 = hashlib.sha256
    found = []
    for body in bodies:
        link = sha256(link + body).digest()
        found.append(link)
    return found


def leaf_hash(leaf: bytes) -> bytes:
    """Return the RFC 6962 hash of a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 tree hash over `leaves` (SHA-256 of nothing for an empty tree)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    return _subtree([leaf_hash(each) for each in leaves])


def _subtree(hashes: Sequence[bytes]) -> bytes:
    """Return the tree hash over leaf hashes: pairs level by level, an odd last node is carried up."""
    level = list(hashes)
    while len(level) > 1:
        above = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path (RFC 6962 section 2.1.1) of the leaf at `index`, from the leaf upwards."""
    if not 0 <= index < len(leaves):
        raise Bug(f"There is no leaf {index} in a tree of {len(leaves)}.")
    level = [leaf_hash(each) for each in leaves]
    path = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        above = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            above.append(level[-1])
        level, index = above, index // 2
    return path


def proves_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """True if `path` shows that `leaf` is number `index` of the tree of `size` leaves with this `root`."""
    if not 0 <= index < size:
        return False
    node, last, rest = leaf_hash(leaf), size - 1, list(path)
    while last:
        if index % 2:
            if not rest:
                return False
            node = hashlib.sha256(b"\x01" + rest.pop(0) + node).digest()
        elif index < last:
            if not rest:
                return False
            node = hashlib.sha256(b"\x01" + node + rest.pop(0)).digest()
        index, last = index // 2, last // 2
    return not rest and node == root


def new_signing_key() -> bytes:
    """Return a new Ed25519 private key: its 32 raw bytes."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def public_key(signing_key: bytes) -> bytes:
    """Return the 32 raw bytes of the public half."""
    private = Ed25519PrivateKey.from_private_bytes(signing_key)
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(signing_key: bytes, message: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of `message`."""
    return Ed25519PrivateKey.from_private_bytes(signing_key).sign(message)


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """True if `signature` over `message` was made with the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
