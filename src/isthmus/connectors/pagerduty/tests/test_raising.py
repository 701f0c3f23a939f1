"""What the hub raises: once whatever is lost, proven where REST may look, ended with what it is about, and no alert."""

import datetime as dt
import json

import pytest

from isthmus.connectors.kit import doubt
from isthmus.connectors.kit.conformance.playing import poll
from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.pagerduty import polling
from isthmus.connectors.pagerduty.tests.test_events import MESSAGE
from isthmus.connectors.pagerduty.tests.test_incidents import SOURCE, context, effect, play
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome

KEY = "isthmus/incident:01J"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("isthmus.connectors.pagerduty.rest.LOOKS", (0.0, 0.01))
    doubt.raised(happened_perhaps=False)


def raised(client, key="n-1:0", *, doubtful=False, **more):
    doubt.raised(happened_perhaps=doubtful)
    return client.notify(message={**MESSAGE, **more}, idempotency_key=key)


def incidents(simulator):
    return [each for _, each in simulator.shelf("alert").all()]


def sent(simulator):
    return [each["event_action"] for _, each in simulator.shelf("event").all()]


WITHOUT_REST = {"url": "", "api_token": None}


def test_what_is_raised_is_read_back_by_its_key_and_a_second_message_about_it_joins_it():
    async def act(simulator, client):
        first = await raised(client)
        again = await raised(client, "n-2:0", title="INC-000042 still needs somebody")
        return first, again, incidents(simulator)

    first, again, held = play(act)
    assert (first.ref.key, first.version) == (KEY, "PI000001")
    assert first.ref.url == held[0]["html_url"]
    assert again.ref.key == KEY
    assert len(held) == 1


@pytest.mark.parametrize("keys", [True, False])
def test_an_incident_that_does_not_show_its_key_is_found_by_its_alert(keys):
    async def act(simulator, client):
        simulator.shows_keys = keys
        simulator.trigger("Another thing")
        return await raised(client)

    assert play(act).version == "PI000002"


def test_an_alert_that_was_grouped_into_another_incident_counts_as_raised():
    async def act(simulator, client):
        simulator.events.grouped = simulator.trigger("Everything is slow")
        written = await raised(client)
        return written, len(incidents(simulator))

    written, count = play(act)
    assert (written.version, count) == ("PI000001", 1)


def test_a_202_without_an_incident_is_told_and_where_nobody_can_look_it_is_only_not_proven():
    async def act(simulator, client):
        simulator.events.dropped = True
        return await raised(client)

    with pytest.raises(UnknownOutcome) as caught:
        play(act)
    assert "no open incident shows its key" in caught.value.text
    assert "maintenance" in caught.value.remedy
    assert play(act, **WITHOUT_REST).version == ""


@pytest.mark.parametrize("rest", [True, False])
def test_after_an_answer_that_was_lost_there_is_one_incident_with_and_without_a_look(rest):
    async def act(simulator, client):
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, method="POST")
        with pytest.raises(UnknownOutcome):
            await raised(client)
        await raised(client, doubtful=True)
        return len(incidents(simulator)), sent(simulator)

    count, events = play(act, **({} if rest else WITHOUT_REST))
    assert count == 1
    assert events == (["trigger"] if rest else ["trigger", "trigger"])


def test_the_same_key_at_another_integration_is_another_incident():
    async def act(simulator, client):
        simulator.events.integrations["f" * 32] = ("PSVC002", "Payments")
        await raised(client)
        other = {"routing_key": "f" * 32, "event_action": "trigger", "dedup_key": KEY}
        payload = {"summary": "s", "source": "x", "severity": "error"}
        await client._events._http.call("POST", "/v2/enqueue", json={**other, "payload": payload})
        mine = await client._rest.open_by_key(KEY)
        return len(incidents(simulator)), mine.service.id

    assert play(act, services=["PSVC001"]) == (2, "PSVC001")


