"""E2: what is not urgent waits, a flood becomes a digest, everybody reads their own language."""

from __future__ import annotations

from tests.practices.on_call.ladders import (
    play,
    policy,
    section,
)

from isthmus.kernel.instant import SECOND
from isthmus.practices.on_call import duty


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
