"""On call in the console, the API and the command line's API: calendar, overrides, acknowledgement, the card."""

from __future__ import annotations

import json

import pytest

from isthmus.blueprint import running, service
from isthmus.blueprint.source import Source
from isthmus.hub import connections
from isthmus.kernel.instant import HOUR, to_rfc3339
from isthmus.practices.on_call import escalating, links
from isthmus.practices.on_call.models import ContactCard, Escalation, Notification, RotaOverride

SECTIONS = {
    "connections": {"mail": {"connector": "smtp", "config": {"host": "127.0.0.1", "sender": "hub@example.test", "security": "none"}}},
    "on_call": {
        "rotas": {"desk": {"layers": [{"name": "week", "participants": ["agent"]}]},
                  "gaps": {"layers": [{"name": "none", "participants": ["nobody-here"]}]}},
        "channels": {"mail": {"connection": "mail"}, "ops": {"connection": "mail", "recipient": "ops@example.test"}},
        "ladders": {"page": {"steps": [{"after": "PT0S", "notify": [{"rota": "desk"}]}, {"after": "PT5M", "notify": [{"channel": "ops"}]}]}},
        "people": {"methods": ["mail"]},
    },
}  # fmt: skip


@pytest.fixture
def here(desk):
    desk.book.perform(lambda work: service.apply(work, Source(sections=SECTIONS)))
    running.forget()
    connections.forget()
    yield desk
    running.forget()
    connections.forget()


def card_of(desk, role="agent", address="agent@example.test"):
    client = desk.client(role)
    body = {"methods": [{"channel": "mail", "address": address}], "locale": "de", "zone": "Europe/Berlin"}
    return client.put("/api/v1/on-call/contact", json.dumps(body), content_type="application/json")


def paged(desk, client=None):
    client = client or desk.client("agent")
    return client.post(f"/incidents/{desk.incident.id}/page", {"ladder": "page", "comment": "Please"})


def test_the_calendar_shows_who_is_on_duty_and_where_nobody_is(here):
    for view in ("", "?view=week", "?mine=1", "?rota=desk&date=2026-10-25", "?date=nonsense"):
        answer = here.client("viewer").get(f"/on-call{view}")
        assert answer.status_code == 200
    text = here.client("viewer").get("/on-call").content.decode()
    assert "desk: agent" in text
    assert "gaps: nobody" in text
    assert "Somebody takes over" not in text, "a viewer sets nothing"
    assert "Somebody takes over" in here.client("agent").get("/on-call").content.decode()


def test_an_override_is_set_shown_and_taken_back(here):
    client = here.client("agent")
    form = {
        "rota": "desk",
        "person": "viewer",
        "starts_at": "",
        "ends_at": "2099-01-01T00:00",
        "reason": "Swap",
    }
    client.post("/on-call/overrides", form)
    assert RotaOverride.objects.count() == 0, "longer than an override may be"
    soon = to_rfc3339(here.book.clock.now() + 2 * HOUR)
    client.post("/on-call/overrides", {**form, "ends_at": soon[:16]})
    (override,) = RotaOverride.objects.all()
    (who,) = (each for each in client.get("/api/v1/on-call/who").json()["items"] if each["rota"] == "desk")
    assert (who["name"], who["override"]) == ("viewer", override.id)
    client.post(f"/on-call/overrides/{override.id}/cancel")
    (who,) = client.get("/api/v1/on-call/who?rota=desk").json()["items"]
    assert who["name"] == "agent"


