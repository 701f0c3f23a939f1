"""References to secrets: configuration says where a secret lives, never what it is.

In a blueprint: `password: {secret: "env:SNOW_PASSWORD"}` or `{secret: "file:/run/secrets/snow"}`. Reading
the value is I/O and happens at the edge (`identity.secrets.resolve`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from isthmus.kernel.errors import Problem, Rejected

Scheme = Literal["env", "file", "vault"]
SCHEMES: tuple[Scheme, ...] = ("env", "file", "vault")
_REMEDY = "Write {secret: env:NAME}, {secret: file:PATH} or {secret: vault:REF}."


class SecretRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret lives: `env:NAME`, `file:PATH` or `vault:REF`."""

    secret: str

    def __post_init__(self) -> None:
        scheme, colon, name = self.secret.partition(":")
        if scheme not in SCHEMES or not colon or not name.strip():
            # The text is not repeated: whoever writes a password here by mistake must not find it in a log.
            raise ValueError(f"this is no reference to a secret. {_REMEDY}")

    @property
    def scheme(self) -> Scheme:
        """Return the kind of place: env, file or vault."""
        found = self.secret.partition(":")[0]
        return next(each for each in SCHEMES if each == found)

    @property
    def name(self) -> str:
        """Return the variable's name, the file's path or the vault's reference."""
        return self.secret.partition(":")[2]


def parse(text: str) -> SecretRef:
    """Return the reference written as `env:NAME`; `Rejected` with the remedy if it is none."""
    try:
        return SecretRef(text)
    except ValueError as cause:
        raise Rejected(
            "This is no reference to a secret.",
            remedy=_REMEDY,
            problems=(Problem(path="/secret", message="not a reference", remedy=_REMEDY),),
        ) from cause
