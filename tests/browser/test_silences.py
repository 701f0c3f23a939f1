"""Silences in the browser: tried before they are set, over when their time is up, ended early."""

from __future__ import annotations

import pytest
from console_hub import until
from reading import THUMB, done, for_everybody

pytestmark = pytest.mark.browser


def alert(hub, host):
    return next((each for each in hub.ada.all("/alerts") if each["labels"].get("instance") == host), None)


def fires(hub, host):
    hub.alert("Backlog", instance=host, severity="critical")
    return until(f"the alert on {host}", lambda: alert(hub, host))


def previewed(page, matchers, *, minutes, why):
    page.fill("#matchers", matchers)
    page.fill("#minutes", str(minutes))
    page.fill("#why", why)
    page.get_by_role("button", name="Preview").click()


def silences(hub, host, state):
    return [each for each in hub.ada.all("/silences", state=state) if host in str(each["matchers"])]


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_a_silence_is_tried_set_and_over_when_its_time_is_up(hub, browser, phone, dark):
    host = f"quiet-{'p' if phone else 'd'}.example.test"
    loud = fires(hub, f"loud-{host}")
    page = browser.open("ada", "/silences", phone=phone, dark=dark, bypass_csp=True)
    for_everybody(page)
    page.get_by_role("link", name="New silence").click()
    for_everybody(page)
    previewed(page, f"instance=~.*-{host}", minutes=1, why="Moving house")
    assert "1 open alert matches, 1 of them firing" in page.inner_text("main")
    previewed(page, f"instance={host}", minutes=1, why="Moving house")
    assert "0 open alerts match" in page.inner_text("main")
    for_everybody(page)
    assert silences(hub, host, "active") == [], "a preview sets nothing"
    button = page.get_by_role("button", name="Silence for 1 minute", exact=True)
    assert not phone or button.bounding_box()["height"] >= THUMB
    button.click()
    done(page)
    row = page.locator("tr[data-row]", has_text=host)
    assert "Moving house" in row.inner_text()
    for_everybody(page)
    held = fires(hub, host)
    assert (held["incident"], "silence" in held["decision"]) == ("", True)
    assert alert(hub, f"loud-{host}")["incident"] == loud["incident"]
    hub.clock.forward(seconds=62)
    until("the end of the silence", lambda: silences(hub, host, "expired"))
    until("its incident", lambda: alert(hub, host)["incident"])
    page.goto("/silences")
    assert page.locator("tr[data-row]", has_text=host).count() == 0
    page.goto("/silences?state=expired")
    assert page.locator("tr[data-row]", has_text=host).get_by_role("button").count() == 0


def test_a_silence_is_ended_early_and_what_still_fires_is_decided_anew(hub, browser):
    host = "early.example.test"
    page = browser.open("ada", "/silences/new", bypass_csp=True)
    previewed(page, f"instance={host}", minutes=90, why="A new disk")
    page.get_by_role("button", name="Silence for 90 minutes").click()
    done(page)
    assert fires(hub, host)["incident"] == ""
    page.locator("tr[data-row]", has_text=host).get_by_role("button", name="End the silence").click()
    done(page)
    assert page.locator("tr[data-row]", has_text=host).count() == 0
    until("its incident", lambda: alert(hub, host)["incident"])


def test_a_word_that_is_no_matcher_is_refused_with_the_place_and_kept(hub, browser):
    page = browser.open("ada", "/silences/new")
    previewed(page, "host", minutes=5, why="Nothing")
    page.wait_for_selector(".flash-error")
    assert page.input_value("#matchers") == "host"
    assert page.input_value("#why") == "Nothing"
    assert hub.ada.call("GET", "/silences").status == 200
