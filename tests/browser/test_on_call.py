"""On call in the browser: somebody stands in and steps back, is reached by mail, and takes what escalates with a thumb."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from console_hub import until
from playwright.sync_api import expect
from reading import THUMB, done, for_everybody

from isthmus.kernel.instant import to_datetime

pytestmark = pytest.mark.browser

LOOKS = [(False, False), (True, True)]


def on_duty(hub, rota):
    (found,) = hub.ada.get("/on-call/who", rota=rota)["items"]
    return found["name"] if not found["gap"] else ""


@pytest.mark.parametrize(("phone", "dark"), LOOKS)
def test_somebody_stands_in_on_the_calendar_and_steps_back(hub, browser, phone, dark):
    page = browser.open("ada", "/on-call", phone=phone, dark=dark, bypass_csp=True)
    night = page.locator("#duty article", has_text="night")
    assert "Nobody is on duty" in night.inner_text()
    assert page.locator("td.today .entry-bad", has_text="night").count() == 1
    for_everybody(page)
    page.select_option("#o-rota", "night")
    page.fill("#o-person", "grace")
    page.fill("#o-end", (to_datetime(hub.clock.now()) + dt.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M"))
    page.fill("#o-why", "The night is hers")
    page.get_by_role("button", name="Set", exact=True).click()
    done(page)
    assert on_duty(hub, "night") == "Grace"
    assert "Grace" in night.inner_text()
    assert "by an override" in night.inner_text()
    assert page.locator("td.today .entry-warn", has_text="Grace").count() == 1
    row = page.locator("tr[data-row]", has_text="The night is hers")
    assert "whoever it is" in row.inner_text()
    page.get_by_role("link", name="Week").click()
    expect(page.locator("td.today .entry-warn", has_text="Grace")).to_have_count(1)
    for_everybody(page)
    row.get_by_role("button", name="Take back").click()
    done(page)
    assert on_duty(hub, "night") == ""
    assert "Nobody is on duty" in night.inner_text()


def test_an_override_for_nobody_known_is_refused_and_what_was_typed_stays(hub, browser):
    page = browser.open("ada", "/on-call")
    page.locator("summary", has_text="Somebody takes over").click()
    page.select_option("#o-rota", "night")
    page.fill("#o-person", "nobody-here")
    page.fill("#o-end", (to_datetime(hub.clock.now()) + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"))
    page.fill("#o-why", "A typing error")
    page.get_by_role("button", name="Set", exact=True).click()
    page.wait_for_selector(".flash-error:has-text('nobody-here')")
    assert [page.input_value(each) for each in ("#o-rota", "#o-person", "#o-why")] == [
        "night",
        "nobody-here",
        "A typing error",
    ]
    assert on_duty(hub, "night") == ""


def reached_by_mail(browser):
    """Ada says on her card how she is reached."""
    page = browser.open("ada", "/on-call/contact", phone=True, dark=True, bypass_csp=True)
    page.select_option("#m-1", "own-mail")
    page.fill("#t-1", "ada@example.test")
    page.get_by_role("button", name="Save").click()
    done(page)
    for_everybody(page)


def paged(hub, title):
    """Have somebody page Ada about a new incident; return it with the mail that she got."""
    incident = hub.ada.post("/incidents", {"title": title, "impact": "3", "urgency": "3"})
    hub.ada.post("/escalations", {"ladder": "page", "incident": incident["id"], "comment": "Please look"})
    mails = until("the mail to Ada", lambda: hub.mails(incident["number"]))
    return incident, mails[0]


def told(hub, incident):
    return [each["to"] for each in hub.mails(incident["number"])]


def quiet_after(hub, incident, expected):
    """The time of the next step passes; nobody beside those who were told by then is told."""
    hub.clock.forward(seconds=125)
    other, _ = paged(hub, f"Beside {incident['number']}")
    hub.clock.forward(seconds=125)
    until("the next step of another ladder", lambda: "all@example.test" in told(hub, other))
    assert told(hub, incident) == expected


def test_what_escalates_is_taken_on_a_phone_and_nobody_else_is_told(hub, browser):
    reached_by_mail(browser)
    incident, mail = paged(hub, "The freezer of branch 7 warms up")
    assert mail["to"] == "ada@example.test"
    page = browser.open("ada", "/on-call", phone=True, dark=True, bypass_csp=True)
    running = page.locator("section", has_text="Being escalated").locator("li", has_text=incident["number"])
    for_everybody(page)
    with page.expect_navigation():
        running.locator("a").first.tap()
    for_everybody(page)
    button = page.get_by_role("button", name="I take it")
    assert button.bounding_box()["height"] >= THUMB
    page.fill("#a-comment", "On my way")
    button.tap()
    done(page)
    assert "On my way" in page.locator("main").inner_text()
    assert "Ada" in page.locator("main").inner_text()
    assert button.count() == 0
    (held,) = hub.ada.get("/escalations", subject=incident["id"])["items"]
    assert held["state"] == "acknowledged"
    quiet_after(hub, incident, ["ada@example.test"])


def test_the_link_in_a_mail_is_answered_on_a_phone_without_signing_in(chromium, hub, browser):
    reached_by_mail(browser)
    incident, mail = paged(hub, "The scale of branch 7 drifts")
    (address,) = set(re.findall(rf"{re.escape(hub.url)}/on-call/acknowledge/\S+", mail["text"]))
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    for_everybody(page)
    (held,) = hub.ada.get("/escalations", subject=incident["id"])["items"]
    assert held["state"] == "running", "opening a link takes nothing"
    with page.expect_navigation():
        page.get_by_role("button", name="I take it").tap()
    assert "It is acknowledged" in page.inner_text("main"), page.inner_text("body")
    assert hub.ada.get(f"/escalations/{held['id']}")["state"] == "acknowledged"
    forged = page.goto(f"{address[:-3]}abc")
    assert forged.status == 403
    context.close()