def test_a_refused_override_says_which_field_is_wrong_and_keeps_what_was_typed(here):
    client = here.client("agent")
    form = {
        "rota": "gaps",
        "person": "nobody-here",
        "ends_at": "2099-01-01T00:00",
        "reason": "A typing error",
    }
    answer = client.post("/on-call/overrides", form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "nobody-here&#x27; is nobody here" in text
    assert "ends at: an override ends after it starts" in text
    assert all(f'value="{each}"' in text for each in ("nobody-here", "2099-01-01T00:00", "A typing error"))
    assert '<option value="gaps" selected>' in text
    assert RotaOverride.objects.count() == 0
    assert client.get("/on-call/overrides?view=week").headers["Location"] == "/on-call?view=week"
    assert "A typing error" not in client.get("/on-call").content.decode()


def test_a_refused_card_says_which_way_is_wrong_and_keeps_what_was_typed(here):
    form = {
        "channel": ["mail", "mail"],
        "address": ["agent@example.test", "x" * 400],
        "zone": "Nowhere/Land",
        "locale": "de",
    }
    answer = here.client("agent").post("/on-call/contact", form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "methods 2 address: is no address" in text
    assert "Nowhere/Land&#x27; is no time zone" in text
    assert all(f'value="{each}"' in text for each in ("agent@example.test", "x" * 400, "Nowhere/Land"))
    assert ContactCard.objects.count() == 0


def test_nobody_without_the_permission_sets_an_override_or_acknowledges(here):
    soon = to_rfc3339(here.book.clock.now() + 2 * HOUR)
    body = json.dumps({"rota": "desk", "person": "viewer", "ends_at": soon})
    answer = here.client("viewer").post("/api/v1/on-call/overrides", body, content_type="application/json")
    assert answer.status_code == 403
    card_of(here)
    paged(here)
    (escalation,) = Escalation.objects.all()
    here.client("viewer").post(f"/on-call/escalations/{escalation.id}/acknowledge")
    assert Escalation.objects.get().state == "running"


def test_an_agent_pages_and_acknowledges_on_the_page_of_the_incident(here):
    card_of(here)
    client = here.client("agent")
    assert paged(here, client).status_code == 303
    text = client.get(f"/incidents/{here.incident.id}").content.decode()
    assert "I take it" in text
    (escalation,) = Escalation.objects.all()
    (notification,) = Notification.objects.all()
    assert notification.state == "queued"
    client.post(
        f"/on-call/escalations/{escalation.id}/acknowledge", {"next": f"/incidents/{here.incident.id}"}
    )
    assert Escalation.objects.get().state == "acknowledged"
    assert Notification.objects.get().state == "withdrawn", "what has not left is taken back"
    for path in (
        "/on-call/escalations",
        f"/on-call/escalations/{escalation.id}",
        "/on-call/notifications?state=withdrawn",
    ):
        assert client.get(path).status_code == 200


def test_paging_twice_is_paging_once(here):
    card_of(here)
    paged(here)
    paged(here)
    assert Notification.objects.count() == 1


def test_the_signed_link_acknowledges_only_with_its_button_and_only_if_genuine(here):
    card_of(here)
    paged(here)
    (notification,) = Notification.objects.all()
    token = links.acknowledge(notification.id).rpartition("/")[2] or _token(notification.id)
    anybody = here.client()
    opened = anybody.get(f"/on-call/acknowledge/{token}")
    assert opened.status_code == 200
    # No other site is told the address, and the form may name its own: without that a browser's answer is refused.
    assert opened["Referrer-Policy"] == "same-origin"
    assert Escalation.objects.get().state == "running", "opening it changes nothing"
    assert anybody.post(f"/on-call/acknowledge/{token[:-1]}x").status_code == 403
    assert Escalation.objects.get().state == "running"
    assert anybody.post(f"/on-call/acknowledge/{token}").status_code == 200
    found = Escalation.objects.get()
    assert (found.state, found.acknowledged_by) == ("acknowledged", here.people["agent"])


def _token(notification):
    from django.core import signing

    return signing.dumps(notification, salt=links._SALT, compress=False)


def test_a_card_is_its_persons_alone(here):
    assert card_of(here).status_code == 200
    mine = here.client("agent").get("/api/v1/on-call/contact").json()
    assert mine["methods"] == [{"channel": "mail", "address": "agent@example.test"}]
    assert here.client("administrator").get("/api/v1/on-call/contact").json()["methods"] == []
    token = here.token("oncall:read")
    answer = here.client(headers={"authorization": f"Bearer {token}"}).get("/api/v1/on-call/contact")
    assert answer.status_code == 409
    paged(here)
    for role in ("administrator", "auditor"):
        for path in ("/api/v1/notifications", "/on-call/notifications", "/on-call"):
            answer = here.client(role).get(path)
            assert "agent@example.test" not in answer.content.decode(), path


def test_the_card_of_the_page_is_the_card_of_the_api(here):
    client = here.client("agent")
    form = {
        "channel": ["mail", ""], "address": ["me@example.test", ""], "quiet_start": "22:00", "quiet_end": "07:00",
        "zone": "Europe/Berlin", "locale": "de",
    }  # fmt: skip
    client.post("/on-call/contact", form)
    card = ContactCard.objects.get()
    assert card.methods == [{"channel": "mail", "address": "me@example.test"}]
    assert card.quiet_hours[0]["start"] == "22:00"
    assert "me@example.test" in client.get("/on-call/contact").content.decode()
    client.post("/on-call/contact", {**form, "zone": "Mars/Base"})
    assert ContactCard.objects.get().zone == "Europe/Berlin", "refused with a reason"


def test_saving_the_page_keeps_what_it_does_not_show(here):
    quiet = [
        {"days": ["sat", "sun"], "start": "20:00", "end": "10:00"},
        {"days": ["mon"], "start": "22:00", "end": "07:00"},
    ]
    client = here.client("agent")
    methods = [{"channel": "mail", "address": "agent@example.test"}]
    body = json.dumps({"methods": methods, "quiet_hours": quiet, "locale": "fr"})
    assert client.put("/api/v1/on-call/contact", body, content_type="application/json").status_code == 200
    assert '<option value="fr" selected>' in client.get("/on-call/contact").content.decode()
    form = {"channel": "mail", "address": "new@example.test", "locale": "fr", "zone": ""}
    client.post("/on-call/contact", {**form, "quiet_start": "21:00", "quiet_end": "10:00"})
    card = client.get("/api/v1/on-call/contact").json()
    assert (card["locale"], card["methods"][0]["address"]) == ("fr", "new@example.test")
    assert card["quiet_hours"] == [{**quiet[0], "start": "21:00"}, quiet[1]]
    client.post("/on-call/contact", {**form, "quiet_start": "", "quiet_end": ""})
    assert client.get("/api/v1/on-call/contact").json()["quiet_hours"] == quiet[1:]


@pytest.mark.parametrize("path", ["/on-call", "/api/v1/on-call/who"])
def test_the_calendar_costs_the_same_number_of_queries_for_any_number_of_rotas(here, queries, path):
    client = here.client("viewer")

    def cost(rotas):
        sections = {**SECTIONS, "on_call": {**SECTIONS["on_call"], "rotas": rotas}}
        here.book.perform(lambda work: service.apply(work, Source(sections=sections)))
        running.forget()
        client.get(path)
        counted = []
        for _ in range(4):
            with queries() as asked:
                assert client.get(path).status_code == 200
            counted.append(sum("set_config" not in each["sql"] for each in asked))
        return min(counted)

    one = {"layers": [{"name": "week", "participants": ["agent"]}]}
    assert cost({"desk": one}) == cost({f"rota{number}": one for number in range(9)} | {"desk": one})


def test_a_dry_run_sends_nothing_and_shows_no_address(here):
    card_of(here)
    body = json.dumps({"person": "agent", "dry_run": True})
    said = (
        here.client("agent").post("/api/v1/notifications/test", body, content_type="application/json").json()
    )
    assert said["methods"] == [{"channel": "mail", "connection": "mail", "address": "a…@example.test"}]
    assert "Testnachricht" in said["title"]
    assert Notification.objects.count() == 0
    sent = here.client("agent").post(
        "/api/v1/notifications/test", json.dumps({"channel": "ops"}), content_type="application/json"
    )
    assert (sent.status_code, sent.json()["purpose"], sent.json()["state"]) == (201, "test", "queued")


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "none"},
        {"person": "none"},
        {"channel": "mail"},
        {},
        {"channel": "mail", "person": "viewer"},
    ],
)
def test_a_test_to_nobody_is_refused_with_a_reason(here, body):
    answer = here.client("agent").post(
        "/api/v1/notifications/test", json.dumps(body), content_type="application/json"
    )
    assert answer.status_code in {404, 422}
    assert Notification.objects.count() == 0


