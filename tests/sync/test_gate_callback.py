"""F3, asynchronous: who asked is called back once it is decided. A real receiver, a real lane."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from isthmus.hub import connections, sweeper
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import HOUR, Instant
from isthmus.kernel.signature import SCHEMES
from isthmus.ledger.ids import source
from isthmus.practices.change import gate, service
from isthmus.practices.change.models import GateDecision
from isthmus.practices.configuration import service as configuration

SECRET = "whsec_Y2FsbGJhY2stc2VjcmV0LWtleQ=="


class Receiver:
    """A pipeline that listens; `answers` are the statuses of its next answers, then 204."""

    def __init__(self):
        self.got, self.answers = [], []

    async def take(self, request):
        self.got.append(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        return web.Response(status=self.answers.pop(0) if self.answers else 204)


@pytest.fixture
def pipeline(desk, monkeypatch):
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)

    @asynccontextmanager
    async def opened():
        receiver, app = Receiver(), web.Application()
        app.router.add_post("/hooks/isthmus", receiver.take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        try:
            async with desk() as found:
                hook = {
                    "connector": "webhook",
                    "config": {
                        "authentication": "standard_webhooks",
                        "secret": {"secret": "env:CALLBACK_SECRET"},
                        "url": f"http://127.0.0.1:{port}/hooks/isthmus",
                    },
                }
                others = {
                    name: {"connector": each, "config": found.simulators[name].config(found.urls[name])}
                    for name, each in (("snow", "servicenow"), ("jira", "jira"))
                }
                await found.apply(connections={**others, "pipeline": hook})
                yield found, receiver
        finally:
            await runner.cleanup()

    return opened


def story(pipeline, act):
    async def run():
        async with pipeline() as (desk, receiver):
            await act(desk, receiver)

    asyncio.run(run())


def person(desk, name, *roles):
    return Actor(
        kind=ActorKind.PERSON, id=f"person-{name}", label=name, roles=frozenset(roles),
        organisations=frozenset({desk.book.organisation}),
    )  # fmt: skip


async def raised(desk):
    """A change of Ada's, up for approval."""
    here, ada = desk.book.organisation, person(desk, "ada", "agent", "change_manager")

    def act(work):
        configuration.import_rows(
            work, [{"kind": "ci", "name": "leaf", "ci_class": "server"}], organisation=here, source="test"
        )

    await desk.perform(act)
    values = {
        "title": "New release", "cis": ["leaf"], "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
        "window_start": desk.book.clock.now(), "window_end": Instant(desk.book.clock.now() + 4 * HOUR),
    }  # fmt: skip
    change = await desk.perform(lambda work: service.create(work, values, organisation=here), actor=ada)
    for step in (service.submit, service.request_approval):
        await desk.perform(lambda work, step=step: step(work, service.load(work, change.id)), actor=ada)
    return change


async def asked(desk, change, *, callback="pipeline"):
    def act(work):
        return gate.ask(work, {"change": change.id}, organisation=desk.book.organisation, callback=callback)

    return await desk.perform(act, channel="api")


async def approved(desk, change):
    ben = person(desk, "ben", "approver")
    await desk.perform(lambda work: service.approve(work, service.load(work, change.id)), actor=ben)
    await sweep(desk)


async def sweep(desk):
    desk.book.clock.forward(seconds=2)
    await desk.store(lambda: sweeper.sweep(desk.book.clock.now()))
    await desk.settle()


def test_the_decision_is_told_once_signed_as_a_cloud_event(pipeline):
    async def act(desk, receiver):
        change = await raised(desk)
        answer = await asked(desk, change)
        await desk.settle()
        assert (answer.verdict, receiver.got) == ("wait", [])
        await approved(desk, change)
        ((headers, body),) = receiver.got
        assert SCHEMES["standard_webhooks"].verify(headers, body, [SECRET], _real_now()) is None
        assert SCHEMES["standard_webhooks"].verify(headers, body + b" ", [SECRET], _real_now()) is not None
        event = msgspec.json.decode(body)
        assert headers["content-type"] == "application/cloudevents+json"
        assert (event["specversion"], event["type"]) == ("1.0", "isthmus.gate.decided")
        assert event["id"] == headers["webhook-id"] == answer.record.id
        assert event["data"]["decision"] == "allow"
        assert event["subject"] == event["data"]["change"] == change.number
        for _ in range(3):
            await sweep(desk)
        assert len(receiver.got) == 1
        delivery = await desk.store(lambda: Delivery.objects.get(connection="pipeline"))
        assert (delivery.verb, delivery.state) == ("gate_decided", "done")

    story(pipeline, act)


def _real_now():
    """The signature carries the machine's time, whatever the story's clock says."""
    return Instant(source.now() - source.offset)


def test_a_receiver_that_is_down_is_told_later_under_the_same_id(pipeline):
    async def act(desk, receiver):
        receiver.answers = [503, 500]
        change = await raised(desk)
        await asked(desk, change)
        await approved(desk, change)
        for _ in range(8):
            desk.book.clock.forward(minutes=10)
            await sweep(desk)
        assert len(receiver.got) == 3
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1

    story(pipeline, act)


def test_an_answer_that_is_known_at_once_is_told_too_and_a_refused_one_says_deny(pipeline):
    async def act(desk, receiver):
        answer = await desk.perform(
            lambda work: gate.ask(
                work, {"change": "CHG-404404"}, organisation=desk.book.organisation, callback="pipeline"
            ),
            channel="api",
        )
        await desk.settle()
        assert answer.verdict == "deny"
        ((_, body),) = receiver.got
        assert msgspec.json.decode(body)["data"]["decision"] == "deny"

    story(pipeline, act)


@pytest.mark.parametrize("name", ["snow", "nobody"])
def test_only_a_connection_that_can_be_told_is_taken_as_callback(pipeline, name):
    async def act(desk, receiver):
        change = await raised(desk)
        with pytest.raises(Rejected) as refused:
            await asked(desk, change, callback=name)
        assert refused.value.problems[0].path == "/callback"
        assert await desk.store(GateDecision.objects.count) == 0
        assert receiver.got == []

    story(pipeline, act)


def test_a_receiver_without_the_signing_scheme_is_refused_by_the_blueprint(pipeline):
    async def act(desk, receiver):
        del receiver
        from isthmus.connectors.kit import config
        from isthmus.connectors.webhook.config import WebhookConfig

        with pytest.raises(Rejected):
            config.parse(
                WebhookConfig,
                {"authentication": "bearer", "secret": {"secret": "env:X"}, "url": "https://ci.example.com"},
            )
        with pytest.raises(Rejected):
            config.parse(WebhookConfig, {"authentication": "bearer", "secret": {"secret": "env:X"}})
        assert connections.get("pipeline").manifest.can("tell")

    story(pipeline, act)
