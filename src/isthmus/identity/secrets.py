"""Resolving references to secrets, at the edge and at the last moment.

A value is never logged, stored or put into an error; an unresolvable reference names itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.secretref import SecretRef

BYTES_MAX: Final = 65_536


def resolve(ref: SecretRef) -> str:
    """Return the secret that `ref` points to; `NeedsOperator` if there is none to be had."""
    match ref.scheme:
        case "env":
            found = os.environ.get(ref.name, "")
            remedy = f"Set the environment variable {ref.name} for the hub's processes."
        case "file":
            found = _from_file(Path(ref.name))
            remedy = f"Put the secret into {ref.name}, readable by the hub's user only."
        case _:
            raise NeedsOperator(
                f"No vault is connected, so {ref.secret} cannot be read.", remedy="Use env:NAME or file:PATH."
            )
    if not found:
        raise NeedsOperator(f"The secret {ref.secret} is missing or empty.", remedy=remedy)
    return found


def _from_file(path: Path) -> str:
    """Return a file's text without its last line break; "" if it cannot be read."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(BYTES_MAX + 1)
    except OSError:
        return ""
    if len(raw) > BYTES_MAX:
        raise NeedsOperator(
            f"The secret file {path} is larger than {BYTES_MAX} bytes.", remedy="Name another file."
        )
    return raw.decode("utf-8", "strict").rstrip("\r\n")
