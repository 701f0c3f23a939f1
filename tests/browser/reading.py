"""What every walk asks of a page: done without an error, for everybody, within the width of the screen."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe

SEVERE = {"serious", "critical"}
THUMB = 44
"""CSS pixels that a thumb needs."""


def done(page):
    """The act was done: the page says so, and no error."""
    page.wait_for_selector(".flash-success, .flash-error")
    assert page.locator(".flash-error").count() == 0, page.locator(".flash-error").all_inner_texts()


def for_everybody(page):
    """No serious finding of axe, and no scrolling sideways. The page was opened past its policy (`bypass_csp`)."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in SEVERE
    ]
    assert not found
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1, f"{wide} px too wide"
