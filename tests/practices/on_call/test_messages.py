"""What messages say, and what of it is kept: classes of data per channel, free text under a key, words for all."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.hub import sweeper
from isthmus.hub.lanes.calls import Fault, Result, Turn
from isthmus.hub.lanes.models import Delivery
from isthmus.kernel.errors import Forbidden
from isthmus.kernel.kinds.on_call import PURPOSES, TRIGGERS
from isthmus.ledger import reading
from isthmus.ledger.ids import source
from isthmus.ledger.keys import ERASED
from isthmus.practices.on_call import attempts, escalating, links, service, shapes
from isthmus.practices.on_call.blueprint import OnCallSection, templates_of
from isthmus.practices.on_call.models import Notification
from isthmus.practices.on_call.rules.wording import LANGUAGES, NAMES, Fact, filled, placeholders

TITLE = {"priority": {"en": {"title": "{title}", "text": "{title}"}}}
CHANNELS = {
    "dm": {"connection": "slack", "fallback": "mail", "show": ["operational", "internal", "free_text"]},
    "mail": {"connection": "smtp"},
    "bare": {"connection": "smtp", "recipient": "bare@example.test", "show": ["operational"]},
}
ROTAS = {"ops": {"layers": [{"name": "one", "participants": ["ada"]}]}}


def play(world, act, steps, *, kinds=("slack", "smtp"), **more):
    policies = [{"name": "p", "trigger": "priority", "ladder": "one", "priorities": ["1"]}]
    section = {
        "channels": CHANNELS,
        "rotas": ROTAS,
        "ladders": {"one": steps},
        "policies": policies,
        "templates": TITLE,
    }

    async def run():
        async with world(*kinds, **{**section, **more}) as found:
            await act(found)

    asyncio.run(run())


def one(target):
    return {"steps": [{"after": "PT0S", "notify": [target]}]}


@pytest.mark.parametrize("name", [each for each in (*TRIGGERS, *PURPOSES) if each != "step"])
def test_whatever_begins_a_message_has_words_in_each_language(name):
    words = templates_of(OnCallSection(), name)
    assert set(words) == set(LANGUAGES)
    for each in words.values():
        assert placeholders(each.title) | placeholders(each.text) <= set(NAMES)


def test_a_digest_says_on_each_channel_what_that_channel_may_show(world):
    async def act(found):
        from isthmus.practices.on_call import duty

        card = [{"channel": "dm", "address": "U0GONE"}, {"channel": "mail", "address": "ada@home.test"}]
        await found.perform(lambda work: duty.set_card(work, found.people["ada"], methods=card))
        for title in ("first", "private A", "private B"):
            await found.opened(title=title)
        await found.settle()
        await found.forward(61)
        digest = (await found.notifications(purpose="digest"))[0]
        said = [each for each in found.simulators["smtp"].messages() if "in one" in each["title"]]
        assert digest.channel == "mail", "Slack knows no such member: the fall-back carried it"
        assert [each["text"].count("(behind the link)") for each in said] == [2]
        for each in await found.notifications():
            assert "private" not in str(each.receipts)

    noise = {"urgent_per_recipient": 1, "window": "PT1M"}
    play(world, act, one({"rota": "ops"}), noise=noise)


def test_facts_beside_the_words_keep_to_the_classes_of_the_channel(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (mail,) = found.simulators["smtp"].messages()
        assert "Priority" not in str(mail)

    play(world, act, one({"channel": "bare"}))


def test_what_is_said_by_hand_is_kept_under_a_key(world):
    async def act(found):
        incident = await found.opened()
        made = await found.perform(
            lambda work: service.page(
                work, ladder="one", subject_kind="incident", subject=incident.id, organisation=incident.organisation,
                comment="Ask Eve, she is ill",
            )
        )  # fmt: skip
        (held,) = await found.escalations(id=made.id)
        assert held.comment == "Ask Eve, she is ill"
        from isthmus.kernel.actor import system
        from isthmus.ledger import erasure

        await found.store(lambda: erasure.erase_record(incident.id, actor=system("test"), why="asked for"))
        (held,) = await found.escalations(id=made.id)
        history = await found.store(lambda: reading.history(made.id))
        assert held.comment == ERASED
        assert "Eve" not in str([each.changes for each in history])

    play(world, act, one({"channel": "bare"}), policies=[])


def test_taken_while_it_is_being_sent_and_then_refused_tells_nobody_else(world):
    async def act(found):
        await found.opened()
        await found.store(lambda: sweeper.sweep(source.now()))
        (sent,) = await found.notifications()
        assert sent.state == "queued"

        await found.perform(
            lambda work: work.advance(Delivery, where={"id": sent.delivery}, values={"state": "sending"})
        )
        await found.perform(
            lambda work: escalating.acknowledge(
                work, escalating.of(sent.escalation), door="api", person=found.people["ada"]
            )
        )
        fault = Result(
            turn=Turn(due_id="", due_epoch=1, subject="", organisation="", do="once"),
            fault=Fault(fault="rejected", cause="no such member"),
        )
        await found.perform(
            lambda work: attempts.settled(work, Delivery.objects.get(id=sent.delivery), fault)
        )
        (again,) = await found.notifications()
        assert (again.state, again.attempt) == ("withdrawn", 0)

    play(world, act, one({"rota": "ops"}), people={"methods": ["mail", "dm"]})


def test_the_link_of_somebody_who_has_left_acknowledges_nothing(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (sent,) = await found.notifications()
        token = links.acknowledge(sent.id).rpartition("/")[2]
        assert (await found.store(lambda: service.by_link(token)))[0].id == sent.id
        from isthmus.identity.models import Person

        await found.perform(
            lambda work: work.change(Person.objects.get(id=found.people["ada"]), {"state": "left"}, why=[])
        )
        with pytest.raises(Forbidden, match="not valid"):
            await found.store(lambda: service.by_link(token))

    play(world, act, one({"rota": "ops"}), people={"methods": ["mail"]})


def test_an_erased_recipient_has_no_ways():
    assert Notification(methods=ERASED).ways == []


def test_what_is_behind_the_link_twice_in_a_row_is_said_once():
    facts = {name: Fact(value="secret", data_class="free_text") for name in ("comment", "title")}
    text = filled("{comment} {title} and {title}", facts, shown=(), locale="en")
    assert text == "(behind the link) and (behind the link)"


def test_a_message_that_no_channel_carried_names_none(world):
    async def act(found):
        await found.opened()
        await found.settle()
        (first, *_) = await found.notifications()
        assert (first.state, first.carrier) == ("failed", "")
        assert [each["channel"] for each in first.evidence] == [""]
        shown = await found.store(lambda: shapes.notification_out(first))
        assert shown["channel"] == ""

    play(world, act, one({"rota": "ops"}), people={"methods": []})
