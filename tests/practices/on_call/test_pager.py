"""A pager keeps what it is told: raised once per incident, told when somebody has it and when it is over, never in a circle."""

from __future__ import annotations

import asyncio
import json

import pytest
from django.conf import settings

from isthmus.connectors.kit.faults import Fault
from isthmus.hub import polling
from isthmus.hub.intake.keys import RingKeys
from isthmus.hub.intake.log import open_log
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.observing import Seen, reaction_to
from isthmus.hub.pump.pump import Pump
from isthmus.kernel.actor import system
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.ledger.ids import source
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import acts, index
from isthmus.practices.monitoring import service as monitoring
from isthmus.practices.monitoring.models import Alert
from isthmus.practices.on_call import escalating, service
from isthmus.practices.on_call.models import Acknowledgement

RESOLVED = {"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Restarted."}


def section(*channels):
    steps = [{"after": f"PT{place}M", "notify": [{"channel": each}]} for place, each in enumerate(channels)]
    policies = [{"name": "p", "trigger": "priority", "ladder": "one", "priorities": ["1"]}]
    held = {
        "pd": {"connection": "pagerduty", "recipient": "Checkout"},
        "pd-again": {"connection": "pagerduty", "recipient": "Payments"},
        "pd-or-slack": {"connection": "pagerduty", "recipient": "Checkout", "fallback": "slack-ops"},
        "slack-ops": {"connection": "slack", "recipient": "C0OPS"},
    }
    return {"channels": held, "ladders": {"one": {"steps": steps}}, "policies": policies}


def play(world, act, *channels, kinds=("pagerduty", "slack"), more=None):
    async def run():
        async with world(*kinds, more=more, **section(*(channels or ("pd",)))) as found:
            await act(found, found.simulators["pagerduty"])

    asyncio.run(run())


def told(pager):
    """What the pager was told by events: (action, key)."""
    return [(each["event_action"], each["dedup_key"]) for _, each in pager.shelf("event").all()]


async def asked(found):
    """What the lane of the pager was given to do."""
    rows = Delivery.objects.filter(connection="pagerduty").order_by("id")
    return await found.store(lambda: list(rows.values_list("verb", flat=True)))


def held(pager):
    return [each["status"] for _, each in pager.shelf("alert").all()]


async def update(found, incident, values):
    await found.on(incident, incidents.update, values)
    await found.settle()


async def heard(found, pager, *, kind="", occurred_at=""):
    """Hand on what the pager has sent by webhook since the last time: all, or those of a kind, with another time."""
    await pager.settled()
    outcomes = []
    for webhook in pager.outbox.sent:
        payload = webhook.payload
        if occurred_at:
            payload["event"]["occurred_at"] = occurred_at
        if payload["event"]["event_type"].endswith(kind):
            outcomes += await found.press("pagerduty", json.dumps(payload).encode())
    pager.outbox.sent.clear()
    return outcomes


def test_an_incident_is_raised_acknowledged_and_resolved_at_the_pager_with_its_evidence(world):
    async def act(found, pager):
        incident = await found.opened()
        await found.settle()
        await found.forward(61)
        key = f"isthmus/incident:{incident.id}"
        assert set(told(pager)) == {("trigger", key)}
        assert held(pager) == ["triggered"], "two steps of one ladder are one incident there"
        (escalation,) = await found.escalations()
        await found.perform(
            lambda work: escalating.acknowledge(work, escalating.of(escalation.id), door="console")
        )
        await found.settle()
        assert held(pager) == ["acknowledged"]
        await update(found, incident, {"state": "in_progress"})
        await update(found, incident, RESOLVED)
        assert held(pager) == ["resolved"]
        first = (await found.notifications())[0]
        assert [each["state"] for each in first.receipts] == ["delivered", "acknowledged", "resolved"]
        assert all(each["ref"] == key for each in first.receipts)

    play(world, act, "pd", "pd-again")


def test_a_channel_that_keeps_nothing_hears_nothing_of_the_end(world):
    async def act(found, pager):
        incident = await found.opened()
        await found.settle()
        assert len(found.simulators["slack"].messages()) == 1
        before = len(found.simulators["slack"].calls)
        await update(found, incident, RESOLVED)
        assert len(found.simulators["slack"].calls) == before
        assert told(pager) == []

    play(world, act, "slack-ops")


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("status", ["acknowledged", "resolved"])
def test_who_takes_it_at_the_pager_stops_the_ladder_and_is_not_told_so_again(world, status, keys):
    async def act(found, pager):
        pager.shows_keys = keys
        await found.opened()
        await found.settle()
        assert await heard(found, pager) == []
        pager.turn("PI000001", status, "Ada at the pager")
        (outcome,) = await heard(found, pager)
        assert outcome.what == "entry"
        (escalation,) = await found.escalations()
        assert escalation.state == "acknowledged"
        await found.forward(120)
        assert await asked(found) == ["notify"]
        assert len(await found.notifications()) == 1, "the next step is not taken any more"

    play(world, act, "pd", "pd-again")


