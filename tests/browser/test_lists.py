"""Lists by keyboard alone: columns are chosen and put in order, a view is kept, applied, deleted and brought back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SEVERE = {"serious", "critical"}


def press_on(page, selector, key="Enter"):
    """Focus something and press a key: no pointer is used in these walks."""
    page.locator(selector).first.focus()
    page.keyboard.press(key)


def heads(page):
    return [
        each.strip(" ↑↓") for each in page.locator("thead th[scope=col]").all_inner_texts() if each.strip()
    ]


def picture(page, name):
    """Keep a picture where somebody wants to look at it (`ISTHMUS_PICTURES=directory`)."""
    if where := os.environ.get("ISTHMUS_PICTURES"):
        page.screenshot(path=Path(where) / f"{name}.png", full_page=True)


def severe(page):
    return [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in SEVERE
    ]


def test_columns_and_a_view_by_keyboard(hub, browser):
    page = browser.open("ada", "/incidents?state=any&limit=6", bypass_csp=True)
    press_on(page, "#columns > summary")
    press_on(page, "input[name=column][value=group]", "Space")
    press_on(page, "input[name=column][value=affects]", "Space")
    row = page.locator("li:has(input[value=priority])")
    place = row.evaluate("row => [...row.parentElement.children].indexOf(row)")
    press_on(page, "button[value='up:priority']")
    assert row.evaluate("row => [...row.parentElement.children].indexOf(row)") == place - 1
    assert page.evaluate("document.activeElement.value") == "up:priority", "the focus stays where the hand is"
    assert f"place {place}" in page.locator("[data-arrange-said]").inner_text()
    assert not severe(page)
    picture(page, "lists-columns.desk-light")
    press_on(page, "button:has-text('Show it like this')")
    page.wait_for_url("**columns=number*")
    shown = heads(page)
    assert "Group" in shown
    assert "Affects" not in shown
    assert shown.index("Priority") < shown.index("State")
    press_on(page, "summary:has-text('Keep as a view')")
    page.locator("#view-name").focus()
    page.keyboard.type("By group")
    page.keyboard.press("Enter")
    page.wait_for_selector(".views a[aria-current]:has-text('By group')")
    assert "view=" in page.url
    picture(page, "lists-view.desk-light")
    assert not severe(page)

    page.goto("/incidents")
    press_on(page, ".views a:has-text('By group')")
    page.wait_for_url("**view=*")
    assert heads(page) == shown
    press_on(page, "summary:has-text('This view')")
    press_on(page, "button:has-text('Delete the view')")
    page.wait_for_selector("form[action$='/restore']")
    assert page.locator(".views").count() == 0
    picture(page, "lists-deleted.desk-light")
    press_on(page, "form[action$='/restore'] button")
    page.wait_for_selector(".views a[aria-current]:has-text('By group')")

    for phone, dark, name in (
        (True, False, "phone-light"),
        (True, True, "phone-dark"),
        (False, True, "desk-dark"),
    ):
        other = browser.open("ada", page.url + "&limit=6", phone=phone, dark=dark, bypass_csp=True)
        labels = set(
            other.locator("tbody [data-label]").evaluate_all("all => all.map(each => each.dataset.label)")
        )
        assert labels - {"Choose"} == set(shown), "on a phone the cards hold the chosen columns only"
        picture(other, f"lists-cards.{name}")
        other.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert not severe(other)
        assert other.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1"
        )
        picture(other, f"lists-open.{name}")
    press_on(page, "summary:has-text('This view')")
    press_on(page, "button:has-text('Delete the view')")
    page.wait_for_selector("form[action$='/restore']")


def test_heads_sort_by_keyboard_and_the_file_comes(hub, browser):
    page = browser.open("ada", "/incidents?state=any")
    press_on(page, "thead a:has-text('Priority')")
    page.wait_for_selector("th[aria-sort=ascending]:has-text('Priority')")
    press_on(page, "thead a:has-text('Priority')")
    page.wait_for_selector("th[aria-sort=descending]:has-text('Priority')")
    with page.expect_download() as taken:
        press_on(page, "a:has-text('Download CSV')")
    lines = Path(taken.value.path()).read_text().splitlines()
    assert lines[0] == "Number,Title,State,Priority,Affects,Who,In,Opened"
    assert len(lines) > 1


def test_keys_lead_to_the_record_wherever_its_column_stands(hub, browser):
    page = browser.open("ada", "/incidents?state=any&columns=affects,title,number")
    assert page.locator("tbody tr:has-text('INC-') td a[href^='/map/']").count()
    for _ in range(3):
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.getAttribute('href')").startswith("/incidents/")
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/*")


def test_without_javascript_the_same_form_works(hub, chromium, browser):
    browser.open("ada")
    context = chromium.new_context(
        storage_state=browser.states["ada"], base_url=hub.url, java_script_enabled=False
    )
    browser.contexts.append(context)
    page = context.new_page()
    page.goto("/changes?state=any")
    page.locator("#columns > summary").click()
    page.locator("input[name=column][value=group]").check()
    page.locator("button[value='down:title']").click()
    expect(page.locator("#columns[open]")).to_have_count(1)
    assert "columns=number,type,title" in page.url
    assert "state=any" in page.url
    assert "Group" in heads(page)
