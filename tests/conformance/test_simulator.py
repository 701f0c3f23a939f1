"""The simulator base: every fault does what its name says, so that tests built on it mean something."""

import asyncio

import pytest
from aiohttp import web

from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.errors import Retryable, UnknownOutcome


class Notes(Simulator):
    def routes(self):
        return [web.post("/notes", self._add), web.get("/notes", self._all)]

    def human_edit(self, kind, key, values):
        self.shelf(kind).put(key, dict(values))

    async def _add(self, request):
        note = await request.json()
        self.shelf("note").put(str(len(self.shelf("note")) + 1), note)
        self.emit({"added": note["n"]})
        return web.json_response(note)

    async def _all(self, request):
        return web.json_response(
            [item for _, item in self.shelf("note").all(lag_seconds=self.replica_lag_seconds)]
        )


class Sink(Simulator):
    def __init__(self):
        super().__init__()
        self.got = []

    def authorised(self, request):
        return True

    def routes(self):
        return [web.post("/hook", self._take)]

    async def _take(self, request):
        self.got.append((await request.json())["added"])
        return web.json_response({})


def play(act, seconds=15.0):
    async def run():
        vendor, sink = Notes(), Sink()
        url, sink_url = await vendor.start(), await sink.start()
        vendor.outbox.url = sink_url + "/hook"
        client = HttpClient(
            url,
            limits=Limits(request_seconds_max=seconds),
            headers={"Authorization": f"Bearer {vendor.token}"},
            allow_private_addresses=True,
        )
        try:
            return await act(vendor, client, sink)
        finally:
            await client.close()
            await vendor.stop()
            await sink.stop()

    return asyncio.run(run())


async def add(client, n):
    return await client.call("POST", "/notes", json={"n": n})


@pytest.mark.parametrize(
    ("fault", "how", "stored"),
    [
        (Fault.STATUS, {"status": 503}, 0),
        (Fault.RESET_BEFORE_COMMIT, {}, 0),
        (Fault.RESET_AFTER_COMMIT, {}, 1),
        (Fault.TIMEOUT_AFTER_COMMIT, {}, 1),
        (Fault.COMMIT_AFTER_TIMEOUT, {"delay_seconds": 4.0}, 1),
    ],
)
def test_a_failing_call_leaves_what_its_name_says(fault, how, stored):
    async def act(vendor, client, _):
        vendor.faults.plan(fault, **how)
        with pytest.raises(Retryable) as caught:
            await add(client, 1)
        at_once = len(vendor.shelf("note"))
        await vendor.settled()
        return type(caught.value), at_once, len(vendor.shelf("note"))

    kind, at_once, in_the_end = play(act, seconds=1.5)
    assert in_the_end == stored
    assert kind is (Retryable if fault is Fault.STATUS else UnknownOutcome)
    if fault is Fault.COMMIT_AFTER_TIMEOUT:
        assert at_once == 0


def test_a_lying_success_stores_nothing_and_notifies_nobody():
    async def act(vendor, client, sink):
        vendor.faults.plan(Fault.LYING_200)
        assert (await add(client, 1)).status == 200
        await vendor.settled()
        return len(vendor.shelf("note")), sink.got

    assert play(act) == (0, [])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (None, [1, 2]),
        (Fault.WEBHOOK_LOST, [2]),
        (Fault.WEBHOOK_TWICE, [1, 1, 2]),
        (Fault.WEBHOOK_REORDERED, [2, 1]),
        (Fault.WEBHOOK_LATE, [2, 1]),
        (Fault.WEBHOOK_DRIFT, ["drifted", 2]),
    ],
)
def test_webhooks_go_wrong_as_planned(fault, expected):
    async def act(vendor, client, sink):
        if fault:
            vendor.faults.plan(fault, delay_seconds=2.0, drift=lambda _: {"added": "drifted"})
        for n in (1, 2):
            await add(client, n)
            if fault not in {Fault.WEBHOOK_LATE, Fault.WEBHOOK_REORDERED}:
                await vendor.settled()
        await vendor.settled()
        return sink.got

    assert play(act) == expected


def test_a_webhook_can_arrive_before_the_response():
    async def act(vendor, client, sink):
        vendor.faults.plan(Fault.WEBHOOK_FIRST)
        await add(client, 1)
        return list(sink.got)

    assert play(act) == [1]


def test_a_lagging_replica_shows_the_past_and_catches_up():
    async def act(vendor, client, _):
        vendor.replica_lag_seconds = 60
        await add(client, 1)
        before = (await client.get("/notes")).wild().items()
        seen_before = len(list(before))
        vendor.shelf("note").age(61)
        return seen_before, len(list((await client.get("/notes")).wild().items()))

    assert play(act) == (0, 1)


def test_a_person_edits_between_our_read_and_our_write():
    async def act(vendor, client, _):
        await add(client, 1)
        vendor.after_read.append(lambda: vendor.human_edit("note", "1", {"n": 99}))
        first = (await client.get("/notes")).body
        return first, (await client.get("/notes")).body

    first, second = play(act)
    assert first == b'[{"n": 1}]'
    assert second == b'[{"n": 99}]'


def test_people_and_we_can_share_a_user():
    vendor = Notes()
    assert vendor.human != vendor.integration_user
    vendor.shared_user = True
    assert vendor.human == vendor.integration_user


def test_it_can_be_steered_over_http_and_keeps_a_log_of_calls():
    async def act(vendor, client, _):
        await client.call(
            "POST", "/_simulator/faults", json={"fault": "status", "status": 500, "path": "/notes"}
        )
        with pytest.raises(UnknownOutcome):
            await add(client, 1)
        await add(client, 2)
        await client.call("POST", "/_simulator/edit", json={"kind": "note", "key": "1", "values": {"n": 7}})
        calls = (await client.get("/_simulator/calls")).body
        return calls, [item for _, item in vendor.shelf("note").all()]

    calls, notes = play(act)
    assert calls.count(b'"path": "/notes"') == 2
    assert notes == [{"n": 7}]


def test_a_wrong_credential_is_answered_401_and_logged():
    async def act(vendor, client, _):
        vendor.revoked = True
        answer = await client.exchange("GET", "/notes")
        return answer.status, [each.status for each in vendor.calls]

    assert play(act) == (401, [401])
