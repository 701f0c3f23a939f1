"""Pictures of every screen, for eyes: `make screens` writes them to build/screens.

Each screen of the menu and the first record that it lists, at desktop and phone width, light and dark, in the
middle of the storm that the walks use.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.django_settings")
django.setup()

import console_hub  # noqa: E402

import conftest  # noqa: E402 - Django is set up above
from isthmus.web.console.menu import SCREENS  # noqa: E402

WHO = {"People": "root", "Tokens": "root", "Configuration": "root"}
CLIP_HEIGHT = 2400
"""Long lists are cut: what a person meets first is what counts."""
VIEWS = {
    "desk-light": (False, False),
    "desk-dark": (False, True),
    "phone-light": (True, False),
    "phone-dark": (True, True),
}


def main(target: Path) -> None:
    from playwright.sync_api import sync_playwright

    target.mkdir(parents=True, exist_ok=True)
    hub = console_hub.start(Path(tempfile.mkdtemp()) / "data")
    try:
        with sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=conftest.CHROMIUM, args=conftest.FLAGS)
            browser = conftest.Browser(chromium, hub)
            for screen in SCREENS:
                who = WHO.get(screen.name, "ada")
                paths = {screen.name.lower().replace(" ", "-"): screen.path}
                page = browser.open(who, screen.path)
                for link in page.locator("main a[href]").evaluate_all(
                    "all => all.map(a => a.getAttribute('href'))"
                ):
                    if link.startswith(screen.path + "/") and "?" not in link and screen.path != "/":
                        paths.setdefault(f"{screen.name.lower()}-one", link)
                for view, (phone, dark) in VIEWS.items():
                    for name, path in paths.items():
                        page = browser.open(who, path, phone=phone, dark=dark)
                        page.wait_for_timeout(300)
                        size = page.evaluate(
                            "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
                        )
                        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], CLIP_HEIGHT)}
                        page.screenshot(path=target / f"{name}.{view}.png", full_page=True, clip=clip)
                browser.close()
            chromium.close()
    finally:
        hub.stop()
    print(f"{len(list(target.glob('*.png')))} pictures in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/screens"))
