"""A change in the browser: raised by ada, approved by grace, let through by the gate, stopped by a freeze."""

from __future__ import annotations

import datetime as dt

import pytest
from console_hub import ARTEFACT, until
from reading import done

pytestmark = pytest.mark.browser


def local(moment):
    return moment.strftime("%Y-%m-%dT%H:%M")


def gate(hub, number):
    return hub.isthmus(
        "gate", "check", "--change", number, "--environment", "production", "--artefact", ARTEFACT, "--ci", "web-05",
        token=hub.tokens["gate"],
    ).returncode  # fmt: skip


def raised(browser, title):
    """Raise a change through the form; return ada's page at it and its id."""
    now = dt.datetime.now(dt.UTC)
    page = browser.open("ada", "/changes/new")
    page.fill("#n-title", title)
    page.fill("#n-description", "The new version forgets nothing.")
    page.fill("#n-cis", "web-05")
    page.fill("#n-env", "production")
    page.fill("#n-hash", ARTEFACT)
    page.fill("#n-start", local(now - dt.timedelta(minutes=10)))
    page.fill("#n-end", local(now + dt.timedelta(hours=2)))
    page.fill("#n-plan", "One after the other.")
    page.fill("#n-back", "The previous version.")
    page.click("button.main:has-text('Raise')")
    done(page)
    return page, page.url.rsplit("/", 1)[1]


def step(page, label):
    page.locator(".card", has_text="What may happen next").get_by_role("button", name=label).first.click()
    done(page)


def test_raise_approve_gate_freeze_edit(hub, browser):
    page, change = raised(browser, "New catalogue version")
    number = hub.ada.get(f"/changes/{change}")["number"]
    step(page, "Submit")
    step(page, "Build the impact report")
    step(page, "Request approval")
    assert gate(hub, number) == 1
    assert page.locator("button:has-text('Approve')").count() == 0
    grace = browser.open("grace", "/")
    grace.locator("#needs a", has_text=number).click()
    grace.get_by_label("Reason").fill("Rehearsed.")
    grace.click("button:has-text('Approve')")
    done(grace)
    until("the gate to open", lambda: gate(hub, number) == 0)
    page.goto("/changes/gate")
    shown = page.locator("tr[data-row]", has_text=number).all_inner_texts()
    assert any("Allow" in each for each in shown), shown
    assert any("Wait" in each for each in shown), shown

    now = dt.datetime.now(dt.UTC)
    page.goto("/changes/calendar")
    page.locator("summary", has_text="Set a freeze").click()
    page.fill("#z-name", "Stock-taking")
    page.fill("#z-start", local(now - dt.timedelta(minutes=2)))
    page.fill("#z-end", local(now + dt.timedelta(hours=1)))
    page.fill("#z-env", "production")
    page.click("button:has-text('Set it')")
    done(page)
    assert page.locator("table.calendar", has_text="Stock-taking").count() == 1
    assert gate(hub, number) == 1
    page.click("button[aria-label='Lift Stock-taking']")
    done(page)
    assert gate(hub, number) == 0

    page.goto(f"/changes/{change}")
    page.click("main a:has-text('Edit')")
    page.fill("#n-plan", "All at once.")
    page.click("button:has-text('Save')")
    done(page)
    assert gate(hub, number) == 1, "what was approved is not what would be done"


def test_a_refused_change_says_why(hub, browser):
    page, change = raised(browser, "Skip the tests")
    step(page, "Submit")
    step(page, "Build the impact report")
    step(page, "Request approval")
    grace = browser.open("grace", f"/changes/{change}")
    grace.get_by_label("Reason").fill("Tests are not skipped.")
    grace.click("button:has-text('Refuse')")
    done(grace)
    page.reload()
    assert "Tests are not skipped." in page.locator("main").inner_text()
    assert hub.ada.get(f"/changes/{change}")["authorisation"] == "refused"


def test_a_wrong_form_keeps_what_was_typed(hub, browser):
    page = browser.open("ada", "/changes/new")
    page.fill("#n-title", "A change on nothing")
    page.fill("#n-cis", "no-such-item")
    page.click("button.main:has-text('Raise')")
    page.wait_for_selector(".flash-error:has-text('no-such-item')")
    assert page.input_value("#n-title") == "A change on nothing"
