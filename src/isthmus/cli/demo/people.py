"""The people of the demonstration: they sign in at the console's own form and use the API with their session."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30
SESSION_COOKIE, CSRF_COOKIE = "isthmus_session", "isthmus_csrf"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the hub answered."""

    status: int
    body: Any


class Person:
    """Somebody signed in. Every call carries the session's cookie and CSRF token, as a browser's would."""

    def __init__(self, hub_url: str, username: str, password: str) -> None:
        self.username = username
        self._url = hub_url
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        self._sign_in(password)

    def _sign_in(self, password: str) -> None:
        page = f"{self._url}/accounts/login/"
        self._opener.open(page, timeout=TIMEOUT_SECONDS).close()
        form = urllib.parse.urlencode(
            {"login": self.username, "password": password, "csrfmiddlewaretoken": self._csrf()}
        ).encode()
        request = urllib.request.Request(page, data=form, headers={"Referer": page})  # noqa: S310 - our own loopback
        self._opener.open(request, timeout=TIMEOUT_SECONDS).close()
        if not any(cookie.name == SESSION_COOKIE for cookie in self._cookies):
            raise PermissionError(f"{self.username} could not sign in")

    def _csrf(self) -> str:
        return next((str(cookie.value) for cookie in self._cookies if cookie.name == CSRF_COOKIE), "")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Reply:
        """Call `/api/v1<path>`; a refusal is an answer here, not an exception."""
        target = f"{self._url}/api/v1{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(  # noqa: S310 - our own loopback
            target,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json", "X-CSRFToken": self._csrf(), "Referer": self._url}
            | dict(headers or {}),
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Reply(status=answer.status, body=json.loads(answer.read() or b"null"))
        except urllib.error.HTTPError as refusal:
            raw = refusal.read()
            try:
                return Reply(status=refusal.code, body=json.loads(raw))
            except json.JSONDecodeError:
                return Reply(status=refusal.code, body=raw.decode(errors="replace")[:500])

    def get(self, path: str, **query: str) -> Any:
        """Return the body of a GET that must succeed."""
        return self._must("GET", path, None, **query)

    def post(self, path: str, body: Any = None) -> Any:
        """Return the body of a POST that must succeed."""
        return self._must("POST", path, {} if body is None else body)

    def _must(self, method: str, path: str, body: Any, **query: str) -> Any:
        found = self.call(method, path, body, headers=None, **query)
        if not 200 <= found.status < 300:
            raise RuntimeError(f"{method} {path} answered {found.status}: {found.body}")
        return found.body

    def all(self, path: str, **query: str) -> list[Any]:
        """Return every item of a cursor-paged list."""
        items: list[Any] = []
        cursor = ""
        while True:
            page = self.get(path, **query, limit="100", **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page.get("next") or ""
            if not cursor:
                return items
