"""Somebody who works in a Roundup tracker: the other side of tests and of the demonstration."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

CALL_SECONDS_MAX = 20.0
LOOKS_MAX = 20
STALE = 412


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody working in the tracker through its REST interface, each write on the latest ETag."""

    url: str
    name: str
    password: str = field(repr=False)

    def get(self, path: str) -> Any:
        """Return the `data` of e.g. `issue/1?@verbose=2`."""
        return self._call("GET", path)["data"]

    def create(self, kind: str, **values: object) -> str:
        """Create an item, e.g. `create("issue", title="…")`; return its id."""
        return str(self._call("POST", kind, values)["data"]["id"])

    def edit(self, issue: str, **values: object) -> None:
        """Change fields of an issue, e.g. `edit("1", status="resolved")`."""
        self._change(issue, values)

    def comment(self, issue: str, text: str) -> str:
        """Add a message to an issue as this person; return the message's id."""
        message = self.create("msg", content=text, author=self.name, date=".")
        self._change(issue, {"@op": "add", "messages": [message]})
        return message

    def _change(self, issue: str, values: dict[str, object]) -> None:
        """Write on the latest ETag; if somebody was faster, look again, as who reloads the page."""
        for left in reversed(range(LOOKS_MAX)):
            etag = self.get(f"issue/{issue}")["@etag"]
            try:
                self._call("PATCH", f"issue/{issue}", values, {"If-Match": etag})
            except urllib.error.HTTPError as refusal:
                if refusal.code != STALE or not left:
                    raise
                refusal.close()
            else:
                return

    def _call(
        self, method: str, path: str, values: object = None, headers: dict[str, str] | None = None
    ) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the tracker's own http URL
            f"{self.url}/rest/data/{path}",
            data=None if values is None else json.dumps(values).encode(),
            method=method,
            headers={
                "Authorization": "Basic "
                + base64.b64encode(f"{self.name}:{self.password}".encode()).decode(),
                "Content-Type": "application/json",
                "X-Requested-With": "rest",
                "Origin": self.url,
                "Referer": self.url + "/",
                **(headers or {}),
            },
        )
        with urllib.request.urlopen(request, timeout=CALL_SECONDS_MAX) as response:  # noqa: S310
            return json.loads(response.read())
