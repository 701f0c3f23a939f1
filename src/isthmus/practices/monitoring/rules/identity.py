"""When are two events the same alert? When the significant fields are equal after the noise is taken out.

Noise is what changes from one occurrence to the next without meaning anything: times, memory addresses,
UUIDs, and numbers if a source asks for that. Worked example: `worker 0x7f3a crashed at 12:03:55` and
`worker 0x91bc crashed at 12:04:10` are one alert; `disk 1 full` and `disk 2 full` are two.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from isthmus.kernel.errors import Rejected
from isthmus.kernel.record import Json

ALGORITHM: Final = 1
"""Part of every identity: a better normaliser is a new number and never re-interprets old alerts."""

NOISE: Final[Mapping[str, re.Pattern[str]]] = {
    "timestamps": re.compile(
        r"\b\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?:\s?(?:Z|UTC|[+-]\d{2}:?\d{2}))?\b"
        r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? \d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w* \d{4}\b"
        r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} (?=\d{2}:\d{2})"
        r"|\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b"
        r"|\b1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?\b"
    ),
    "addresses": re.compile(r"\b0[xX][0-9a-fA-F]+\b"),
    "uuids": re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"),
    # Only numbers that stand alone (with or without a unit): the digits of web-01 or 192.0.2.1 are names.
    "numbers": re.compile(
        r"(?<![\w.:-])\d+(?:[.,]\d+)?(?=(?:[munµ]?s|m|h|d|%|[kKMGT]i?[bB]?)?(?![\w-]))(?!\.\d)"
    ),
}
"""What may be taken out, in the order in which it is: a time is one before its digits are numbers."""

DEFAULT_NOISE: Final = ("timestamps", "addresses", "uuids")
_DIGIT = re.compile(r"\d")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class IdentitySpec:
    """What makes an alert of one source. `fields` name `labels.*` (all), `labels.<name>`, `annotations.<name>`,
    `summary`, `severity`, `external_key`; `ignore` names labels that `labels.*` leaves out. `scope` separates
    sources: alerts of two connections are the same only if their specs share a scope. `version` is the
    author's: raise it when the meaning of the fields changes."""

    fields: tuple[str, ...] = ("labels.*",)
    ignore: tuple[str, ...] = ()
    noise: tuple[str, ...] = DEFAULT_NOISE
    scope: str = ""
    version: int = 1


@lru_cache(maxsize=65_536)
def normalise(text: str, noise: tuple[str, ...]) -> str:
    """Return `text` without the noise named; white space is one blank. Repeating it changes nothing."""
    if _DIGIT.search(text):
        for name, pattern in NOISE.items():
            if name in noise:
                text = pattern.sub(f"<{name[:-1]}>", text)
    elif "addresses" in noise and "0x" in text:
        text = NOISE["addresses"].sub("<addresse>", text)
    return _SPACE.sub(" ", text).strip()


def parts(spec: IdentitySpec, values: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Return the significant (field, normalised text) pairs of an alert, sorted."""
    found: list[tuple[str, str]] = []
    labels = values.get("labels")
    labels = labels if isinstance(labels, dict) else {}
    for name in spec.fields:
        if name == "labels.*":
            found += [
                (f"labels.{key}", _text(labels[key], spec.noise)) for key in labels if key not in spec.ignore
            ]
        elif name.startswith("labels."):
            found.append((name, _text(labels.get(name[7:]), spec.noise)))
        elif name.startswith("annotations."):
            annotations = values.get("annotations")
            held = annotations.get(name[12:]) if isinstance(annotations, dict) else None
            found.append((name, _text(held, spec.noise)))
        else:
            found.append((name, _text(values.get(name), spec.noise)))
    found.sort()
    if not any(text for _, text in found):
        # Nothing significant was sent: the next best thing that tells alerts apart, never "all are one".
        found = [(name, _text(values.get(name), spec.noise)) for name in ("external_key", "summary")]
    if not any(text for _, text in found):
        raise Rejected(
            "The alert has nothing that identifies it.",
            remedy=f"Send one of {', '.join(spec.fields)}, or declare other identity fields for this source.",
        )
    return found


def identity(spec: IdentitySpec, values: Mapping[str, Json]) -> str:
    """Return the identity: 32 hex digits; equal if and only if the significant parts are equal."""
    # Lengths keep "a" + "bc" apart from "ab" + "c".
    told = "".join([f"\0{len(name)}:{name}{len(text)}:{text}" for name, text in parts(spec, values)])
    data = f"{ALGORITHM}\0{spec.version}\0{spec.scope}{told}".encode()
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _text(value: Json, noise: tuple[str, ...]) -> str:
    if type(value) is str:
        return normalise(value, noise)
    if value is None:
        return ""
    return normalise(value if isinstance(value, str) else str(value), noise)
