"""Incidents in the browser: what is done on the page is looked for inside the other systems."""

from __future__ import annotations

import pytest
from console_hub import SYSTEMS, until
from reading import done

pytestmark = pytest.mark.browser


def opened(page, name):
    """Open a disclosure by its summary."""
    page.locator("summary", has_text=name).first.click()


def test_a_comment_on_the_page_is_written_in_every_system(hub, browser):
    incident, keys = hub.new_incident("Till 7 prints no receipts")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    page.fill("#body", "The paper roll was changed, still nothing.")
    page.check("input[name=public]")
    page.click("button:has-text('Comment')")
    done(page)
    for system in SYSTEMS:
        until(
            f"the comment at {system}",
            lambda system=system: any(
                "paper roll" in each for each in hub.desks.ticket(system, keys[system]).comments
            ),
        )


def test_a_comment_of_another_system_comes_to_the_open_page_by_itself(hub, browser):
    incident, keys = hub.new_incident("Lift 2 stands still")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    hub.desks.comment("jira", keys["jira"], "The technician is on the way.")
    page.wait_for_selector("text=The technician is on the way.")
    assert "jira" in page.locator("li", has_text="technician").last.inner_text()


def test_resolving_and_reopening_reach_the_other_systems(hub, browser):
    incident, keys = hub.new_incident("Door 4 does not open")
    before = {name: hub.desks.ticket(name, keys[name]).state for name in SYSTEMS}
    page = browser.open("ada", f"/incidents/{incident['id']}")
    opened(page, "Change")
    page.select_option("#state", "in_progress")
    page.click("form[action$='/change'] button:has-text('Change')")
    done(page)
    opened(page, "Resolve")
    page.select_option("#code", "solved")
    page.fill("#notes", "The hinge was oiled.")
    page.click("button.main:has-text('Resolve')")
    done(page)
    for system in SYSTEMS:
        until(
            f"another state at {system}",
            lambda system=system: hub.desks.ticket(system, keys[system]).state != before[system],
        )
    # It may get there over "in progress".
    until("resolved at snow", lambda: hub.desks.ticket("snow", keys["snow"]).state == "6")
    page.reload()
    opened(page, "Reopen")
    page.click("form[action$='/reopen'] button")
    done(page)
    until("open again at snow", lambda: hub.desks.ticket("snow", keys["snow"]).state in {"1", "2"})


def test_resolving_without_saying_how_is_refused_on_the_page(hub, browser):
    incident, _ = hub.new_incident("Gate 9 beeps")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    opened(page, "Resolve")
    page.fill("#notes", "   ")
    page.click("button.main:has-text('Resolve')")
    page.wait_for_selector(".flash-error")
    assert hub.ada.get(f"/incidents/{incident['id']}")["state"] == "new"


def test_two_people_disagree_a_third_decides_and_brings_the_loser_back(hub, browser):
    incident, keys = hub.new_incident("Cold store too warm")
    for name in SYSTEMS:
        hub.ada.post(f"/systems/{name}/pause", {"reason": "a conflict is staged"})
    hub.ada.call("PATCH", f"/incidents/{incident['id']}", {"title": "Cold store 3 too warm"})
    hub.desks.edit("snow", keys["snow"], title="Cold store door left open")
    until(
        "the conflict",
        lambda: [
            each for each in hub.ada.all("/conflicts", state="open") if each["record"] == incident["id"]
        ],
    )
    for name in SYSTEMS:
        hub.ada.post(f"/systems/{name}/resume")
    page = browser.open("ada", "/conflicts")
    card = page.locator("section", has_text=incident["number"])
    assert {"Cold store too warm", "Cold store 3 too warm", "Cold store door left open"} <= set(
        card.locator(".three p").all_inner_texts()
    )
    card.get_by_role("button", name="Take theirs").click()
    done(page)
    until(
        "theirs at Jira", lambda: hub.desks.ticket("jira", keys["jira"]).title == "Cold store door left open"
    )
    page.goto("/conflicts?state=decided")
    page.locator("section", has_text=incident["number"]).get_by_role(
        "button", name="Restore the loser"
    ).click()
    done(page)
    for system in SYSTEMS:
        until(
            f"ours at {system}",
            lambda system=system: hub.desks.ticket(system, keys[system]).title == "Cold store 3 too warm",
        )


def test_many_are_assigned_after_a_preview_and_given_back(hub, browser):
    made = [
        hub.ada.post("/incidents", {"title": f"Scale {each} drifts", "impact": "3", "urgency": "3"})
        for each in (1, 2)
    ]
    before = made[0]["assignment_group"]
    page = browser.open("ada", "/incidents")
    for each in made:
        page.check(f"[aria-label='Choose {each['number']}']")
    assert page.locator("[data-chosen-count]").inner_text() == "2"
    page.fill("#bulk-group", "Scales")
    page.click("button:has-text('Assign chosen')")
    assert "What will change" in page.content()
    assert hub.ada.get(f"/incidents/{made[0]['id']}")["assignment_group"] == before
    page.click("button.main:has-text('Assign')")
    page.wait_for_selector("button:has-text('Undo')")
    assert {hub.ada.get(f"/incidents/{each['id']}")["assignment_group"] for each in made} == {"Scales"}
    hub.ada.call("PATCH", f"/incidents/{made[1]['id']}", {"assignment_group": "Night shift"})
    page.click("button:has-text('Undo')")
    page.wait_for_selector(".flash-error")
    groups = [hub.ada.get(f"/incidents/{each['id']}")["assignment_group"] for each in made]
    assert groups == [before, "Night shift"]


