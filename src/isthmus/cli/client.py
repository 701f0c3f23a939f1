"""How commands reach the hub: always through the API.

With `ISTHMUS_URL` and `ISTHMUS_TOKEN` set, that hub is asked. Otherwise the hub that runs on the data
directory is asked, as the local operator. If none runs, the same API is called inside this process, so a
command means the same in all three cases.
"""

from __future__ import annotations

import getpass
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from isthmus.cli.output import Exit, fail

TIMEOUT_SECONDS = 60
BYTES_MAX = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the API said. `body` is decoded JSON, or bytes for downloads."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """One way to reach the API."""

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer: ...


def _decode(raw: bytes, content_type: str) -> Any:
    return json.loads(raw or b"null") if "json" in content_type else raw


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A hub at a URL."""

    url: str
    token: str

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        if not self.url.startswith(("http://", "https://")):
            fail(f"ISTHMUS_URL={self.url!r} is not an http(s) address.", code=Exit.USAGE)
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self.url.rstrip("/") + path,
            data=body,
            method=method,
            headers={**headers, "Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                return Answer(
                    status=answer.status,
                    body=_decode(answer.read(BYTES_MAX), answer.headers.get("Content-Type", "")),
                    headers=dict(answer.headers),
                )
        except urllib.error.HTTPError as refusal:
            raw = refusal.read(1_000_000)
            try:
                said = _decode(raw, refusal.headers.get("Content-Type", ""))
            except json.JSONDecodeError:
                said = raw
            return Answer(status=refusal.code, body=said)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as fault:
            fail(
                f"The hub at {self.url} cannot be reached: {getattr(fault, 'reason', fault)}.",
                remedy="Is it running, and is ISTHMUS_URL right?",
                code=Exit.UNREACHABLE,
            )


class InProcess:
    """No hub runs: the same API, called inside this process as the local operator."""

    def __init__(self) -> None:
        prepare_django()
        from django.test import Client

        self._client = Client()

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        from isthmus.identity import local

        token = local.issue(getpass.getuser())
        answer = self._client.generic(
            method,
            path,
            body or b"",
            content_type=headers.get("Content-Type", "application/json"),
            headers={**headers, "Authorization": f"Bearer {token}", "Host": "localhost"},
        )
        raw = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        return Answer(
            status=answer.status_code,
            body=_decode(raw, answer.headers.get("Content-Type", "")),
            headers=dict(answer.headers),
        )


def prepare_django() -> None:
    """Load Django once; commands that never touch the store do not pay for it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.django_settings")
    import django

    from isthmus import logs

    django.setup()
    logs.configure("WARNING")


def _endpoint(data_dir: Path) -> str:
    """Return the URL that a running hub wrote into its data directory, or nothing."""
    note = data_dir / "run" / "endpoint.json"
    try:
        said = json.loads(note.read_text())
        os.kill(int(said["pid"]), 0)
        return str(said["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class Hub:
    """The API, with refusals turned into exit codes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._transport = self._choose()

    @staticmethod
    def _choose() -> Transport:
        url, token = os.environ.get("ISTHMUS_URL", ""), os.environ.get("ISTHMUS_TOKEN", "")
        if url:
            return Remote(url=url, token=token)
        from isthmus.settings import load

        settings = load()
        if running := _endpoint(settings.data_dir):
            prepare_django()
            from isthmus.identity import local

            return Remote(url=running, token=local.issue(getpass.getuser()))
        return InProcess()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Return the decoded body of a 2xx answer; leave the program with the reason of any other."""
        return self.answer(method, path, body, query=query, headers=headers).body

    def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """As `call`, with status and headers. Whatever people wrote into `path` is quoted, slashes and what is
        quoted already left as they are."""
        target = "/api/v1" + urllib.parse.quote(path, safe="/%")
        wanted = {key: value for key, value in (query or {}).items() if value not in (None, "")}
        if wanted:
            target += "?" + urllib.parse.urlencode(wanted)
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        found = self._transport.send(
            method, target, None if body is None else json.dumps(body).encode(), sent
        )
        if 200 <= found.status < 300:
            return found
        self._refused(found)
        return found

    def _refused(self, found: Answer) -> None:
        said = found.body if isinstance(found.body, dict) else {}
        if self.as_json and said:
            from isthmus.cli.output import emit_json

            emit_json(said)
            raise SystemExit(int(Exit.FAILED))
        text = str(said.get("detail") or said.get("title") or f"The hub answered {found.status}.")
        lines = [
            f"{each.get('pointer', '')}: {each.get('message', '')} {each.get('remedy', '')}".strip()
            for each in said.get("errors", [])
        ]
        fail("\n".join([text, *lines]), remedy=str(said.get("remedy", "")))

    def pages(self, path: str, *, query: dict[str, Any] | None = None, limit: int = 100) -> list[Any]:
        """Return up to `limit` items of a cursor-paged list."""
        items: list[Any] = []
        cursor = ""
        while len(items) < limit:
            page = self.call(
                "GET", path, query={**(query or {}), "cursor": cursor, "limit": min(limit - len(items), 100)}
            )
            items += page.get("items", [])
            cursor = page.get("next") or ""
            if not cursor:
                break
        return items[:limit]
