"""Rotas, channels and ladders that the tests of escalation share, and how one of them is played."""

from __future__ import annotations

import asyncio

from isthmus.kernel.instant import SECOND
from isthmus.practices.on_call import triggers

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

LEVELS = {"service_levels": [{"name": "gold", "targets": {"resolution": {"within": "PT60S"}}}]}


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