def test_a_lost_webhook_is_made_up_for_by_the_poll_and_counts_once(world):
    async def act(found, pager):
        await found.opened()
        await found.settle()
        log = await found.store(lambda: open_log(settings.ISTHMUS, RingKeys()))
        try:
            await polled(found, log)
            pager.turn("PI000001", "acknowledged", "Ada at the pager")
            await polled(found, log)
            (escalation,) = await found.escalations()
            assert escalation.state == "acknowledged"
            (late, *_) = [each for each in await heard(found, pager) if each.what != "ignored"]
            assert late.what == "repeat", "the webhook comes after all"
            assert len(await found.store(lambda: list(Acknowledgement.objects.all()))) == 1
            assert await found.store(lambda: list(Alert.objects.all())) == []
        finally:
            log.close()

    play(world, act, "pd", "pd-again")


async def polled(found, log):
    """Poll the pager and pump what it tells, as the work process does."""
    found.book.clock.forward(seconds=120)
    await found.store(lambda: polling.ensure_scheduled(source.now()))
    assert await polling.run_due(log, source.now()) == 1
    pump = Pump(log)

    def rounds():
        while pump.round():
            pass

    await found.store(rounds)


def test_what_the_pager_tells_of_the_last_time_does_not_stop_the_ladder_of_this_time(world):
    async def act(found, pager):
        await found.opened()
        await found.settle()
        pager.turn("PI000001", "acknowledged", "Ada")
        (outcome,) = await heard(found, pager, kind="acknowledged", occurred_at="2020-01-01T00:00:00Z")
        assert (outcome.what, "before" in outcome.reason) == ("ignored", True)
        (escalation,) = await found.escalations()
        assert escalation.state == "running"

    play(world, act, "pd", "pd-again")


def test_a_strangers_pager_stops_nobodys_ladder(world):
    async def act(found, pager):
        incident = await found.opened()
        await found.settle()
        key = f"isthmus/incident:{incident.id}"
        seen = Seen(
            message_position=1, place=0, connection="slack", organisation=found.book.organisation, received_at=source.now(),
            message_id=source.new_id(), trace=source.new_trace(),
            observation=Observation(
                kind="acknowledgement", external=ExternalRef(connection="slack", kind="button", key="k"),
                values={"notification": key, "action": "acknowledge"},
            ),
        )  # fmt: skip
        react = reaction_to("acknowledgement")
        (outcome,) = await found.perform(lambda work: react(work, [seen], work.now))
        assert outcome.what == "ignored"
        (escalation,) = await found.escalations()
        assert escalation.state == "running"

    play(world, act, "pd", "pd-again")


def test_a_ladder_that_is_begun_anew_by_hand_resolves_nothing(world):
    async def act(found, pager):
        incident = await found.opened(impact="3", urgency="3")
        where = found.book.organisation

        def page(work):
            return service.page(
                work, ladder="one", subject_kind="incident", subject=incident.id, organisation=where
            )

        first = await found.perform(page)
        await found.settle()
        await found.perform(
            lambda work: escalating.acknowledge(work, escalating.of(first.id), door="console")
        )
        await found.settle()
        await found.perform(page)
        await found.settle()
        assert [action for action, _ in told(pager)] == ["trigger", "acknowledge", "trigger"]
        assert "resolved" not in held(pager)

    play(world, act)


def test_an_end_that_does_not_stick_is_evidence_too(world):
    async def act(found, pager):
        incident = await found.opened()
        await found.settle()
        pager.events.integrations.clear()
        await update(found, incident, RESOLVED)
        for _ in range(12):
            await found.forward(3_600)
        (notification,) = await found.notifications()
        last = notification.receipts[-1]
        assert last["state"] == "not resolved"
        assert "integration key" in last["cause"]
        assert held(pager) == ["triggered"]

    play(world, act)


