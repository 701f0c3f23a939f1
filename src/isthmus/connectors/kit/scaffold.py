"""Writes a webhook-only connector: one folder, in the inventory at once, with its conformance suite green.

`python -m isthmus.connectors.kit.scaffold NAME [--into DIRECTORY]`, or `make new-connector NAME=…`.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from isthmus.connectors.kit import registry
from isthmus.kernel.errors import Rejected

_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")
_FILES = {
    "manifest.toml": "manifest.toml.tmpl",
    "config.py": "config.py.tmpl",
    "webhook.py": "webhook.py.tmpl",
    "connector.py": "connector.py.tmpl",
    "simulator.py": "simulator.py.tmpl",
    "doc.md": "doc.md.tmpl",
    "fixtures/SOURCES.md": "SOURCES.md.tmpl",
    "fixtures/refused/expected.toml": "refused.toml.tmpl",
    "tests/test_contract.py": "test_contract.py.tmpl",
}
_DOWN: dict[str, Any] = {
    "id": "c-17",
    "host": "web-01.example.test",
    "status": "down",
    "severity": "high",
    "message": "Zürich: no answer for 5 minutes",
    "since": "2026-11-20T15:02:00Z",
}
_STRANGE = {**_DOWN, "severity": "spicy"}
_FIXTURES: dict[str, Any] = {
    "accepted/host_is_down.json": _DOWN,
    "accepted/severity_unheard_of.json": _STRANGE,
    "refused/host_missing.json": {name: value for name, value in _DOWN.items() if name != "host"},
    "refused/status_unheard_of.json": {**_DOWN, "status": "sideways"},
    "refused/since_without_zone.json": {**_DOWN, "since": "2026-11-20T15:02:00"},
}
_DOWN_OBSERVED: dict[str, Any] = {
    "external_key": "c-17",
    "labels": {"host": "web-01.example.test"},
    "severity": "critical",
    "starts_at": 1795186920000000,
    "state": "firing",
    "summary": "Zürich: no answer for 5 minutes",
}


def write(name: str, into: Path = registry.HOME) -> Path:
    """Write the folder of a new connector and return it; `Rejected` if the name is taken or not usable."""
    if not _NAME.fullmatch(name):
        raise Rejected(
            f"{name!r} is no usable name.", remedy="Use 2 to 32 lower-case letters, digits and underscores."
        )
    home = into / name
    if home.exists():
        raise Rejected(
            f"There is a folder {name} already.", remedy="Choose another name, or improve that connector."
        )
    known = registry.installed()
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.85):
        found = known[close[0]].manifest
        raise Rejected(
            f"{found.name} is there already as {found.id!r}.", remedy="Improve it instead of a second one."
        )
    words = {
        "name": name,
        "title": name.replace("_", " ").title(),
        "class_name": "".join(part.title() for part in name.split("_")),
        "env_name": name.upper(),
    }
    templates = resources.files("isthmus.connectors.kit") / "templates"
    for target, template in _FILES.items():
        text = Template((templates / template).read_text(encoding="utf-8")).substitute(words)
        _put(home / target, text)
    for target, body in _FIXTURES.items():
        _put(home / "fixtures" / target, json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    _put(home / "fixtures/refused/not_json.json", "{broken\n")
    _put_snapshot(home, "host_is_down", _DOWN_OBSERVED, {})
    strange = {field: value for field, value in _DOWN_OBSERVED.items() if field != "severity"}
    _put_snapshot(home, "severity_unheard_of", strange, {"severity": "spicy"})
    for package in ("", "tests"):
        _put(home / package / "__init__.py", "")
    registry.installed.cache_clear()
    return home


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _put_snapshot(home: Path, fixture: str, values: dict[str, Any], unknown: dict[str, Any]) -> None:
    observation = {
        "kind": "alert",
        "external": {"connection": "under-test", "kind": "alert", "key": "c-17", "label": "", "url": ""},
        "values": values,
        "event_id": "c-17:1795186920000000:down",
        "version": "",
        "coarse": False,
        "occurred_at": 1795186920000000,
        "source_zone": "",
        "partner_actor": "",
        "comments": None,
        "correlation": "",
        "deleted": False,
        "evidence": {},
        "unknown": unknown,
    }
    text = json.dumps([observation], indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _put(home / "fixtures" / "accepted" / f"{fixture}.observations.json", text)


def main() -> None:
    """Write the folder and say what to do next."""
    parser = argparse.ArgumentParser(
        prog="python -m isthmus.connectors.kit.scaffold", description=main.__doc__
    )
    parser.add_argument("name", help="the connector's id, e.g. acme_monitor")
    parser.add_argument("--into", type=Path, default=registry.HOME, help="directory of the connectors")
    arguments = parser.parse_args()
    try:
        home = write(arguments.name, arguments.into)
    except Rejected as refused:
        sys.exit(str(refused))
    print(  # noqa: T201 - this is a program
        f"Wrote {home}\n\n"
        f"  1. python -m pytest {home}            the contract is green already\n"
        f"  2. replace fixtures/accepted by bodies recorded from the product\n"
        f"  3. adapt webhook.py; ISTHMUS_SNAPSHOTS=write writes the expected observations anew\n"
        f"  4. grade yourself in manifest.toml, explain the set-up in doc.md"
    )


if __name__ == "__main__":
    main()
