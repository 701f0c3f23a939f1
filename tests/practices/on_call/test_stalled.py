"""A workflow that stalls reaches the people of its ladder, with partner and age; one that goes on reaches nobody."""

from __future__ import annotations

import asyncio
import re

from isthmus.practices.incident import custody, service
from isthmus.practices.incident.ledger import offer

ON_CALL = {
    "channels": {"ops": {"connection": "slack", "recipient": "C0OPS"}},
    "ladders": {"night": {"steps": [{"after": "PT0S", "notify": [{"channel": "ops"}]}]}},
}
MORE = {
    "desks": {"service-desk": {}, "vendor": {"kind": "supplier"}},
    "forwarding": {
        "contracts": [{"name": "support", "from": ["service-desk"], "to": ["vendor"], "accept_within": "PT40S", "path": "night"}]
    },
    "waits": {"pending_customer": {"limit": "PT60S", "path": "night"}},
}  # fmt: skip


def play(world, act):
    async def run():
        async with world("slack", more=MORE, **ON_CALL) as found:
            await act(found)

    asyncio.run(run())


def said(found):
    return [str(each) for each in found.simulators["slack"].messages()]


def test_an_offer_that_nobody_answers_tells_its_ladder_once_at_its_time(world):
    async def act(found):
        incident = await found.opened()
        await found.on(incident, custody.offer, taker="vendor", reason="Please.")
        await found.forward(39)
        assert said(found) == []
        await found.forward(2)
        (message,) = said(found)
        assert "vendor" in message
        assert re.search(r"Nothing happened for \d+", message), "its age, whatever the machine adds"
        await found.forward(600)
        assert len(said(found)) == 1

    play(world, act)


def test_an_answered_offer_tells_nobody(world):
    async def act(found):
        incident = await found.opened()
        row = await found.on(incident, custody.offer, taker="vendor", reason="Please.")
        await found.perform(lambda work: custody.accept(work, offer(row.id, work)))
        await found.forward(600)
        assert said(found) == []

    play(world, act)


def test_two_limits_fire_at_their_own_times(world):
    async def act(found):
        held, offered = (
            await found.opened(title="Waits for a customer"),
            await found.opened(title="Is offered"),
        )
        await found.on(held, service.update, {"state": "on_hold", "hold_reason": "customer"})
        await found.on(offered, custody.offer, taker="vendor", reason="Please.")
        await found.forward(41)
        assert len(said(found)) == 1
        await found.forward(15)
        assert len(said(found)) == 1
        await found.reopen()
        await found.forward(6)
        assert len(said(found)) == 2
        assert "customer" in said(found)[1]

    play(world, act)


def test_who_answers_in_time_ends_the_wait(world):
    async def act(found):
        held = await found.opened()
        await found.on(held, service.update, {"state": "on_hold", "hold_reason": "customer"})
        await found.on(held, service.update, {"state": "in_progress"})
        await found.forward(120)
        assert said(found) == []

    play(world, act)
