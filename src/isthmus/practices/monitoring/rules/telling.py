"""What is a partner told about an alert, and did it stick? Pure; the wishes come from people and from incidents.

A monitoring system learns who looks after an alert (acknowledge), what became of it (annotate), that it is over
(resolve) or may be quiet (silence): as the blueprint allows and the connector can, never back to where the news
came from, and never what the partner shows already. Worked example: an incident is taken by Ada at the service
desk; its alert from Zabbix is acknowledged there in her name; its alert from a source that only takes silences
is silenced for an hour if the blueprint says so; an alert of the desk's own system hears nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from isthmus.kernel.instant import MINUTE, Instant
from isthmus.practices.monitoring.rules.occurrence import FIRING, View

Wish = Literal["acknowledge", "unacknowledge", "annotate", "resolve"]
Verb = Literal["acknowledge", "unacknowledge", "annotate", "resolve", "silence"]

ASKED, DONE, KEPT, ASTRAY = "asked", "done", "kept", "astray"
"""What is known of something that a partner was told: committed; answered; seen there; answered or refused and not there."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a connection may be told. `instead`: microseconds of silence in place of an acknowledgement, where the
    partner knows none (0: not at all)."""

    acknowledge: bool = True
    annotate: bool = True
    resolve: bool = True
    silence: bool = False
    instead: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """An alert as the decision needs it. `able`: verbs that its connector declares for alerts."""

    connection: str
    external_key: str
    state: str
    view: View
    able: frozenset[str]
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is sent (`verb` "": nothing) and why."""

    verb: Verb | Literal[""]
    why: str


SETTLING: Final = MINUTE
_NOTHING: Final = "nothing is said"


def decide(wish: Wish, standing: Standing, policy: Policy, *, came_from: str) -> Told:
    """Return what the source of an alert is told because of a wish."""
    if came_from == standing.connection:
        return Told(verb="", why=f"It came from {came_from}: {_NOTHING}.")
    if not standing.external_key:
        return Told(verb="", why=f"{standing.connection} gave it no key by which it could be told.")
    if standing.state != FIRING and wish != "annotate":
        return Told(verb="", why=f"It does not fire any more: {_NOTHING}.")
    if wish == "acknowledge":
        return _acknowledge(standing, policy)
    if wish == "unacknowledge" and not standing.view.acknowledged and "acknowledge" not in standing.told:
        return Told(verb="", why=f"It is not acknowledged at {standing.connection}: {_NOTHING}.")
    needed = {"unacknowledge": "acknowledge"}.get(wish, wish)
    if not getattr(policy, needed):
        return Told(verb="", why=f"The blueprint does not have {standing.connection} told: {needed} is off.")
    if needed in standing.able:
        return Told(verb=wish, why=f"{standing.connection} is told: {wish}.")
    if wish == "resolve" and policy.annotate and "annotate" in standing.able:
        return Told(
            verb="annotate",
            why=f"{standing.connection} closes alerts by itself: a note says that it is over.",
        )
    return Told(verb="", why=f"{standing.connection} cannot {wish} alerts.")


def _acknowledge(standing: Standing, policy: Policy) -> Told:
    name = standing.connection
    if standing.view.acknowledged:
        return Told(verb="", why=f"It is acknowledged at {name} already: {_NOTHING}.")
    if not policy.acknowledge:
        return Told(verb="", why=f"The blueprint does not have {name} told: acknowledge is off.")
    if "acknowledge" in standing.able:
        return Told(verb="acknowledge", why=f"{name} is told: acknowledge.")
    if policy.instead and "silence" in standing.able and not standing.view.silenced:
        return Told(
            verb="silence", why=f"{name} knows no acknowledgement: it is silenced there for a stated time."
        )
    if policy.annotate and "annotate" in standing.able:
        return Told(verb="annotate", why=f"{name} knows no acknowledgement: a note names who has it.")
    return Told(verb="", why=f"{name} cannot be told who has it.")


def remembered(
    told: Mapping[str, Mapping[str, Any]] | None, verb: str, *, key: str, now: Instant
) -> dict[str, Any]:
    """Return what is known of what a partner was told, with one more thing. A withdrawal replaces what it withdraws."""
    kept = {
        name: dict(each)
        for name, each in (told or {}).items()
        if name not in {"acknowledge", "unacknowledge"} or "acknowledge" not in verb
    }
    return {**kept, verb: {"key": key, "at": int(now), "state": ASKED}}


def concluded(
    told: Mapping[str, Mapping[str, Any]], verb: str, key: str, *, now: Instant, fault: str = ""
) -> dict[str, Any] | None:
    """Return what is known once a call has ended; None if the call is no longer the latest of its verb."""
    held = told.get(verb)
    if held is None or held.get("key") != key:
        return None
    state = {"state": ASTRAY, "why": fault} if fault else {"state": DONE, "done_at": int(now)}
    return {**told, verb: {**held, **state}}


def seen(
    told: Mapping[str, Mapping[str, Any]], view: View, name: str, received_at: Instant
) -> dict[str, Any] | None:
    """Return what is known once the source has shown how the alert stands there; None: nothing new.

    Only what was answered before the source was heard is judged: an older view proves nothing.
    """
    found = {verb: dict(each) for verb, each in told.items()}
    shown = {
        "acknowledge": (view.acknowledged, "unacknowledged"),
        "unacknowledge": (not view.acknowledged, "acknowledged"),
        "silence": (view.silenced, "not silenced"),
    }
    for verb, (as_told, otherwise) in shown.items():
        held = found.get(verb)
        if held is None or held["state"] == ASKED or received_at <= held.get("done_at", held["at"]):
            continue
        if as_told:
            held.pop("why", None)
            held["state"] = KEPT
        elif held["state"] == DONE:
            held |= {"state": ASTRAY, "why": f"{name} answered, but shows it {otherwise}."}
        elif held["state"] == KEPT:
            # It did stick and somebody took it back there: their decision, no failure of ours.
            del found[verb]
    return None if found == {verb: dict(each) for verb, each in told.items()} else found


def still_firing(
    told: Mapping[str, Mapping[str, Any]], name: str, received_at: Instant
) -> dict[str, Any] | None:
    """Return what is known once a source that answered "closed" says again that the alert fires; None: nothing new.

    What it had said before it was told may still be on its way, so that a while passes before that counts.
    """
    held = told.get("resolve")
    if held is None or held["state"] != DONE or received_at <= held.get("done_at", held["at"]) + SETTLING:
        return None
    return {
        **told,
        "resolve": {**held, "state": ASTRAY, "why": f"{name} answered, but says that it still fires."},
    }


def astray(told: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether something that a partner was told did not stick."""
    return any(each.get("state") == ASTRAY for each in told.values())
