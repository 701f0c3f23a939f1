"""The inbox of drafts: several are confirmed and rejected with the keyboard alone; nothing is opened before that."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count

import pytest
from console_hub import until
from reading import done, for_everybody

pytestmark = pytest.mark.browser

SEVERITY = "error"
PROBES = count()
"""Another alert each time, in every walk: one that was decided before goes on as it was decided."""


@pytest.fixture
def drafting(hub):
    """Alerts of one severity become drafts as long as the walk lasts."""
    before = hub.ada.get("/blueprint")["sections"]
    monitoring = {**before["monitoring"], "automation": {"severities": {SEVERITY: "draft"}}}
    with applied(hub, {**before, "monitoring": monitoring}, before):
        yield


@contextmanager
def applied(hub, sections, before):
    def apply(wanted):
        reply = hub.ada.call("POST", "/blueprint/apply", {"sections": wanted})
        assert reply.status == 200, reply.body

    apply(sections)
    until("drafts", lambda: drafted(hub, f"probe-{next(PROBES)}.example.test"), seconds=20)
    yield
    apply(before)


def drafted(hub, host):
    hub.alert("Probe", instance=host, severity=SEVERITY)
    return until(f"the alert on {host}", lambda: alert(hub, host))["decision"] == "drafted"


def alert(hub, host):
    return next((each for each in hub.ada.all("/alerts") if each["labels"].get("instance") == host), None)


def tabbed_to(page, selector):
    """Go on with the Tab key until the focus is there."""
    for _ in range(120):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {selector}")


def chosen(page, hosts):
    """Choose the rows of these hosts with j and x."""
    page.keyboard.press("j")
    rows = page.locator("tr[data-row]")
    for place in range(rows.count()):
        if any(host in rows.nth(place).inner_text() for host in hosts):
            page.keyboard.press("x")
        page.keyboard.press("j")
    assert page.locator("[data-chosen-count]").inner_text() == str(len(hosts))


@pytest.mark.usefixtures("drafting")
@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_several_drafts_are_confirmed_and_rejected_with_the_keyboard(hub, browser, phone, dark):
    hosts = [f"draft-{number}{'p' if phone else 'd'}.example.test" for number in range(4)]
    for host in hosts:
        hub.alert("Backlog", instance=host, severity=SEVERITY)
    for host in hosts:
        until(f"the draft of {host}", lambda host=host: alert(hub, host))
        assert (alert(hub, host)["decision"], alert(hub, host)["incident"]) == ("drafted", "")
    page = browser.open("ada", "/drafts", phone=phone, dark=dark, bypass_csp=True)
    for_everybody(page)
    chosen(page, hosts[:2])
    tabbed_to(page, "button[value=confirm]")
    page.keyboard.press("Enter")
    done(page)
    assert "2 incident(s) opened" in page.locator(".flash-success").inner_text()
    for host in hosts[:2]:
        assert alert(hub, host)["incident"]
        assert page.locator("tr[data-row]", has_text=host).count() == 0
    chosen(page, hosts[2:])
    tabbed_to(page, "#d-reason")
    page.keyboard.type("A test of the pumps")
    tabbed_to(page, "button[value=reject]")
    page.keyboard.press("Enter")
    done(page)
    for host in hosts[2:]:
        found = alert(hub, host)
        assert (found["decision"], found["incident"]) == ("draft_rejected", "")
    for_everybody(page)