def test_a_link_is_cut_and_tied_again(hub, browser):
    incident, keys = hub.new_incident("Freezer alarm silent")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    jira = page.locator(".strip > li", has_text="jira")
    jira.locator("summary").click()
    jira.get_by_label("Why they part").fill("It is another freezer.")
    jira.get_by_role("button", name="Unlink").click()
    done(page)
    hub.ada.call("PATCH", f"/incidents/{incident['id']}", {"title": "Freezer 5 alarm silent"})
    until(
        "the title at snow", lambda: hub.desks.ticket("snow", keys["snow"]).title == "Freezer 5 alarm silent"
    )
    assert hub.desks.ticket("jira", keys["jira"]).title == "Freezer alarm silent"
    page.reload()
    opened(page, "Link to another system")
    page.select_option("#link-to", "jira")
    page.fill("#link-key", keys["jira"])
    page.click("form[action='/links/add'] button")
    done(page)
    links = hub.ada.get(f"/incidents/{incident['id']}/links")["items"]
    assert {each["connection"] for each in links} == set(SYSTEMS)


def test_a_major_incident_is_declared_and_stood_down(hub, browser):
    incident, _ = hub.new_incident("No till works")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    opened(page, "Declare major")
    page.fill("#major-owner", "Incident command")
    page.click("button:has-text('Declare a major incident')")
    done(page)
    assert page.locator(".head", has_text="Major").count() == 1
    opened(page, "Major incident")
    page.fill("#stand-why", "Tills are back.")
    page.click("button:has-text('Stand down')")
    done(page)
    assert hub.ada.get(f"/incidents/{incident['id']}")["major"] is False


def test_the_war_room_is_read_at_a_glance_on_a_phone_and_tells_those_concerned(hub, browser):
    incident, keys = hub.new_incident("All tills of the north are down")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    opened(page, "Declare major")
    page.fill("#major-owner", "Incident command")
    page.click("button:has-text('Declare a major incident')")
    done(page)
    page = browser.open("ada", f"/incidents/{incident['id']}/war-room", phone=True)
    height = page.evaluate("window.innerHeight")
    for what in ("Holds it", "Next update"):
        box = page.locator("#glance .card", has_text=what).bounding_box()
        assert box["y"] + box["height"] <= height, f"{what} is below the fold"
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("window.innerWidth")
    page.fill("#tell", "We know the cause.")
    page.click("button:has-text('Tell them')")
    done(page)
    until(
        "the update at snow",
        lambda: "We know the cause." in str(hub.desks.ticket("snow", keys["snow"]).comments),
    )
    page.reload()
    assert page.locator("#updates .bubble").all_inner_texts() == ["We know the cause."]


def test_a_suspect_change_is_judged_on_the_incident(hub, browser):
    incident = hub.incident_of("QueueBacklog")
    page = browser.open("ada", f"/incidents/{incident['id']}")
    assert page.locator("#suspects a", has_text="CHG-").count() >= 1
    page.locator("#suspects").get_by_label("Reason").first.fill("The release began a minute before.")
    page.click("#suspects button:has-text('It was this')")
    done(page)
    verdicts = [each["verdict"] for each in hub.ada.get(f"/incidents/{incident['id']}/suspects")["items"]]
    assert "confirmed" in verdicts


def test_the_strip_shows_what_each_system_holds_in_its_own_words(hub, browser):
    incident = hub.incident_of("QueueBacklog")
    keys = hub.keys(incident["id"])
    page = browser.open("olga", f"/incidents/{incident['id']}")
    strip = page.locator("#strip")
    for system in ("jira", "tracker"):
        held = hub.desks.ticket(system, keys[system])
        told = strip.locator("li", has_text=system).first.inner_text()
        assert held.priority.casefold() in told.casefold()
        assert held.state.casefold() in told.casefold()


def test_a_viewer_sees_no_act_and_may_not_act(hub, browser):
    incident = hub.incident_of("QueueBacklog")
    page = browser.open("olga", f"/incidents/{incident['id']}")
    assert page.locator("main form").count() == 0
    page.goto("/me")
    assert "Viewer" in page.locator("main").inner_text()
    answer = page.goto("/audit")
    assert answer.status == 403
    assert "audit:read" in page.content()


def test_a_known_error_that_fits_lends_its_workaround_to_the_other_systems_and_to_the_resolution(
    hub, browser
):
    incident, keys = hub.new_incident("Kiosk 3 takes no cards")
    other, _ = hub.new_incident("Lamp 9 is dark")
    page = browser.open("ada", f"/incidents/{other['id']}")
    assert "None that is published fits." in page.inner_text("#known-errors")
    page.goto(f"/incidents/{incident['id']}")
    card = page.locator("#known-errors")
    assert "Restart the consumers" in card.inner_text()
    card.locator("select[name=comment]").select_option("public")
    card.locator("button:has-text('It was this')").click()
    done(page)
    assert "Confirmed" in card.inner_text()
    opened(page, "Resolve")
    assert "Restart the consumers" in page.input_value("#notes")
    for system in SYSTEMS:
        until(
            f"the workaround at {system}",
            lambda system=system: any(
                "Restart the consumers" in each for each in hub.desks.ticket(system, keys[system]).comments
            ),
        )
