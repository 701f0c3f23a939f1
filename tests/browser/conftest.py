"""A live server over a test's book, and a real Chromium that walks it."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

# Playwright's loop runs in the test's own thread, beside which the test writes records as usual.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

# The desk with its people and records is the one of the page tests; test folders are no packages.
_spec = importlib.util.spec_from_file_location(
    "isthmus_web_desk", Path(__file__).parent.parent / "web" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_web = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _web
_spec.loader.exec_module(_web)
desk = _web.desk

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@dataclass
class Site:
    """Where the live server answers; `desk` holds the records and people that it serves."""

    url: str
    desk: Any

    def open(self, browser: Any, role: str, *, phone: bool = False, dark: bool = False) -> Any:
        """Return a page of a browser that is signed in as `role`."""
        from django.conf import settings

        client = self.desk.client(role)
        size = {"width": 390, "height": 844} if phone else {"width": 1360, "height": 900}
        context = browser.new_context(
            viewport=size, color_scheme="dark" if dark else "light", has_touch=phone
        )
        context.add_cookies(
            [
                {
                    "name": settings.SESSION_COOKIE_NAME,
                    "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
                    "url": self.url,
                }
            ]
        )
        page = context.new_page()
        page.set_default_timeout(10_000)
        return page


@pytest.fixture
def site(desk: Any) -> Iterator[Site]:
    from isthmus.web.wsgi import application

    server = make_server("127.0.0.1", 0, application, _Threads, _Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(url=f"http://localhost:{server.server_port}", desk=desk)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
