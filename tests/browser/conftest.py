"""A real hub with partners (once per run), and a real Chromium that walks its pages as somebody signed in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import console_hub
from console_hub import sign_in

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[console_hub.Hub]:
    found = console_hub.start(tmp_path_factory.mktemp("hub") / "data")
    yield found
    found.stop()


def arriving(click: Callable[..., None], page_of: Callable[[Any], Any]) -> Callable[..., None]:
    """Return a click that ends when the page that it leads to is there. Playwright's own ends when that page begins to
    come in, and who then counts its rows counts those of half a page."""

    @wraps(click)
    def clicked(where: Any, *given: Any, **more: Any) -> None:
        click(where, *given, **more)
        page_of(where).wait_for_load_state("domcontentloaded")

    return clicked


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: the pages are not walked on this machine")
    from playwright.sync_api import Locator, Page, sync_playwright

    # Playwright keeps a loop in this thread; the tests' own Django is used beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as driver, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "click", arriving(Page.click, lambda page: page))
        patch.setattr(Locator, "click", arriving(Locator.click, lambda locator: locator.page))
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Browser:
    """Opens pages as somebody who has signed in through the form; each person signs in once per run."""

    chromium: Any
    hub: console_hub.Hub
    states: dict[str, Any] = field(default_factory=dict)
    contexts: list[Any] = field(default_factory=list)

    def open(
        self, who: str, path: str = "/", *, phone: bool = False, dark: bool = False, bypass_csp: bool = False
    ) -> Any:
        """Return a page at `path`, signed in as `who`."""
        if who not in self.states:
            self.states[who] = self._sign_in(who)
        context = self.chromium.new_context(
            storage_state=self.states[who], viewport=PHONE if phone else DESK, has_touch=phone, base_url=self.hub.url,
            color_scheme="dark" if dark else "light", bypass_csp=bypass_csp,
        )  # fmt: skip
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(path)
        return page

    def _sign_in(self, who: str) -> Any:
        context = self.chromium.new_context(base_url=self.hub.url)
        page = context.new_page()
        sign_in(page, who)
        state = context.storage_state()
        context.close()
        return state

    def close(self) -> None:
        for each in self.contexts:
            each.close()
        self.contexts.clear()


@pytest.fixture(scope="session")
def _browser(chromium: Any, hub: console_hub.Hub) -> Browser:
    return Browser(chromium, hub)


@pytest.fixture
def browser(_browser: Browser) -> Iterator[Browser]:
    yield _browser
    _browser.close()
    # One walk's faults and pauses are not the next one's.
    _browser.hub.mend()
