"""The hub's own pages in the browser: what is stuck, why, and what mends it."""

from __future__ import annotations

import pytest
from console_hub import until
from reading import done

from isthmus.connectors.kit.faults import Fault

pytestmark = pytest.mark.browser


def test_a_dead_delivery_is_retried_when_the_fault_is_gone(hub, browser):
    jira = hub.partners.all["jira"].inside
    hub.partners.inside(
        lambda: jira.faults.plan(Fault.STATUS, method="POST", path="/issue", status=400, times=500)
    )
    made = hub.ada.post(
        "/incidents", {"title": "Badge readers reject every card", "impact": "3", "urgency": "3"}
    )
    until(
        "the dead letter",
        lambda: [each for each in hub.ada.all("/deliveries", state="dead") if each["record"] == made["id"]],
    )
    page = browser.open("ada", "/")
    need = page.locator("#needs li", has_text="jira")
    assert "could not be delivered" in need.inner_text()
    need.locator("a").first.click()
    row = page.locator("tr[data-row]", has_text=made["number"])
    assert "answered 400" in row.inner_text()
    assert "What helps" in row.inner_text()
    page.goto(f"/incidents/{made['id']}")
    assert "stuck" in page.locator(".strip > li", has_text="jira").inner_text()
    hub.partners.inside(jira.faults.clear)
    page.goto("/deliveries?state=dead")
    page.locator("tr[data-row]", has_text=made["number"]).locator("input[type=checkbox]").check()
    page.click("button:has-text('Retry chosen')")
    page.click("button:has-text('Retry 1')")
    done(page)
    keys = until("the ticket at Jira", lambda: hub.keys(made["id"]))
    assert hub.desks.ticket("jira", keys["jira"]).title == "Badge readers reject every card"


def test_a_value_without_counterpart_is_shown_and_ours_is_written_over_it_by_hand(hub, browser):
    incident, keys = hub.new_incident("Scanner 3 reads twice")
    written = hub.desks.ticket("jira", keys["jira"]).priority
    hub.desks.edit("jira", keys["jira"], priority="Blocker")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    spoke = page.locator(".strip > li", has_text="jira")
    spoke.get_by_text("Priority differs: it has no counterpart").wait_for(timeout=40_000)
    spoke.locator("summary", has_text="Read again or unlink").click()
    spoke.get_by_role("button", name="Write ours to jira again").click()
    done(page)
    until("ours at Jira", lambda: hub.desks.ticket("jira", keys["jira"]).priority == written)

    def agreed():
        page.reload()
        return "differs" not in page.locator(".strip").inner_text()

    until("agreement", agreed)


def test_a_paused_system_gets_nothing_until_it_is_resumed(hub, browser):
    _, keys = made = hub.new_incident("Lamp 12 flickers")
    incident = made[0]
    page = browser.open("ada", "/systems")
    card = page.locator("article", has=page.locator("#system-snow"))
    card.locator("summary", has_text="Pause").click()
    card.get_by_label("Why").fill("Their maintenance")
    card.get_by_role("button", name="Pause snow").click()
    done(page)
    assert "Their maintenance" in page.locator("article", has=page.locator("#system-snow")).inner_text()
    hub.ada.call("PATCH", f"/incidents/{incident['id']}", {"title": "Lamp 12 flickers at night"})
    until(
        "the title at Jira",
        lambda: hub.desks.ticket("jira", keys["jira"]).title == "Lamp 12 flickers at night",
    )
    assert hub.desks.ticket("snow", keys["snow"]).title == "Lamp 12 flickers"
    page.locator("article", has=page.locator("#system-snow")).get_by_role("button", name="Resume").click()
    done(page)
    until(
        "the title at ServiceNow",
        lambda: hub.desks.ticket("snow", keys["snow"]).title == "Lamp 12 flickers at night",
    )


def test_a_probe_says_whether_a_system_answers(hub, browser):
    page = browser.open("ada", "/systems")
    page.get_by_role("button", name="Probe snow").click()
    page.wait_for_selector(".flash:has-text('snow answers')")
    snow = hub.partners.all["snow"].inside
    hub.partners.inside(lambda: snow.faults.plan(Fault.STATUS, method="GET", status=401, times=500))
    page.get_by_role("button", name="Probe snow").click()
    page.wait_for_selector(".flash-error:has-text('does not answer')")
    hub.partners.inside(snow.faults.clear)
    told = hub.isthmus("systems", "probe", "snow")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "answers" in told.stdout