def test_a_throttled_service_is_left_alone_for_as_long_as_it_says():
    async def act(simulator, client):
        simulator.events.allowed = 0
        return await raised(client)

    with pytest.raises(Retryable) as caught:
        play(act)
    assert caught.value.after_seconds == 17


def test_a_wrong_integration_key_is_for_the_operator_and_a_wrong_event_is_not():
    async def act(simulator, client):
        simulator.events.integrations.clear()
        return await raised(client)

    with pytest.raises(NeedsOperator) as caught:
        play(act)
    assert "routing_key" in caught.value.remedy

    async def wrong(simulator, client):
        await client._events.send({"event_action": "trigger", "dedup_key": KEY, "payload": {"summary": "s"}})

    with pytest.raises(Rejected) as refused:
        play(wrong)
    assert {each.path for each in refused.value.problems} == {"/source", "/severity"}


def test_without_an_integration_nothing_is_raised_and_without_both_nothing_is_opened():
    async def act(simulator, client):
        return await raised(client)

    with pytest.raises(NeedsOperator) as caught:
        play(act, routing_key=None)
    assert "routing_key" in caught.value.remedy
    with pytest.raises(NeedsOperator):
        play(act, routing_key=None, url="")


@pytest.mark.parametrize(("verb", "status"), [("acknowledge", "acknowledged"), ("resolve", "resolved")])
def test_what_becomes_of_ours_is_said_by_event_noted_in_the_users_name_and_said_once(verb, status):
    async def act(simulator, client):
        await raised(client)
        for _ in range(2):
            written = await effect(client, verb, KEY)
        notes = [each["content"] for _, each in simulator.shelf("note").all()]
        return incidents(simulator)[0]["status"], notes, sent(simulator), written

    held, notes, events, written = play(act)
    assert held == status
    assert len(notes) == 1
    assert notes[0].startswith("Alice: on it\n[isthmus:")
    assert events == (["trigger", verb] if verb == "acknowledge" else ["trigger", verb, verb])
    assert (written.ref.key, written.observation) == (KEY, None)


def test_without_rest_the_event_is_all_that_is_said():
    async def act(simulator, client):
        await raised(client)
        await effect(client, "resolve", KEY)
        with pytest.raises(NeedsOperator):
            await client.annotate(alert=KEY, labels={}, by="", text="x", idempotency_key="k")
        return incidents(simulator)[0]["status"], (await client.probe()).version

    assert play(act, **WITHOUT_REST) == ("resolved", "Events v2")


@pytest.mark.parametrize(("verb", "shown"), [("acknowledge", "triggered"), ("resolve", "triggered")])
def test_an_event_that_changed_nothing_is_told_and_sent_again(verb, shown):
    async def act(simulator, client):
        await raised(client)
        simulator.events.deaf = True
        with pytest.raises(Retryable) as caught:
            await effect(client, verb, KEY)
        simulator.events.deaf = False
        await effect(client, verb, KEY)
        return caught.value.text

    assert f"still {shown}" in play(act)


def test_a_note_about_ours_finds_its_incident_or_says_that_it_is_over():
    async def act(simulator, client):
        with pytest.raises(NotFound):
            await client.annotate(alert=KEY, labels={}, by="Ada", text="Looking", idempotency_key="k")
        await raised(client)
        await client.annotate(alert=KEY, labels={}, by="Ada", text="Looking", idempotency_key="k")
        return [each["content"] for _, each in simulator.shelf("note").all()]

    (note,) = play(act)
    assert note.startswith("Ada: Looking")


def test_who_takes_an_incident_is_assigned_where_they_are_known_and_nobody_else_is():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        await effect(client, "acknowledge", name, comment="")
        await raised(client)
        await effect(client, "acknowledge", KEY, comment="")
        return [(each["status"], [one["id"] for one in each["assignees"]]) for each in incidents(simulator)]

    assert play(act, users={"Alice": "PUSER7"}) == [("acknowledged", ["PUSER7"])] * 2
    assert play(act, users={"Bob": "PUSER8"}) == [("acknowledged", [])] * 2


