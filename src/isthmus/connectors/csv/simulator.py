"""A fake export server: two CSV files that grow and change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator

_COLUMNS = {
    "ci": ("external_key", "name", "ci_class", "aliases", "criticality", "users", "note"),
    "ci_relation": ("source_ci", "type", "target_ci"),
}


class CsvSimulator(Simulator):
    """Serves `/items.csv` and `/relations.csv`."""

    name = "CSV export simulator"
    drop_token = "simulated-drop-token"  # noqa: S105 - the fake sender's own token

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection that fetches both files."""
        return {
            "token": {"secret": "env:CSV_TOKEN"},
            "url_token": {"secret": "env:CSV_URL_TOKEN"},
            "items_url": f"{url}/items.csv",
            "relations_url": f"{url}/relations.csv",
            "columns": {"Klasse": "ci_class"},
        }

    def secrets(self) -> dict[str, str]:
        """Return both tokens."""
        return {"token": self.drop_token, "url_token": self.token}

    def routes(self) -> list[web.RouteDef]:
        """Return the two files."""
        return [web.get("/items.csv", self._items), web.get("/relations.csv", self._relations)]

    def seed(self, kind: str, count: int) -> list[str]:
        """Add rows."""
        shelf = self.shelf(kind)
        keys = []
        for _ in range(count):
            n = shelf.next_number()
            if kind == "ci":
                key = f"A-{n}"
                shelf.put(
                    key,
                    {"external_key": key, "name": f"host-{n}", "ci_class": "server", "aliases": f"h{n}|n{n}"},
                )
            else:
                key = f"host-{n} runs_on rack-{n}"
                shelf.put(key, {"source_ci": f"host-{n}", "type": "runs_on", "target_ci": f"rack-{n}"})
            keys.append(key)
        return keys

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change a row's note; a relation has nothing to change, so a new one follows."""
        row = self.shelf(kind).get(key)
        if kind == "ci" and row is not None:
            self.shelf(kind).put(key, {**row, "note": f"edited {dict(values)}", "users": "7"})
        else:
            self.seed(kind, 1)

    async def _items(self, request: web.Request) -> web.Response:
        del request
        return self._file("ci")

    async def _relations(self, request: web.Request) -> web.Response:
        del request
        return self._file("ci_relation")

    def _file(self, kind: str) -> web.Response:
        columns = _COLUMNS[kind]
        lines = [",".join(columns)]
        lines += [
            ",".join(_quoted(row.get(name, "")) for name in columns) for _, row in self.shelf(kind).all()
        ]
        return web.Response(text="\r\n".join(lines) + "\r\n", content_type="text/csv")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\n') else cell