def parked_of(hub, subject=""):
    return [each for each in hub.ada.all("/deliveries/parked") if subject in each["subject"]]


def test_a_parked_message_is_taken_up_after_the_blueprint_was_mended(hub, browser):
    hub.alert("TillOffline", "branches", branch="west", instance="till-1.west")
    west = until("a parked message", lambda: next(iter(parked_of(hub)), None))
    page = browser.open("ada", "/deliveries?lane=parked")
    assert "organisation" in page.locator("article").inner_text()
    page.click("button:has-text('Take it up again')")
    done(page)
    until("a second try that failed, too", lambda: parked_of(hub, west["subject"])[0]["attempts"] == 2)
    sections = hub.ada.get("/blueprint")["sections"]
    sections["connections"]["branches"]["organisation"]["table"]["west"] = "Meridian Retail"
    hub.ada.post("/blueprint/apply", {"sections": sections})

    def taken():
        page.goto("/deliveries?lane=parked")
        if page.locator("article").count():
            page.click("button:has-text('Take it up again')")
            page.wait_for_selector(".flash")
        return [each for each in hub.ada.all("/alerts") if each["labels"].get("alertname") == "TillOffline"]

    until("the alert of the west", taken)
    until("nothing parked", lambda: not parked_of(hub))


def test_a_parked_message_is_given_up_with_a_reason(hub, browser):
    hub.alert("TillBeeps", "branches", branch="moon", instance="till-2.moon")
    until("a parked message", lambda: parked_of(hub))
    page = browser.open("ada", "/deliveries?lane=parked")
    page.locator("summary", has_text="Give it up").click()
    page.get_by_label("Why it is not needed").fill("There is no branch on the moon.")
    page.click("button:has-text('Give the message up')")
    done(page)
    assert "No message is parked" in page.content()
    assert not parked_of(hub)
    assert not [each for each in hub.ada.all("/alerts") if each["labels"].get("alertname") == "TillBeeps"]


def test_an_alert_is_silenced_and_the_next_of_its_kind_says_so(hub, browser):
    hub.alert("FanNoise", instance="mq-01.example.test")
    found = until(
        "the alert",
        lambda: next(
            (each for each in hub.ada.all("/alerts") if each["labels"].get("alertname") == "FanNoise"), None
        ),
    )
    page = browser.open("ada", f"/alerts/{found['id']}")
    page.fill("#minutes", "30")
    page.fill("#why", "The fan is being replaced.")
    page.click("button:has-text('Silence')")
    done(page)
    hub.alert("FanNoise", instance="web-01.example.test")
    other = until(
        "the silenced one",
        lambda: next(
            (
                each
                for each in hub.ada.all("/alerts")
                if each["labels"].get("instance") == "web-01.example.test"
                and each["labels"]["alertname"] == "FanNoise"
            ),
            None,
        ),
    )
    assert other["decision"].startswith("suppressed")
    assert not other["incident"]
    page.goto(f"/alerts/{other['id']}")
    assert "silence" in page.locator("main").inner_text().casefold()


def test_the_story_of_an_incident_is_found_by_a_partners_number(hub, browser):
    incident = hub.incident_of("QueueBacklog")
    links = hub.ada.get(f"/incidents/{incident['id']}/links")["items"]
    label = next(each["external_label"] for each in links if each["connection"] == "snow")
    page = browser.open("ada", "/trace")
    page.fill("#t-id", label)
    page.click("main button:has-text('Trace')")
    assert incident["number"] in page.content()
    with page.expect_download() as download:
        page.click("text=Download as JSON")
    assert download.value.suggested_filename.startswith("trace-")


def test_the_map_shows_what_falls_with_an_item_and_is_walked_by_its_links(hub, browser):
    page = browser.open("olga", "/map")
    page.fill("#m-q", "mq-01")
    page.click("main button:has-text('Find')")
    page.wait_for_url("**/map/*")
    assert "payments" in page.locator("section", has_text="If this fails").inner_text()
    page.locator(".figure-scroll a[aria-label^='payments']").click()
    page.wait_for_selector("h1:has-text('payments')")
