"""E2: whoever presses a button or opens a signed link, and what that ends."""

from __future__ import annotations

import pytest
from tests.practices.on_call.ladders import (
    LEVELS,
    counts,
    play,
    policy,
    section,
    used,
)

from isthmus.connectors.slack.webhook import encoded
from isthmus.practices.on_call import duty, links
from isthmus.practices.on_call.models import Acknowledgement


def test_acknowledged_at_half_the_clock_runs_on_and_tells_nobody(world):
    async def act(found):
        await found.opened()
        await found.forward(31)
        slack = found.simulators["slack"]
        await found.press("slack", encoded(slack.button(slack.messages()[0])))
        await found.forward(60)
        assert counts(found) == (1, 1)

    play(world, act, more=LEVELS, **section(**policy("sla", "shares")))


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