def test_a_rota_of_a_sibling_organisation_does_not_exist_here(here):
    amber = here.book.add_organisation("amber")
    here.book.add_organisation("basalt")
    rotas = {
        **SECTIONS["on_call"]["rotas"],
        "secret": {"organisation": "basalt", "layers": [{"name": "w", "participants": ["agent"]}]},
    }
    sections = {**SECTIONS, "on_call": {**SECTIONS["on_call"], "rotas": rotas}}
    here.book.perform(lambda work: service.apply(work, Source(sections=sections)))
    running.forget()
    here.add_person("amber-agent", "agent", organisation=amber)
    client = here.client("amber-agent")
    assert client.get("/api/v1/on-call/rotas").json()["items"] == []
    assert client.get("/api/v1/on-call/rotas/secret/duties").status_code == 404
    soon = to_rfc3339(here.book.clock.now() + 2 * HOUR)
    body = json.dumps({"rota": "secret", "person": "amber-agent", "ends_at": soon})
    assert client.post("/api/v1/on-call/overrides", body, content_type="application/json").status_code == 404
    assert "secret" not in client.get("/on-call").content.decode()


def test_what_is_about_one_organisation_reaches_nobody_of_its_sibling(here):
    from isthmus.practices.incident import service as incidents

    card_of(here)
    amber = here.book.add_organisation("amber")
    rotas = {"desk": {"organisation": "amber", "layers": [{"name": "w", "participants": ["agent"]}]}}
    sections = {**SECTIONS, "on_call": {**SECTIONS["on_call"], "rotas": rotas}}
    basalt = here.book.add_organisation("basalt")
    here.book.perform(lambda work: service.apply(work, Source(sections=sections)))
    running.forget()

    def page(work, where):
        incident = incidents.create(work, where, {"title": "Down"})
        return escalating.start(
            work, key=f"k{where}", policy="", trigger="manual", ladder="page", subject_kind="incident", subject=incident.id,
            organisation=where,
        )  # fmt: skip

    for where, told in ((amber, ["rota:desk"]), (basalt, ["channel:ops"])):
        made = here.book.perform(lambda work, where=where: page(work, where))
        assert [each.target for each in Notification.objects.filter(escalation=made.id)] == told
