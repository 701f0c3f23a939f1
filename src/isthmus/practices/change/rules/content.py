"""What an approval of a change is about: its content, as a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from isthmus.kernel.chain import encode

CONTENT_FIELDS = (
    "title", "description", "type", "model", "risk", "window_start", "window_end", "cis", "environment",
    "artefact_hash", "implementation_plan", "backout_plan", "incident",
)  # fmt: skip
"""Editing any of these after an approval voids it. Group, priority and comments are not content."""


def content_hash(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) over the canonical encoding of the content fields; absent ones count as such."""
    plain = {name: values.get(name) or None for name in CONTENT_FIELDS}
    plain["cis"] = sorted(values.get("cis") or [])
    return hashlib.sha256(encode(plain)).hexdigest()
