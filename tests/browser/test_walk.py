"""The console in a real browser: it fits, it answers to keys, it asks nothing of other hosts."""

from __future__ import annotations

import pytest

from isthmus.web.console.menu import SCREENS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_no_page_is_wider_than_the_screen_or_breaks_the_policy(site, browser, phone, dark):
    page = site.open(browser, "administrator", phone=phone, dark=dark)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    paths = [each.path for each in SCREENS] + [
        f"/incidents/{site.desk.incident.id}",
        f"/map/{site.desk.cis['db1']}",
    ]
    for path in paths:
        page.goto(site.url + path)
        assert not page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
        ), path
    assert not [each for each in said if "Content Security Policy" in each or "Error:" in each]
    assert all(each.startswith((site.url, "data:")) for each in asked)


def test_the_keys_move_open_and_find(site, browser):
    page = site.open(browser, "agent")
    page.goto(site.url + "/incidents")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("input[data-choose]:checked").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{site.desk.incident.id}")


def test_a_comment_is_written_without_a_mouse(site, browser):
    page = site.open(browser, "agent")
    page.goto(f"{site.url}/incidents/{site.desk.incident.id}")
    page.focus("#body")
    page.keyboard.type("Typed with the keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Typed with the keyboard")
    assert page.locator(".flash-success").count() == 1
