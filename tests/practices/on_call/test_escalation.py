"""E2: ladders, channels, acknowledgement, fall-backs, restarts; real lanes and simulators, a clock that moves."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.slack.webhook import encoded
from isthmus.hub import connections
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ConnectionState
from isthmus.kernel.instant import SECOND
from isthmus.ledger.columns import open_json
from isthmus.practices.incident import service as incidents
from isthmus.practices.on_call import duty, escalating, links, triggers
from isthmus.practices.on_call.models import Acknowledgement, ContactCard

ROTAS = {
    "ops": {"zone": "Europe/Berlin", "layers": [{"name": "one", "participants": ["ada"]}]},
    "second": {"layers": [{"name": "one", "participants": ["ben"]}]},
}
CHANNELS = {
    "slack-ops": {"connection": "slack", "recipient": "C0OPS", "fallback": "mail-ops"},
    "teams-ops": {"connection": "teams", "recipient": "any"},
    "mail-ops": {"connection": "smtp", "recipient": "ops@example.test"},
    "mail": {"connection": "smtp"},
    "dm": {"connection": "slack", "fallback": "mail"},
}
SHARES = {
    "steps": [
        {"percent": each, "notify": [{"channel": "slack-ops"}, {"channel": "teams-ops"}]}
        for each in (50, 75, 100)
    ]
}
LADDERS = {
    "shares": SHARES,
    "timed": {"steps": [{"after": f"PT{each}S", "notify": [{"channel": "slack-ops"}, {"channel": "teams-ops"}]} for each in (30, 45, 60)]},
    "people": {"steps": [{"after": "PT0S", "notify": [{"rota": "ops"}]}, {"after": "PT5M", "notify": [{"rota": "second"}]}]},
}  # fmt: skip
PEOPLE = {"methods": ["mail"]}


def section(**more):
    return {"rotas": ROTAS, "channels": CHANNELS, "ladders": LADDERS, "people": PEOPLE} | more


def policy(trigger, ladder, **more):
    return {"policies": [{"name": f"{trigger}-policy", "trigger": trigger, "ladder": ladder, **more}]}


def play(world, act, *kinds, more=None, **on_call):
    async def run():
        async with world(*(kinds or ("slack", "teams", "smtp")), more=more, **on_call) as found:
            await act(found)

    asyncio.run(run())


def counts(found):
    return tuple(len(found.simulators[each].messages()) for each in ("slack", "teams"))


async def used(found, incident, percent):
    """What the clock of a 60-s service level tells."""
    await found.perform(
        lambda work: triggers.threshold(
            work, clock="clock-1", organisation=incident.organisation, subject_kind="incident", subject=incident.id,
            target="resolution", percent=percent, deadline=incident.opened_at + 60 * SECOND,
        )
    )  # fmt: skip
    await found.settle()


def test_at_half_three_quarters_and_all_of_the_time_each_channel_gets_one_message(world):
    async def act(found):
        incident = await found.opened()
        for seconds, percent, expected in ((30, 50, 1), (15, 75, 2), (15, 100, 3)):
            await found.forward(seconds - 1)
            assert counts(found) == (expected - 1, expected - 1), "not before its time"
            await found.forward(1)
            await used(found, incident, percent)
            await used(found, incident, percent)
            assert counts(found) == (expected, expected), "once, though the clock said it twice"
        first, second, last = found.simulators["slack"].messages()
        assert incident.number in first["text"]
        assert "50 %" in first["text"]
        left = [int(re.search(r"(\d+) s left", each["text"])[1]) for each in (first, second)]
        assert 15 < left[0] <= 30, "a slow machine takes a second or two itself"
        assert 0 < left[1] <= 15
        assert "overdue by" in last["text"]
        assert "Till 4 is down" not in json.dumps(first), "restricted data stays behind the link"
        assert f"https://hub.example.test/incidents/{incident.id}" in json.dumps(first)

    play(world, act, **section(**policy("sla", "shares")))


LEVELS = {"service_levels": [{"name": "gold", "targets": {"resolution": {"within": "PT60S"}}}]}


def test_the_clock_of_a_service_level_of_a_minute_tells_at_30_45_and_60_seconds(world):
    async def act(found):
        await found.opened()
        await found.settle()
        seen = []
        for _ in range(14):
            await found.forward(5)
            seen.append(counts(found))
        assert [seen.index((each, each)) for each in (1, 2, 3)] == [5, 8, 11], "at 30, 45 and 60 s"
        assert seen[-1] == (3, 3)

    play(world, act, more=LEVELS, **section(**policy("sla", "shares")))


def test_acknowledged_at_half_the_clock_runs_on_and_tells_nobody(world):
    async def act(found):
        await found.opened()
        await found.forward(31)
        slack = found.simulators["slack"]
        await found.press("slack", encoded(slack.button(slack.messages()[0])))
        await found.forward(60)
        assert counts(found) == (1, 1)

    play(world, act, more=LEVELS, **section(**policy("sla", "shares")))


def test_a_ladder_by_time_does_the_same(world):
    async def act(found):
        await found.opened()
        await found.settle()
        seen = []
        for _ in range(14):
            await found.forward(5)
            seen.append(counts(found))
        assert [seen.index((each, each)) for each in (1, 2, 3)] == [5, 8, 11], "at 30, 45 and 60 s"
        assert seen[-1] == (3, 3)

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_another_priority_begins_no_ladder(world):
    async def act(found):
        await found.opened(impact="4", urgency="4")
        await found.forward(600)
        assert counts(found) == (0, 0)
        assert await found.escalations() == []

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_acknowledging_with_the_button_at_half_ends_it(world):
    async def act(found):
        incident = await found.opened()
        await used(found, incident, 50)
        slack = found.simulators["slack"]
        (outcome,) = await found.press("slack", encoded(slack.button(slack.messages()[0])))
        assert outcome.what == "entry"
        for percent in (75, 100):
            await found.forward(15)
            await used(found, incident, percent)
        assert counts(found) == (1, 1)
        (escalation,) = await found.escalations()
        assert (escalation.state, escalation.acknowledged_by) == ("acknowledged", "")
        (said,) = await found.store(lambda: list(Acknowledgement.objects.all()))
        assert (said.door, said.partner_actor) == ("button", "U0ADA")
        (again,) = await found.press("slack", encoded(slack.button(slack.messages()[0])))
        assert again.what == "repeat"

    play(world, act, **section(**policy("sla", "shares")))


def test_a_button_of_a_strange_message_or_connection_ends_nothing(world):
    async def act(found):
        incident = await found.opened()
        await used(found, incident, 50)
        slack = found.simulators["slack"]
        pressed = slack.button(slack.messages()[0])
        pressed["actions"][0]["value"] = "01KB0000000000000000000009:0"
        (outcome,) = await found.press("slack", encoded(pressed))
        assert outcome.what == "ignored"
        teams = (await found.notifications(connection="teams"))[0]
        pressed["actions"][0]["value"] = f"{teams.id}:0"
        (outcome,) = await found.press("slack", encoded(pressed))
        assert outcome.what == "ignored"
        assert (await found.escalations())[0].state == "running"

    play(world, act, **section(**policy("sla", "shares")))


def test_a_known_member_who_presses_is_the_person_of_ours(world):
    async def act(found):
        card = [{"channel": "dm", "address": "U0ADA"}]
        await found.perform(lambda work: duty.set_card(work, found.people["ada"], methods=card))
        incident = await found.opened()
        await found.settle()
        (message,) = found.simulators["slack"].messages()
        assert message["channel"] == "D0ADA"
        await found.press("slack", encoded(found.simulators["slack"].button(message)))
        (escalation,) = await found.escalations(subject=incident.id)
        assert escalation.acknowledged_by == found.people["ada"]
        await found.forward(900)
        assert found.simulators["smtp"].messages() == []

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_slack_500_and_the_mail_server_gets_it_once(world):
    async def act(found):
        found.simulators["slack"].faults.plan(Fault.STATUS, status=500, times=1_000)
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(8):
            await found.forward(5)
        assert len(found.simulators["smtp"].messages()) == 1
        assert counts(found) == (0, 1)
        assert incident.number in found.simulators["smtp"].messages()[0]["title"]
        found.simulators["slack"].faults.clear()
        for _ in range(8):
            await found.forward(30)
        assert len(found.simulators["smtp"].messages()) == 1
        assert counts(found) == (0, 1), "what was given up is not sent after all"
        sent = (await found.notifications(recipient="channel:slack-ops"))[0]
        assert [each["state"] for each in sent.receipts] == ["no receipt", "delivered"]

    play(world, act, **section(**policy("sla", "shares")))


def test_slack_refusing_falls_to_mail_at_once(world):
    async def act(found):
        found.simulators["slack"].channels.clear()
        incident = await found.opened()
        await used(found, incident, 50)
        assert len(found.simulators["smtp"].messages()) == 1

    play(world, act, **section(**policy("sla", "shares")))


def test_a_busy_slack_is_waited_for_within_patience(world):
    async def act(found):
        found.simulators["slack"].faults.plan(Fault.STATUS, status=429, retry_after_seconds=3)
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(3):
            await found.forward(2)
        assert counts(found) == (1, 1)
        assert found.simulators["smtp"].messages() == []

    play(world, act, **section(**policy("sla", "shares")))


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER_COMMIT, Fault.BAD_JSON])
def test_a_lost_answer_makes_no_second_message_in_slack(world, fault):
    async def act(found):
        found.simulators["slack"].faults.plan(fault, path="chat.postMessage")
        incident = await found.opened()
        await used(found, incident, 50)
        for _ in range(20):
            await found.forward(5)
        assert counts(found)[0] == 1

    channels = {**CHANNELS, "slack-ops": {**CHANNELS["slack-ops"], "patience": "PT2M"}}
    play(world, act, **section(**policy("sla", "shares"), channels=channels))


def test_the_rota_decides_and_an_override_sends_the_next_one_to_somebody_else(world):
    async def act(found):
        await found.opened()
        await found.settle()
        now = found.now()
        await found.perform(
            lambda work: duty.override(work, "ops", person="cai", starts_at=now, ends_at=now + 3_600 * SECOND)
        )
        await found.opened(title="Till 5 is down")
        await found.settle()
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ada@example.test",
            "cai@example.test",
        ]
        await found.forward(300)
        assert [each["to"] for each in found.simulators["smtp"].messages()][2:] == ["ben@example.test"] * 2

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_nobody_on_duty_brings_the_next_step_forward(world):
    async def act(found):
        await found.opened()
        await found.settle()
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ben@example.test"]

    rotas = {**ROTAS, "ops": {"layers": [{"name": "one", "participants": ["nobody-here"]}]}}
    play(world, act, **section(**policy("priority", "people", priorities=["1"]), rotas=rotas))


def test_a_gap_takes_no_step_of_a_later_round(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (held,) = await found.escalations()
        assert (held.state, held.fired, len(await found.notifications())) == ("running", ["0:0", "0:1"], 0)
        await found.forward(60)
        assert (await found.escalations())[0].fired == ["0:0", "0:1"]
        await found.apply(**section(**urgent, ladders=again))
        await found.forward(61)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ada@example.test"]

    nobody = {"ops": {"layers": [{"name": "one", "participants": ["nobody-here"]}]}}
    steps = [{"after": "PT0S", "notify": [{"rota": "ops"}]}, {"after": "PT1M", "notify": [{"rota": "ops"}]}]
    again = {"people": {"repeat": 20, "repeat_after": "PT1M", "steps": steps}}
    urgent = policy("priority", "people", priorities=["1"])
    play(world, act, **section(**urgent, rotas=nobody, ladders=again))


def test_an_integration_that_fails_pages_its_owner_and_then_level_two(world):
    async def act(found):
        await found.settle()
        assert await found.escalations() == []

        def broken(work):
            key = {"organisation": found.book.organisation, "connection": "teams"}
            work.upsert(ConnectionState, key=key, values={"breaker": "open", "last_error_at": work.now})

        await found.perform(broken)
        await found.forward(10)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ada@example.test"]
        assert "teams" in found.simulators["smtp"].messages()[0]["title"]
        await found.forward(299)
        assert len(found.simulators["smtp"].messages()) == 1
        await found.forward(2)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ada@example.test",
            "ben@example.test",
        ]

    owned = {"owners": {"connections": {"teams": "ops"}}}
    ladder = {
        "steps": [
            {"after": "PT0S", "notify": [{"rota": "@owner"}]},
            {"after": "PT5M", "notify": [{"rota": "second"}]},
        ]
    }
    play(world, act, **section(**policy("integration", "owner"), **owned, ladders={"owner": ladder}))


def test_an_integration_that_recovers_or_is_acknowledged_pages_nobody_further(world):
    async def act(found):
        key = {"organisation": found.book.organisation, "connection": "teams"}

        async def breaker(state):
            await found.perform(
                lambda work: work.upsert(
                    ConnectionState, key=key, values={"breaker": state, "last_error_at": work.now}
                )
            )

        await breaker("open")
        await found.forward(10)
        await breaker("closed")
        await found.forward(600)
        assert len(found.simulators["smtp"].messages()) == 1
        await breaker("open")
        await found.forward(10)
        (running,) = await found.escalations(state="running")
        await found.perform(lambda work: escalating.acknowledge(work, escalating.of(running.id), door="api"))
        await found.forward(600)
        assert len(found.simulators["smtp"].messages()) == 2

    ladder = {
        "steps": [
            {"after": "PT0S", "notify": [{"rota": "ops"}]},
            {"after": "PT5M", "notify": [{"rota": "second"}]},
        ]
    }
    play(world, act, **section(**policy("integration", "owner"), ladders={"owner": ladder}))


def test_a_restart_in_the_middle_repeats_nothing_and_loses_nothing(world):
    async def act(found):
        await found.opened()
        await found.forward(30)
        assert counts(found) == (1, 1)
        await found.reopen()
        await found.forward(5)
        assert counts(found) == (1, 1)
        # The hub is down over the second step and comes back before the third.
        found.book.clock.forward(seconds=20)
        await found.reopen()
        await found.settle()
        assert counts(found) == (2, 2)
        await found.forward(10)
        assert counts(found) == (3, 3)

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_a_process_that_died_during_the_call_looks_before_it_sends(world):
    """The store as a killed process leaves it: calls begun, messages sent, no answer recorded."""

    async def act(found):
        incident = await found.opened()
        lanes, found.lanes = found.lanes, {}
        await used(found, incident, 50)
        found.lanes = lanes
        payloads = await found.store(
            lambda: {
                each.connection: open_json(each.payload)["message"]
                for each in Delivery.objects.filter(verb="notify")
            }
        )
        keys = {each.connection: each.key for each in await found.store(lambda: list(Delivery.objects.all()))}
        # Slack had it before the process died, Teams had not.
        client = (await found.store(lambda: connections.open("slack"))).client
        await client.notify(message=payloads["slack"], idempotency_key=keys["slack"])
        await client.close()
        await found.perform(
            lambda work: [
                work.advance(Delivery, where={"id": each.id}, values={"state": "sending"})
                for each in Delivery.objects.filter(verb="notify")
            ]
        )
        await found.reopen()
        for _ in range(4):
            await found.forward(5)
        assert counts(found) == (1, 1), (
            "found in Slack; Teams cannot be asked: once more, as nothing else is left"
        )
        sent = {each.recipient: each for each in await found.notifications()}
        assert sent["channel:slack-ops"].receipts[-1]["read_back"] is True
        assert [each["state"] for each in sent["channel:teams-ops"].receipts] == [
            "in doubt",
            "delivered",
        ]

    play(world, act, **section(**policy("sla", "shares")))


def test_a_resolved_incident_calls_nobody_any_more(world):
    async def act(found):
        incident = await found.opened()
        await found.forward(30)
        await found.on(incident, incidents.resolve, code="solved", notes="Restarted.")
        await found.forward(600)
        assert counts(found) == (1, 1)
        assert [(each.state, each.open) for each in await found.escalations()] == [("stopped", False)]
        await found.on(incident, incidents.reopen)
        await found.forward(30)
        assert counts(found) == (2, 2), "taken up again, a ladder of its own begins"

    play(world, act, **section(**policy("priority", "timed", priorities=["1"])))


def test_the_signed_link_names_one_notification_and_a_forged_one_nothing(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (notification,) = await found.notifications()
        text = found.simulators["smtp"].messages()[0]["text"]
        address = next(word for word in text.split() if "/on-call/acknowledge/" in word)
        token = address.rpartition("/")[2]
        assert links.opened(token) == notification.id
        with pytest.raises(Exception, match="not valid"):
            links.opened(f"{token[:-2]}xx")

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_quiet_hours_hold_what_is_not_urgent_and_a_digest_tells_it(world):
    async def act(found):
        always = [{"start": "00:00", "end": "24:00"}]
        card = [{"channel": "mail", "address": "ada@home.test"}]
        await found.perform(
            lambda work: duty.set_card(work, found.people["ada"], methods=card, quiet_hours=always)
        )
        for title in ("one", "two"):
            await found.opened(title=title)
        await found.settle()
        assert found.simulators["smtp"].messages() == []
        assert {each.state for each in await found.notifications()} == {"held"}
        await found.perform(lambda work: duty.set_card(work, found.people["ada"], methods=card))
        at = max(each.held_until for each in await found.notifications())
        await found.forward((at - found.now()) / SECOND + 1)
        (digest,) = found.simulators["smtp"].messages()
        assert (digest["to"], digest["title"]) == ("ada@home.test", "2 notifications in one")

    calm = {"calm": {"urgent": False, "steps": [{"after": "PT0S", "notify": [{"rota": "ops"}]}]}}
    play(world, act, **section(**policy("priority", "calm", priorities=["1"]), ladders=calm))


def test_urgent_ones_break_through_quiet_hours(world):
    async def act(found):
        always = [{"start": "00:00", "end": "24:00"}]
        card = [{"channel": "mail", "address": "ada@home.test"}]
        await found.perform(
            lambda work: duty.set_card(work, found.people["ada"], methods=card, quiet_hours=always)
        )
        await found.opened()
        await found.settle()
        assert [each["to"] for each in found.simulators["smtp"].messages()] == ["ada@home.test"]

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_a_flood_becomes_one_digest(world):
    async def act(found):
        for number in range(6):
            await found.opened(title=f"number {number}")
        await found.settle()
        assert len(found.simulators["smtp"].messages()) == 2
        await found.forward(61)
        assert len(found.simulators["smtp"].messages()) == 3
        assert found.simulators["smtp"].messages()[2]["title"] == "4 notifications in one"

    noise = {"noise": {"urgent_per_recipient": 2, "window": "PT1M"}}
    only = {"one": {"steps": [{"after": "PT0S", "notify": [{"rota": "ops"}]}]}}
    play(world, act, **section(**policy("priority", "one", priorities=["1"]), ladders=only, **noise))


def test_each_reader_gets_their_language_and_zone(world):
    async def act(found):
        card = [{"channel": "mail", "address": "ada@home.test"}]
        await found.perform(
            lambda work: duty.set_card(
                work, found.people["ada"], methods=card, locale="de", zone="Europe/Berlin"
            )
        )
        await found.opened()
        await found.settle()
        mail = found.simulators["smtp"].messages()[0]
        assert "Priorität 1" in mail["title"]
        assert "CET" in mail["text"] or "CEST" in mail["text"]
        assert "(hinter dem Link)" in mail["text"]

    play(world, act, **section(**policy("priority", "people", priorities=["1"])))


def test_an_address_is_sealed_with_the_persons_key(world):
    async def act(found):
        card = [{"channel": "mail", "address": "very-private@home.test"}]
        await found.perform(lambda work: duty.set_card(work, found.people["ada"], methods=card))
        from isthmus.kernel.actor import system
        from isthmus.ledger import erasure

        held = await found.store(lambda: ContactCard.objects.get(person=found.people["ada"]).methods)
        assert held == card
        await found.store(lambda: erasure.erase_person(found.people["ada"], actor=system("test"), why="left"))
        held = await found.store(lambda: ContactCard.objects.get(person=found.people["ada"]).methods)
        assert held == "[erased]"

    play(world, act, **section())


def test_a_manual_page_functional_and_hierarchical(world):
    async def act(found):
        incident = await found.opened(assignment_group="desk")
        await found.perform(
            lambda work: escalating.start(
                work, key=f"manual:{incident.id}", policy="", trigger="manual", ladder="up", subject_kind="incident",
                subject=incident.id, organisation=incident.organisation, comment="Please help",
            )
        )  # fmt: skip
        await found.settle()
        again = await found.store(lambda: incidents.Incident.objects.get(id=incident.id))
        assert again.assignment_group == "network"
        await found.forward(60)
        assert [each["to"] for each in found.simulators["smtp"].messages()] == [
            "ben@example.test",
            "cai@example.test",
        ]

    groups = {"groups": {"network": {"members": ["ben"], "manager": "cai"}, "desk": {"members": ["ada"]}}}
    up = {
        "steps": [
            {"after": "PT0S", "assign": "network", "notify": [{"group": "@assigned"}]},
            {"after": "PT1M", "notify": [{"manager_of": "@assigned"}]},
        ]
    }
    play(world, act, **section(ladders={"up": up}, **groups))


def test_age_stall_and_major_begin_their_ladders_when_it_is_time(world):
    async def act(found):
        incident = await found.opened(impact="3", urgency="3")
        await found.forward(50)
        await found.on(incident, incidents.update, {"category": "till"})
        await found.forward(50)
        assert [each.policy for each in await found.escalations()] == ["old"]
        await found.forward(15)
        assert [each.policy for each in await found.escalations()] == ["old", "still"]
        await found.on(incident, incidents.declare_major, owner="desk", reason="Everywhere")
        await found.settle()
        assert [each.policy for each in await found.escalations()] == ["old", "still", "big"]

    one = {"one": {"steps": [{"after": "PT0S", "notify": [{"channel": "mail-ops"}]}]}}
    policies = [
        {"name": "old", "trigger": "age", "ladder": "one", "after": "PT90S"},
        {"name": "still", "trigger": "stall", "ladder": "one", "after": "PT60S"},
        {"name": "big", "trigger": "major", "ladder": "one"},
    ]
    play(world, act, **section(ladders=one, policies=policies))
