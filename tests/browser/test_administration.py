"""Proof, rules, people and tokens in the browser."""

from __future__ import annotations

import io
import urllib.error
import urllib.request

import pytest
from console_hub import PASSWORD, sign_in, until
from playwright.sync_api import expect
from reading import done
from ruamel.yaml import YAML

pytestmark = pytest.mark.browser


def test_a_wrong_password_says_so_and_the_right_one_opens_the_page_that_was_asked_for(chromium, hub):
    context = chromium.new_context(base_url=hub.url)
    page = context.new_page()
    page.goto("/deliveries")
    assert "/accounts/login/" in page.url
    page.fill("#id_login", "olga")
    page.fill("#id_password", "wrong")
    page.click("main button.main")
    expect(page.get_by_role("alert")).to_have_count(1)
    page.fill("#id_password", PASSWORD)
    page.click("main button.main")
    page.wait_for_url("**/deliveries")
    context.close()


def test_a_blueprint_is_planned_applied_and_rolled_back(hub, browser):
    before = hub.ada.get("/blueprint")
    page = browser.open("ada", "/configuration")
    assert "Incident" in page.locator("details.card summary").all_inner_texts()
    wanted = {
        **before["sections"],
        "incident": {**before["sections"]["incident"], "default_group": "Front office"},
    }
    out = io.StringIO()
    YAML().dump(wanted, out)
    page.fill("#text", out.getvalue())
    page.click("button:has-text('Plan')")
    expect(page.locator("tr", has_text="/incident/default_group")).to_have_count(1)
    page.click("button:has-text('Apply this plan')")
    done(page)
    made = until("the new default group", lambda: _opened_with(hub, "Front office"))
    assert made["assignment_group"] == "Front office"
    page.goto(f"/configuration/{before['generation']}")
    page.click("button:has-text('Roll back')")
    done(page)
    until("the old default group", lambda: _opened_with(hub, before["sections"]["incident"]["default_group"]))


def _opened_with(hub, group):
    made = hub.ada.post("/incidents", {"title": "Who takes this", "impact": "3", "urgency": "3"})
    return made if made["assignment_group"] == group else None


def test_a_blueprint_with_an_error_is_refused_with_the_place(hub, browser):
    page = browser.open("ada", "/configuration")
    page.fill("#text", "incident: {default_grop: x}")
    page.click("button:has-text('Plan')")
    expect(page.locator(".card-bad", has_text="default_grop")).to_have_count(1)


def test_the_book_is_verified_and_the_pack_downloaded(hub, browser):
    page = browser.open("ada", "/audit")
    page.click("button:has-text('Verify now')")
    page.wait_for_selector(".card-good, .card-bad", timeout=30_000)
    assert "The book is sound." in page.content(), page.locator("section li").all_inner_texts()
    with page.expect_download() as download:
        page.click("button:has-text('Download the evidence pack')")
    assert download.value.suggested_filename == "isthmus-evidence.zip"
    assert download.value.path().stat().st_size > 10_000


def test_a_token_is_issued_works_is_revoked_and_works_no_more(hub, browser):
    page = browser.open("root", "/tokens")
    page.fill("#t-name", "reporting")
    page.check("input[value='incident:read']")
    page.click("button:has-text('Issue')")
    token = page.locator("pre").inner_text().strip()
    assert _status(hub, token) == 200
    page.goto("/tokens")
    page.locator("tr[data-row]", has_text="reporting").get_by_role("button", name="Revoke").click()
    done(page)
    until("the token to be refused", lambda: _status(hub, token) == 401)


def _status(hub, token):
    request = urllib.request.Request(
        f"{hub.url}/api/v1/incidents", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_a_person_is_added_signs_in_and_sees_what_their_role_allows(chromium, hub, browser):
    page = browser.open("root", "/people")
    page.locator("summary", has_text="Add a person").click()
    page.fill("#p-username", "finn")
    page.fill("#p-name", "Finn")
    page.fill("#p-password", PASSWORD)
    page.select_option("#p-role", "auditor")
    page.click("button.main:has-text('Add')")
    done(page)
    context = chromium.new_context(base_url=hub.url)
    theirs = context.new_page()
    sign_in(theirs, "finn")
    assert theirs.goto("/audit").status == 200
    assert theirs.goto("/people").status == 200
    assert theirs.locator("summary", has_text="Add a person").count() == 0
    page.get_by_role("button", name="Revoke Auditor from finn").click()
    done(page)
    until("finn to be turned away", lambda: theirs.goto("/audit").status == 403)
    context.close()


def test_signing_out_closes_every_page(chromium, hub):
    context = chromium.new_context(base_url=hub.url)
    page = context.new_page()
    sign_in(page, "olga")
    page.locator(".account summary").click()
    page.click("button:has-text('Sign out')")
    page.goto("/incidents")
    assert "/accounts/login/" in page.url
    context.close()
