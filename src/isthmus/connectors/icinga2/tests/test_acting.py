"""Acts that are read back, and names that never become code."""

import time

import pytest

from isthmus.connectors.icinga2.filters import of_matchers
from isthmus.connectors.icinga2.tests.played import QUEUE, play
from isthmus.connectors.kit.faults import Fault
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, UnknownOutcome
from isthmus.kernel.instant import HOUR, SECOND


def acknowledge(client, key="a-1", comment="INC-1"):
    return client.acknowledge(alert=QUEUE, labels={}, by="Ada", comment=comment, idempotency_key=key)


def test_an_acknowledgement_is_made_once_read_back_and_taken_back():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.check(QUEUE, 2)
        made = await acknowledge(client)
        await acknowledge(client, "a-2")
        back = await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="u")
        again = await client.unacknowledge(alert=QUEUE, labels={}, by="Ada", comment="", idempotency_key="v")
        actions = [each.path for each in simulator.calls if "/actions/" in each.path]
        return made, back, again, actions

    made, back, again, actions = play(act)
    assert made.observation.values["acknowledged"] is True
    assert made.observation.values["acknowledged_by"] == "Ada"
    assert back.observation.values["acknowledged"] is False
    assert again.observation.values["acknowledged"] is False
    assert actions == ["/v1/actions/acknowledge-problem", "/v1/actions/remove-acknowledgement"]


def test_what_has_recovered_needs_no_acknowledgement_and_what_is_gone_is_said():
    async def act(simulator, client):
        simulator.add(QUEUE)
        over = await acknowledge(client)
        simulator.delete(QUEUE)
        with pytest.raises(NotFound):
            await acknowledge(client)
        return over, [each.path for each in simulator.calls if "/actions/" in each.path]

    over, actions = play(act)
    assert over.observation.values["state"] == "resolved"
    assert actions == []


def test_a_note_whose_answer_was_lost_is_found_and_not_doubled():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, path="/actions/")
        note = {"alert": QUEUE, "labels": {}, "by": "Ada", "text": "look at INC-1", "idempotency_key": "n-1"}
        with pytest.raises(UnknownOutcome):
            await client.annotate(**note)
        await client.annotate(**note)
        await client.annotate(**{**note, "idempotency_key": "n-2"})
        return [each["author"] for _, each in simulator.shelf("comment").all()]

    assert play(act) == ["Ada", "Ada"]


def silence(client, **more):
    now = int(time.time() * SECOND)
    asked = {"matchers": [], "starts_at": now, "ends_at": now + HOUR, "by": "Ada", "comment": "CHG-1", "alert": QUEUE,
             "idempotency_key": "s-1"}  # fmt: skip
    return client.silence(**{**asked, **more})


def test_a_downtime_whose_answer_was_lost_is_found_and_not_doubled_and_removed_once():
    async def act(simulator, client):
        simulator.add(QUEUE)
        simulator.faults.plan(Fault.RESET_AFTER_COMMIT, path="/actions/schedule-downtime")
        with pytest.raises(UnknownOutcome):
            await silence(client)
        made = await silence(client)
        count = len(simulator.shelf("downtime"))
        for key in ("u-1", "u-2"):
            await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key=key)
        return made, count, len(simulator.shelf("downtime"))

    made, count, left = play(act)
    assert (count, left) == (1, 0)
    assert made.observation.values["comment"] == "CHG-1"
    assert made.observation.correlation


def test_matchers_put_every_object_that_fits_in_downtime_and_one_key_ends_them_all():
    async def act(simulator, client):
        for number in (1, 2, 3):
            simulator.add(f"web-0{number}.example.test!queue-depth")
        simulator.add("db-01.example.test!queue-depth")
        made = await silence(
            client,
            alert="",
            matchers=[
                {"label": "host", "op": "=~", "value": "web-.*"},
                {"label": "check", "op": "=", "value": "queue-depth"},
                {"label": "host", "op": "!=", "value": "web-03.example.test"},
            ],
        )
        hosts = sorted(each["host_name"] for _, each in simulator.shelf("downtime").all())
        await client.unsilence(silence=made.ref.key, by="Ada", comment="", idempotency_key="u")
        return hosts, len(simulator.shelf("downtime"))

    assert play(act) == (["web-01.example.test", "web-02.example.test"], 0)


def test_values_never_become_part_of_an_expression():
    found = of_matchers([{"label": "host", "op": "=", "value": '" || true || "'}])
    assert found["filter"] == "(host.name == v0)"
    assert found["filter_vars"] == {"v0": '" || true || "'}
    assert found["all_services"] is True


@pytest.mark.parametrize(
    "matchers",
    [[], [{"label": "team", "op": "=", "value": "x"}], [{"label": "host", "op": "<", "value": "x"}]],
)
def test_what_icinga_cannot_say_is_refused_and_nothing_is_written(matchers):
    async def act(simulator, client):
        with pytest.raises(Rejected):
            await silence(client, alert="", matchers=matchers)
        return [each for each in simulator.calls if "/actions/" in each.path]

    assert play(act) == []


def test_a_permission_that_is_missing_is_named():
    async def act(simulator, client):
        simulator.permissions = ["objects/query/*", {"permission": "events/*"}, "actions/acknowledge-problem"]
        return (await client.probe()).missing_scopes

    assert play(act) == (
        "actions/remove-acknowledgement", "actions/schedule-downtime", "actions/remove-downtime", "actions/add-comment",
    )  # fmt: skip


def test_a_wrong_password_needs_a_person():
    async def act(simulator, client):
        simulator.password = "another"
        await anext(client.stream("alert"))

    with pytest.raises(NeedsOperator):
        play(act)