def test_a_user_that_pagerduty_does_not_know_changes_nothing():
    async def act(simulator, client):
        name = simulator.trigger("Checkout is slow")
        with pytest.raises(Rejected):
            await effect(client, "acknowledge", name)
        return incidents(simulator)[0]["status"]

    assert play(act, **{"from": "nobody@example.test"}) == "triggered"


@pytest.mark.parametrize("keys", [True, False])
def test_ours_comes_back_as_somebody_who_looks_after_it_and_never_as_an_alert(keys):
    async def act(simulator, client):
        simulator.shows_keys = keys
        _, watermark = await poll(client)
        await raised(client)
        untouched, watermark = await poll(client, watermark)
        simulator.turn("PI000001", "acknowledged", "Ada")
        found, _ = await poll(client, watermark)
        await simulator.settled()
        told = [
            each
            for payload in simulator.outbox.sent
            for each in SOURCE.parse(json.dumps(payload.payload).encode(), {}, context())
        ]
        first, _ = await poll(client)
        return untouched, found, told, first

    untouched, found, told, first = play(act)
    assert untouched == []
    assert {each.kind for each in (*found, *told, *first)} == {"acknowledgement"}
    assert found[0].event_id == told[0].event_id
    assert (found[0].partner_actor, told[0].partner_actor) == ("Ada", "Ada")
    held = found[0].values["notification"]
    assert held == KEY if keys else held.startswith("#")


def test_what_happens_to_ours_after_its_acknowledgement_acknowledges_it_not_anew():
    async def act(simulator, client):
        _, watermark = await poll(client)
        await raised(client)
        simulator.turn("PI000001", "acknowledged", "Ada")
        await simulator.settled()
        event = simulator.outbox.sent[-1].payload["event"]
        acknowledged, _ = await poll(client, watermark)
        later = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        _, entry = list(simulator.shelf("log").all())[-1]
        change = {"id": "R999999", "type": "priority_change_log_entry", "created_at": later}
        simulator.shelf("log").put("R999999", {**entry, **change})
        changed, _ = await poll(client, watermark)
        return acknowledged, changed, event

    (acknowledged,), (changed,), event = play(act)
    assert (changed.event_id, changed.occurred_at) == (acknowledged.event_id, acknowledged.occurred_at)
    event |= {"event_type": "incident.priority_updated", "occurred_at": "2999-01-01T00:00:00Z"}
    assert SOURCE.parse(json.dumps({"event": event}).encode(), {}, context()) == []


def test_a_window_with_more_than_pagerduty_pages_to_is_halved(monkeypatch):
    monkeypatch.setattr(polling, "ROWS_MAX", 20)

    async def act(simulator, client):
        client._polling._size = 10
        names = [simulator.trigger(f"Incident {number}") for number in range(30)]
        for number, (key, entry) in enumerate(list(simulator.shelf("log").all())):
            at = f"2026-11-20T10:{number + 1:02d}:00.000000Z"
            simulator.shelf("log").put(key, {**entry, "created_at": at})
        monkeypatch.setattr(polling, "_LAG", 0)
        monkeypatch.setattr(polling, "WINDOWS_MAX", 40)
        found, _ = await poll(client, "2026-11-20T10:00:00Z")
        offsets = [
            int(each.query["offset"]) + int(each.query["limit"])
            for each in simulator.calls
            if "offset" in each.query
        ]
        return set(names), {each.external.key for each in found}, max(offsets)

    names, found, furthest = play(act)
    assert found == names
    assert furthest <= 20


def test_more_open_incidents_than_pagerduty_pages_to_are_told(monkeypatch):
    monkeypatch.setattr(polling, "ROWS_MAX", 20)

    async def act(simulator, client):
        client._polling._size = 10
        simulator.seed("alert", 30)
        return await poll(client)

    with pytest.raises(NeedsOperator) as caught:
        play(act)
    assert "services" in caught.value.remedy
