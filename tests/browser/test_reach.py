"""Every page for everybody: without a mouse, on a phone, light and dark, with assistive technology."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from isthmus.web.console.menu import SCREENS

pytestmark = pytest.mark.browser

LOOKS = [(False, False), (True, True)]
SEVERE = {"serious", "critical"}


def pages(hub):
    """Return who → the pages that they walk: every screen, a record of each kind, an empty list, an error."""
    incident = hub.incident_of("QueueBacklog")
    change = hub.ada.all("/changes")[-1]
    alert = next(each for each in hub.ada.all("/alerts") if each["incident"] == incident["id"])
    admin = {"/people", "/tokens"}
    problem, known = hub.ada.all("/problems")[0], hub.ada.all("/known-errors")[0]
    return {
        "ada": [
            *(each.path for each in SCREENS if each.path not in admin), f"/incidents/{incident['id']}", f"/alerts/{alert['id']}",
            f"/changes/{change['id']}", f"/changes/{change['id']}/edit", "/changes/new", "/changes/calendar",
            "/changes/calendar?view=week", "/changes/gate", f"/map/{incident['ci']}", "/deliveries?lane=parked",
            "/deliveries?state=any", "/conflicts?state=any", f"/trace/{incident['number']}", "/configuration/1", "/rules/edit",
            "/incidents?state=cancelled&priority=4", "/find?q=queue", "/me", "/nowhere",
            f"/problems/{problem['id']}", f"/problems/{problem['id']}/edit", "/problems/new", "/problems?state=cancelled",
            f"/known-errors/{known['id']}", f"/known-errors/{known['id']}/edit", f"/incidents/{incident['id']}/war-room",
            f"/known-errors/new?of_incident={incident['id']}", f"/known-errors/{known['id']}?incident={incident['number']}",
            "/on-call?view=week", "/on-call?mine=1", "/on-call/escalations", "/on-call/notifications", "/on-call/contact",
        ],
        "root": [*sorted(admin), "/accounts/2fa/", "/accounts/password/change/"],
    }  # fmt: skip


@pytest.mark.parametrize(("phone", "dark"), LOOKS)
def test_axe_finds_nothing_serious_on_any_page(hub, browser, phone, dark):
    # axe is injected by the test itself, past the policy that forbids exactly that.
    found = []
    axe = Axe()
    for who, paths in pages(hub).items():
        page = browser.open(who, phone=phone, dark=dark, bypass_csp=True)
        for path in paths:
            # Long lists repeat one row: a few of them tell the same in a fraction of the time.
            page.goto(f"{path}{'&' if '?' in path else '?'}limit=6")
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            found += [
                (path, each["id"], each["nodes"][0]["html"][:200])
                for each in axe.run(page).response["violations"]
                if each["impact"] in SEVERE
            ]
    assert not found


@pytest.mark.parametrize(("phone", "dark"), LOOKS)
def test_every_page_fits_and_asks_nothing_of_other_hosts(hub, browser, phone, dark):
    said, asked, wide = [], [], []
    for who, paths in pages(hub).items():
        page = browser.open(who, phone=phone, dark=dark)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for path in paths:
            page.goto(path)
            if page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
            ):
                wide.append(path)
    assert not wide
    assert not [each for each in said if "Content Security Policy" in each or "Error" in each.split(":")[0]]
    assert all(each.startswith((hub.url, "data:")) for each in asked)


def test_the_sign_in_page_is_for_everybody_too(chromium, hub):
    context = chromium.new_context(base_url=hub.url, bypass_csp=True, color_scheme="dark")
    page = context.new_page()
    page.goto("/accounts/login/")
    assert not [each["id"] for each in Axe().run(page).response["violations"] if each["impact"] in SEVERE]
    context.close()


def test_an_incident_is_found_opened_and_commented_without_a_mouse(hub, browser):
    incident, _ = hub.new_incident("Printer 3 jams")
    page = browser.open("ada", "/")
    keys = page.keyboard
    keys.press("?")
    assert page.locator("#keys").is_visible()
    keys.press("Escape")
    keys.press("Control+k")
    assert page.locator("#palette").is_visible()
    keys.type("incid")
    with page.expect_navigation(url="**/incidents"):
        keys.press("Enter")
    keys.press("j")
    keys.press("j")
    keys.press("k")
    keys.press("x")
    assert page.locator("input[data-choose]:checked").count() == 1
    keys.press("x")
    first = page.locator("tr[data-row] a").first.get_attribute("href")
    with page.expect_navigation(url=f"**{first}"):
        keys.press("Enter")
    keys.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    keys.type(incident["number"])
    with page.expect_navigation(url=f"**/incidents/{incident['id']}"):
        keys.press("Enter")
    for _ in range(60):
        keys.press("Tab")
        if page.evaluate("document.activeElement.id") == "body":
            break
    keys.type("Typed with the keyboard alone")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Enter")
    page.wait_for_selector("text=Typed with the keyboard alone")
    assert page.locator(".flash-success").count() == 1


def test_every_focus_can_be_seen(hub, browser):
    page = browser.open("ada", "/incidents")
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement); return parseFloat(s.outlineWidth) || 0 })()"
        )
        assert outline >= 2, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def test_the_incident_and_the_approval_are_done_with_a_thumb(hub, browser):
    incident, _ = hub.new_incident("Barrier stays down")
    page = browser.open("ada", f"/incidents/{incident['id']}", phone=True)
    page.tap("#body")
    page.fill("#body", "From the car park.")
    button = page.locator("button:has-text('Comment')")
    assert button.bounding_box()["height"] >= 44
    button.tap()
    page.wait_for_selector("text=From the car park.")
    small = page.evaluate(
        "[...document.querySelectorAll('main button, main select, nav.menu a')].filter(e => e.offsetParent "
        "&& e.getBoundingClientRect().height < 40 && !e.classList.contains('link')).map(e => e.outerHTML.slice(0, 120))"
    )
    assert not small


def test_pages_work_without_scripts(chromium, hub, browser):
    incident, _ = hub.new_incident("Clock runs late")
    browser.open("ada").close()
    context = chromium.new_context(
        base_url=hub.url, storage_state=browser.states["ada"], java_script_enabled=False
    )
    page = context.new_page()
    page.goto(f"/incidents/{incident['id']}")
    page.fill("#body", "Written without scripts.")
    page.click("button:has-text('Comment')")
    assert "Written without scripts." in page.content()
    context.close()
