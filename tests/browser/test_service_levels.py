"""Clocks in the browser: they count, the server corrects them, and a phone shows the board at a glance."""

from __future__ import annotations

import pytest
from console_hub import until

pytestmark = pytest.mark.browser


def test_a_clock_counts_down_on_the_board_and_leaves_it_when_the_incident_is_resolved(hub, browser):
    incident, _ = hub.new_incident("Scanner 3 reads nothing")
    page = browser.open("ada", "/sla?target=resolution")
    clock = page.locator("li.clock", has_text=incident["number"])
    assert clock.count() == 1
    said = clock.locator("[data-left]")
    # The words are the script's own: given less, it says less.
    page.evaluate(
        "() => document.querySelectorAll('[data-left]').forEach((each) => { each.dataset.left = '5000'; })"
    )
    until("the clock counts", lambda: said.inner_text() in {"5 s", "4 s", "3 s", "2 s", "1 s", "0 s"} or said.inner_text().endswith("over"))  # fmt: skip
    path = f"/incidents/{incident['id']}"
    hub.ada.call("PATCH", path, {"state": "in_progress"})
    hub.ada.call("POST", f"{path}/resolve", {"code": "solved", "notes": "Cleaned."})
    until("the clock leaves the board", lambda: clock.count() == 0)


def test_the_incident_says_why_without_leaving_its_page(hub, browser):
    incident, _ = hub.new_incident("Camera 8 is dark")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    section = page.locator("#sla")
    section.locator("summary", has_text="Why").first.click()
    assert "Not breached" in section.inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_the_board_fits_a_phone_and_the_time_left_is_the_largest_thing(hub, browser, dark):
    hub.new_incident("Pump 5 is loud")
    page = browser.open("ada", "/sla", phone=True, dark=dark)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    first = page.locator("li.clock").first
    box = first.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    size = "(each) => parseFloat(getComputedStyle(each).fontSize)"
    assert first.locator(".left").evaluate(size) > 1.5 * first.locator("a").first.evaluate(size)
