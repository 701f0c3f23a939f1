"""What types cannot say about section `on_call`: references, contradictions, circles, words with unknown places."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from isthmus.blueprint.sections import Parsed
from isthmus.kernel import duration
from isthmus.kernel.errors import IsthmusError, Problem
from isthmus.practices.on_call.blueprint import (
    ASSIGNED,
    OWNER,
    PARTICIPANTS_MAX,
    STEPS_MAX,
    OnCallSection,
    StepSpec,
    templates_of,
)
from isthmus.practices.on_call.rules import wording
from isthmus.practices.on_call.words import BUILT_IN
from isthmus.practices.service_level import blueprint as levels


def check(section: OnCallSection, parsed: Parsed) -> list[Problem]:
    """Return what types cannot say: references, contradictions, words with unknown places."""
    return [
        *_check_rotas(section),
        *_check_channels(section, parsed),
        *_check_ladders(section),
        *_check_policies(section),
        *_check_shares(section, parsed),
        *_check_references(section, parsed),
        *_check_words(section),
        *_check_names(section),
        *_check_spans(section),
    ]


def _unknown(path: str, what: str, name: str, known: Any) -> Problem:
    there = ", ".join(sorted(known)) or "none"
    return Problem(path=path, message=f"There is no {what} {name!r}.", remedy=f"There are: {there}.")


def _zone(path: str, zone: str) -> list[Problem]:
    if not zone or zone in available_timezones():
        return []
    return [
        Problem(
            path=path, message=f"{zone!r} is no time zone.", remedy="Use an IANA name such as Europe/Berlin."
        )
    ]


def _check_rotas(section: OnCallSection) -> list[Problem]:
    problems: list[Problem] = []
    for name, spec in section.rotas.items():
        path = f"/rotas/{name}"
        problems += _zone(f"{path}/zone", spec.zone)
        if not spec.layers:
            problems.append(
                Problem(path=f"{path}/layers", message="A rota needs a layer.", remedy="Add one.")
            )
        for index, layer in enumerate(spec.layers):
            place = f"{path}/layers/{index}"
            problems += _zone(f"{place}/zone", layer.zone)
            if not 1 <= len(layer.participants) <= PARTICIPANTS_MAX:
                problems.append(
                    Problem(
                        path=f"{place}/participants",
                        message="A layer has 1 to 200 participants.",
                        remedy="Name the people who take turns.",
                    )
                )
            problems += duration.check(
                [(f"{place}/rotation", layer.rotation)],
                least=dt.timedelta(hours=1),
                most=dt.timedelta(days=366),
            )
    return problems


def _check_channels(section: OnCallSection, parsed: Parsed) -> list[Problem]:
    problems: list[Problem] = []
    connections = parsed.section("connections")
    for name, spec in section.channels.items():
        path = f"/channels/{name}"
        problems += _zone(f"{path}/zone", spec.zone)
        problems += duration.check(
            [(f"{path}/patience", spec.patience)], least=dt.timedelta(seconds=1), most=dt.timedelta(hours=1)
        )
        entry = connections.get(spec.connection)
        if entry is None:
            problems.append(_unknown(f"{path}/connection", "connection", spec.connection, connections))
        elif not _notifies(entry.connector):
            problems.append(
                Problem(
                    path=f"{path}/connection",
                    message=f"{spec.connection!r} ({entry.connector}) cannot carry messages to people.",
                    remedy="Name a connection of slack, teams, pagerduty, smtp, apprise or webhook.",
                )
            )
        if spec.fallback and spec.fallback not in section.channels:
            problems.append(_unknown(f"{path}/fallback", "channel", spec.fallback, section.channels))
        elif _circular(section, name):
            problems.append(
                Problem(
                    path=f"{path}/fallback",
                    message="The fall-backs go in a circle.",
                    remedy="End them somewhere.",
                )
            )
        elif spec.recipient and spec.fallback and not section.channels[spec.fallback].recipient:
            problems.append(
                Problem(
                    path=f"{path}/fallback",
                    message=f"{spec.fallback!r} has no recipient of its own.",
                    remedy="A channel with a recipient falls back to one with a recipient.",
                )
            )
    return problems


def _notifies(connector: str) -> bool:
    from isthmus.hub import inventory

    try:
        return inventory.find(connector).manifest.can("notify")
    except IsthmusError:
        return True  # the section `connections` says what is wrong


def _circular(section: OnCallSection, name: str) -> bool:
    seen: set[str] = set()
    while name and name in section.channels:
        if name in seen:
            return True
        seen.add(name)
        name = section.channels[name].fallback
    return False


def _check_ladders(section: OnCallSection) -> list[Problem]:
    problems: list[Problem] = []
    for name, spec in section.ladders.items():
        path = f"/ladders/{name}"
        if not 1 <= len(spec.steps) <= STEPS_MAX:
            problems.append(
                Problem(
                    path=f"{path}/steps", message=f"A ladder has 1 to {STEPS_MAX} steps.", remedy="Add one."
                )
            )
        problems += duration.check(
            [(f"{path}/repeat_after", spec.repeat_after)], least=dt.timedelta(seconds=1)
        )
        if spec.template and not templates_of(section, spec.template):
            problems.append(
                _unknown(f"{path}/template", "template", spec.template, {**BUILT_IN, **section.templates})
            )
        for index, step in enumerate(spec.steps):
            place = f"{path}/steps/{index}"
            if (step.after is None) == (step.percent is None):
                problems.append(
                    Problem(
                        path=place, message="Give either after or percent.", remedy="Keep one of the two."
                    )
                )
            if step.after is not None:
                problems += duration.check([(f"{place}/after", step.after)])
            problems += _check_targets(section, step, place)
    return problems


def _check_targets(section: OnCallSection, step: StepSpec, place: str) -> Iterator[Problem]:
    for number, target in enumerate(step.notify):
        path, plain = f"{place}/notify/{number}", target.plain()
        if len(plain) != 1:
            yield Problem(
                path=path,
                message="A target is exactly one of person, rota, group, channel, manager_of.",
                remedy="Write one target per line.",
            )
            continue
        ((kind, name),) = plain.items()
        known: dict[str, Any] = {
            "rota": {**section.rotas, OWNER: None}, "group": {**section.groups, ASSIGNED: None},
            "channel": section.channels, "manager_of": {**section.groups, ASSIGNED: None},
        }  # fmt: skip
        if kind in known and name not in known[kind]:
            yield _unknown(f"{path}/{kind}", kind.replace("manager_of", "group"), name, known[kind])
        elif kind == "channel" and not section.channels[name].recipient:
            yield Problem(
                path=f"{path}/channel",
                message=f"Channel {name!r} has no recipient: it is for people.",
                remedy="Give it a recipient, or name a person.",
            )


def _check_policies(section: OnCallSection) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, spec in enumerate(section.policies):
        path = f"/policies/{index}"
        if spec.name in seen:
            problems.append(
                Problem(
                    path=f"{path}/name",
                    message=f"Two policies are called {spec.name!r}.",
                    remedy="Rename one.",
                )
            )
        seen.add(spec.name)
        if spec.ladder not in section.ladders:
            problems.append(_unknown(f"{path}/ladder", "ladder", spec.ladder, section.ladders))
            continue
        waits = spec.trigger in {"age", "stall", "approval"}
        if waits != (spec.after is not None):
            problems.append(
                Problem(
                    path=f"{path}/after",
                    message=f"A policy on {spec.trigger} {'needs' if waits else 'takes no'} after.",
                    remedy="Say how long, e.g. PT30M."
                    if waits
                    else "Leave it out; steps have their own times.",
                )
            )
        if spec.after is not None:
            problems += duration.check([(f"{path}/after", spec.after)], least=dt.timedelta(seconds=1))
        shares = [each.percent for each in section.ladders[spec.ladder].steps if each.percent is not None]
        if shares and spec.trigger != "sla":
            problems.append(
                Problem(
                    path=f"{path}/ladder",
                    message=f"Ladder {spec.ladder!r} has steps by percent, which only trigger sla counts.",
                    remedy="Use a ladder whose steps have after.",
                )
            )
        if spec.trigger == "sla" and not shares:
            problems.append(
                Problem(
                    path=f"{path}/ladder",
                    message=f"Ladder {spec.ladder!r} has no step by percent.",
                    remedy="Give at least one step a percent, e.g. 75.",
                )
            )
    return problems


def _check_shares(section: OnCallSection, parsed: Parsed) -> Iterator[Problem]:
    """A step by percent is taken when a clock tells that percent: some definition must have it as a threshold."""
    definitions = parsed.section("service_levels")
    for index, policy in enumerate(section.policies):
        ladder = section.ladders.get(policy.ladder)
        if policy.trigger != "sla" or ladder is None or not definitions:
            continue
        told = {
            percent
            for each in definitions
            for target in each.targets
            if policy.target in {"", target}
            for percent in levels.thresholds(each, target)
        }
        for percent in sorted({each.percent for each in ladder.steps if each.percent is not None} - told):
            yield Problem(
                path=f"/policies/{index}/ladder",
                message=f"No clock tells when {percent} % of its time is used, as ladder {policy.ladder!r} waits for.",
                remedy=f"Add {percent} to the thresholds of a definition in service_levels.",
            )


def _check_references(section: OnCallSection, parsed: Parsed) -> Iterator[Problem]:
    owners, connections = section.owners, parsed.section("connections")
    for place, rota in (
        *((f"/owners/services/{name}", rota) for name, rota in owners.services.items()),
        *((f"/owners/connections/{name}", rota) for name, rota in owners.connections.items()),
        ("/owners/otherwise", owners.otherwise),
        *((f"/groups/{name}/rota", group.rota) for name, group in section.groups.items()),
    ):
        if rota and rota not in section.rotas:
            yield _unknown(place, "rota", rota, section.rotas)
    for name, group in section.groups.items():
        if group.channel and group.channel not in section.channels:
            yield _unknown(f"/groups/{name}/channel", "channel", group.channel, section.channels)
    for index, each in enumerate(section.people.methods):
        if each not in section.channels or section.channels[each].recipient:
            known = [name for name, spec in section.channels.items() if not spec.recipient]
            yield _unknown(f"/people/methods/{index}", "channel for people", each, known)
    for place, names in (
        ("owners/connections", owners.connections),
        ("watch/silent_after", section.watch.silent_after),
    ):
        for name in names:
            if name not in connections:
                yield _unknown(f"/{place}/{name}", "connection", name, connections)


def _check_words(section: OnCallSection) -> Iterator[Problem]:
    for name, locales in section.templates.items():
        for locale, words in locales.items():
            for part in ("title", "text"):
                for place in sorted(wording.placeholders(getattr(words, part)) - set(wording.NAMES)):
                    yield Problem(
                        path=f"/templates/{name}/{locale}/{part}",
                        message=f"There is no place {{{place}}}.",
                        remedy=f"Places are: {', '.join(wording.NAMES)}.",
                    )


def _check_names(section: OnCallSection) -> Iterator[Problem]:
    """Names are kept with every record that mentions them: they have a length."""
    given = [
        *((f"/channels/{name}", name, 48) for name in section.channels),
        *((f"/policies/{index}/name", each.name, 100) for index, each in enumerate(section.policies)),
    ]
    for path, name, most in given:
        if not 1 <= len(name) <= most:
            yield Problem(path=path, message=f"A name has 1 to {most} characters.", remedy="Shorten it.")


def _check_spans(section: OnCallSection) -> list[Problem]:
    given = [
        ("/watch/every", section.watch.every),
        ("/noise/window", section.noise.window),
        *((f"/watch/silent_after/{name}", each) for name, each in section.watch.silent_after.items()),
    ]
    return duration.check(given, least=dt.timedelta(seconds=1))
