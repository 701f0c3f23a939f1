"""The mark by which what an effect made at a partner is found again: the short form of the effect's key, at the end of
a text that the partner keeps. People never see it: who reads such a text takes it off. Pure.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_TAG = re.compile(r" ?\[isthmus:([0-9a-f]{16})\]$")


def mark_of(idempotency_key: str) -> str:
    """Return the short form of an effect's key."""
    return blake2b(idempotency_key.encode(), digest_size=8).hexdigest()


def tag(idempotency_key: str) -> str:
    """Return the mark as it stands in a text."""
    return f"[isthmus:{mark_of(idempotency_key)}]"


def marked(text: str, idempotency_key: str) -> str:
    """Return a text that ends with the mark."""
    return f"{text} {tag(idempotency_key)}" if text else tag(idempotency_key)


def found(text: str) -> str:
    """Return the mark at the end of a text, or ""."""
    match = _TAG.search(text)
    return match.group(1) if match else ""


def without(text: str) -> str:
    """Return a text as people wrote it."""
    return _TAG.sub("", text)