def test_a_page_whose_answer_was_lost_is_not_forgotten_when_nobody_is_needed_any_more(world):
    async def act(found, pager):
        incident = await found.opened()
        pager.faults.plan(Fault.RESET_AFTER_COMMIT, method="POST")
        await found.settle()
        assert held(pager) == ["triggered"]
        await update(found, incident, RESOLVED)
        for _ in range(4):
            await found.forward(120)
        assert held(pager) == ["resolved"]
        (notification,) = await found.notifications()
        assert [each["state"] for each in notification.receipts] == ["delivered", "resolved"]

    play(world, act)


def test_a_page_in_doubt_that_another_way_took_over_from_hears_of_the_end_too(world):
    async def act(found, pager):
        incident = await found.opened()
        pager.faults.plan(Fault.RESET_AFTER_COMMIT, method="POST")
        await found.settle()
        await found.forward(11)
        assert len(found.simulators["slack"].messages()) == 1, (
            "without a receipt in time the next way is taken"
        )
        for _ in range(4):
            await found.forward(120)
        await update(found, incident, RESOLVED)
        assert held(pager) == ["resolved"]

    play(world, act, "pd-or-slack")


# Alerts --------------------------------------------------------------------------------------------------


def mirrored(**more):
    return {"monitoring": {"alert_mirrors": [{"connection": "pagerduty", **more}]}}


async def alert(found, *, state="firing", severity="critical", connection="am", host="till-4"):
    now = source.now()
    values = {
        "state": state, "severity": severity, "summary": f"Down on {host}", "labels": {"alertname": "Down", "host": host},
        "annotations": {}, "starts_at": now, "ends_at": now if state == "resolved" else None, "external_key": host,
    }  # fmt: skip
    external = ExternalRef(connection=connection, kind="alert", key=host)
    seen = Seen(
        message_position=int(now), place=0, connection=connection, organisation=found.book.organisation, received_at=now,
        message_id=source.new_id(), trace=source.new_trace(),
        observation=Observation(kind="alert", external=external, values=values, event_id=source.new_id()),
    )  # fmt: skip
    await found.perform(
        lambda work: monitoring.take(work, [seen], work.now), actor=system("pump"), channel="webhook"
    )
    await found.forward(1)
    (row,) = await found.store(lambda: list(Alert.objects.filter(external_key=host)))
    return row


@pytest.fixture(autouse=True)
def nothing_in_memory():
    index.forget()
    yield
    index.forget()


def test_an_alert_is_raised_acknowledged_when_taken_and_resolved_when_it_clears(world):
    async def act(found, pager):
        row = await alert(found)
        key = f"isthmus/alert:{row.id}"
        assert told(pager) == [("trigger", key)]
        assert (await again(found, row)).told["mirror:pagerduty"]["state"] == "kept"
        await alert(found)
        assert len(told(pager)) == 1, "a repeat says nothing new"
        await found.perform(lambda work: acts.act(work, acts.load(work, [row.id])[row.id], "acknowledge"))
        await found.settle()
        await alert(found, state="resolved")
        assert [action for action, _ in told(pager)] == ["trigger", "acknowledge", "resolve"]
        assert held(pager) == ["resolved"]
        await alert(found)
        assert held(pager) == ["resolved", "triggered"], "it fires again: somebody is paged again"

    play(world, act, "slack-ops", more=mirrored())


async def again(found, row):
    return (await found.store(lambda: list(Alert.objects.filter(id=row.id))))[0]


def test_what_the_mirror_does_not_want_is_not_raised_and_never_resolved(world):
    async def act(found, pager):
        await alert(found, severity="warning", host="a")
        await alert(found, severity="warning", host="a", state="resolved")
        await alert(found, connection="other", host="b")
        await alert(found, connection="pagerduty", host="c")
        assert told(pager) == []

    play(world, act, "slack-ops", more=mirrored(sources=["am", "pagerduty"]))


def test_who_takes_an_alert_at_the_pager_has_it_here_and_the_pager_hears_no_echo(world):
    async def act(found, pager):
        row = await alert(found)
        pager.turn("PI000001", "acknowledged", "Ada at the pager")
        outcomes = await heard(found, pager)
        assert [each.what for each in outcomes] == ["entry"]
        await found.settle()
        assert (await again(found, row)).taken_by == "Ada at the pager"
        assert await asked(found) == ["notify"]

    play(world, act, "slack-ops", more=mirrored())


def test_a_page_that_could_not_be_raised_stands_at_the_alert(world):
    async def act(found, pager):
        pager.events.integrations.clear()
        row = await alert(found)
        for _ in range(12):
            await found.forward(3_600)
        row = await again(found, row)
        assert row.astray
        assert "integration key" in row.told["mirror:pagerduty"]["why"]

    play(world, act, "slack-ops", more=mirrored())
