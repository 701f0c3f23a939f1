"""The commented starter blueprint that `isthmus init` writes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

_FOLDER = "starter_files"


def files() -> dict[str, str]:
    """Return the starter's files by name."""
    folder = resources.files("isthmus.blueprint") / _FOLDER
    return {
        each.name: each.read_text()
        for each in sorted(folder.iterdir(), key=lambda e: e.name)
        if each.name.endswith((".yaml", ".md"))
    }


def write(target: Path) -> list[Path]:
    """Write the starter into `target` (made if missing); return the paths written."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in files().items():
        path = target / name
        path.write_text(text)
        written.append(path)
    return written
