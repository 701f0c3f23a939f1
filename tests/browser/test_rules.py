"""The editor of correlation rules, walked at a served hub: written by keyboard, tried on the past, read on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

SEVERE = {"serious", "critical"}
TRIED_MS = 120_000


def severe(page):
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    return [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in SEVERE
    ]


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_a_rule_is_written_mended_and_tried(hub, browser, phone, dark):
    page = browser.open("ada", "/rules/edit", phone=phone, dark=dark, bypass_csp=True)
    page.get_by_label("Name").fill("per service")
    page.get_by_label("And when (CEL)").fill("severity ==")
    page.get_by_label("And when (CEL)").press("Enter")
    page.wait_for_selector("#r-when-wrong")
    assert not severe(page)

    page.get_by_label("And when (CEL)").fill("severity != 'informational'")
    page.get_by_label("One incident per value").fill("service")
    page.get_by_label("One incident per value").press("Enter")
    page.wait_for_url("**/rules/tests/*")
    # The page looks again by itself; the link does the same where no script runs.
    page.get_by_role("heading", name="What became of the alerts").wait_for(timeout=TRIED_MS)
    assert not severe(page)
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    page.get_by_role("button", name="Plan the blueprint with this rule").click()
    page.wait_for_url("**/configuration/plan")
    assert "/monitoring" in page.inner_text("main")
