"""What on-call can be asked to do. Pages, API and other practices call this and nothing beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.kernel.errors import NotFound, Problem, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.ledger.ids import source
from isthmus.practices.on_call import (
    directory,
    duty,
    escalating,
    links,
    notifying,
    subjects,
    targets,
    wording,
)
from isthmus.practices.on_call import rotas as schedules
from isthmus.practices.on_call.directory import Recipient, section
from isthmus.practices.on_call.models import (
    Acknowledgement,
    ContactCard,
    Escalation,
    Notification,
    RotaOverride,
)
from isthmus.practices.on_call.rules.rota import Duty

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from isthmus.ledger.work import Work

__all__ = [
    "Acknowledgement", "ContactCard", "Duty", "Escalation", "Notification", "RotaOverride", "acknowledge", "acknowledge_by_link",
    "by_link", "cancel_override", "card", "channels_for_people", "duties", "escalation", "notification", "override", "override_of", "page",
    "preview", "rotas", "send_test", "set_card", "who",
]  # fmt: skip

AHEAD = 21 * DAY
"""How far ahead `who` looks for the end of a duty."""

acknowledge = escalating.acknowledge
escalation = escalating.of
notification = notifying.of
override = duty.override
override_of = duty.override_of
cancel_override = duty.cancel
set_card = duty.set_card


def rotas(organisations: Iterable[str]) -> dict[str, str]:
    """Return name → organisation of the rotas that belong to these organisations."""
    wanted = set(organisations)
    return {name: home for name, home in sorted(schedules.homes().items()) if home in wanted}


def who(names: Collection[str], at: Instant) -> dict[str, Duty]:
    """Return who of each rota is on duty at an instant, with the stretch around it as far as it is looked ahead."""
    return {name: found[0] for name, found in schedules.duties(names, at, Instant(at + AHEAD)).items()}


def duties(names: Collection[str], since: Instant, until: Instant) -> dict[str, list[Duty]]:
    """Return who of each rota is on duty over a stretch of time, gaps included."""
    if until <= since:
        raise Rejected(
            "The stretch ends before it begins.", problems=(Problem(path="/until", message="too early"),)
        )
    return schedules.duties(names, since, until)


def channels_for_people() -> list[str]:
    """Return the channels that a contact card may name."""
    return sorted(name for name, spec in section().channels.items() if not spec.recipient)


def card(person: str) -> ContactCard | None:
    """Return a person's contact card."""
    return directory.card_of(person)


# By hand --------------------------------------------------------------------------------------------------------


def page(
    work: Work, *, ladder: str, subject_kind: str, subject: str, organisation: str, comment: str = ""
) -> Escalation:
    """Begin a ladder by hand; one that runs already is returned."""
    if ladder not in section().ladders:
        there = ", ".join(sorted(section().ladders)) or "none"
        raise Rejected(
            f"There is no ladder {ladder!r}.", problems=(Problem(path="/ladder", message="unknown", remedy=f"There are: {there}."),)
        )  # fmt: skip
    if len(comment) > escalating.COMMENT_CHARACTERS_MAX:
        raise Rejected("The comment is too long.", problems=(Problem(path="/comment", message="too long"),))
    seen = subjects.view(work, subject_kind, subject, organisation) if subject_kind != "connection" else None
    if seen is None:
        raise NotFound("There is no such record to escalate.")
    key = f"manual:{ladder}:{subject}"
    held = escalating.open_one(work, organisation, key)
    if held is not None and held.state == "running":
        return held
    if held is not None:
        escalating.stop(work, held, "It was begun anew by hand.", over=False)
    made = escalating.start(
        work, key=f"{key}:{source.new_id()}" if held is not None else key, policy="", trigger="manual", ladder=ladder,
        subject_kind=subject_kind, subject=subject, organisation=organisation, comment=comment,
    )  # fmt: skip
    if made is None:
        raise Rejected("It needs nobody any more.", remedy="Reopen it first.")
    return made


def _meant(channel: str, person: str, organisation: str, at: Instant) -> Recipient:
    spec = section().channels.get(channel) if channel else None
    if channel and spec is None:
        there = ", ".join(sorted(section().channels)) or "none"
        problem = Problem(path="/channel", message="unknown", remedy=f"There are: {there}.")
        raise Rejected(f"There is no channel {channel!r}.", problems=(problem,))
    target = {"channel": channel} if spec is not None and spec.recipient else {"person": person}
    if not next(iter(target.values())):
        raise Rejected(
            "Say whom to tell.",
            problems=(Problem(path="/person", message="a user name is needed for this channel"),),
        )
    found, why = targets.resolved(target, organisation=organisation, assigned="", owner="", at=at)
    if not found:
        raise Rejected(f"Nobody would be told: {why}", remedy="Correct the channel or the contact card.")
    who = found[0]
    if spec is not None and not spec.recipient:
        kept = tuple(each for each in who.methods if each[0] == channel)
        if not kept:
            raise Rejected(
                f"{person} has no address for channel {channel!r}.", remedy="Fill in the contact card."
            )
        who = Recipient(**{**vars(who), "methods": kept})
    return who


def send_test(work: Work, *, channel: str, person: str, organisation: str, comment: str = "") -> Notification:
    """Send a message that says nothing has happened, by one channel or to one person."""
    who = _meant(channel, person, organisation, work.now)
    made = notifying.plan(
        work, who, key=f"test:{source.new_id()}", organisation=organisation, purpose="test", urgent=True,
        comment=comment[:200],
    )  # fmt: skip
    assert made is not None  # noqa: S101 - the key is new
    return made


def preview(work: Work, *, channel: str, person: str, organisation: str, comment: str = "") -> dict[str, Any]:
    """Return what a test would send and by which ways, and send nothing."""
    who = _meant(channel, person, organisation, work.now)
    if not who.methods:
        raise Rejected("There is no way to reach this recipient.", remedy="Fill in the contact card.")
    plain: dict[str, Any] = {
        "purpose": "test", "locale": who.locale, "zone": who.zone, "comment": comment[:200], "person": who.person,
        "organisation": organisation,
    }  # fmt: skip
    made = Notification(**plain)
    first = who.methods[0][0]
    message = wording.compose(work, made, None, section().channels[first], "")
    ways = [
        {"channel": name, "connection": section().channels[name].connection, "address": masked(to)}
        for name, to in who.methods
    ]
    return {
        "dry_run": True,
        "target": who.target,
        "methods": ways,
        "title": message["title"],
        "text": message["text"],
    }


def masked(address: str) -> str:
    """Return an address as it may be shown to others: enough to recognise one's own."""
    if "@" in address:
        name, _, domain = address.partition("@")
        return f"{name[:1]}…@{domain}"
    return f"{address[:2]}…"


# By signed link -------------------------------------------------------------------------------------------------


def by_link(token: str) -> tuple[Notification, Escalation]:
    """Return what a signed link is about; `Forbidden` for a forged or old one, and for somebody who has left since.

    The caller opens the scope.
    """
    found = notifying.of(links.opened(token))
    if directory.person(found.person) is None:
        raise links.invalid()
    return found, escalating.of(found.escalation)


def acknowledge_by_link(work: Work, token: str) -> Escalation:
    """Acknowledge as the person whom the link's notification was sent to."""
    found, held = by_link(token)
    return escalating.acknowledge(work, held, door="link", person=found.person, notification=found.id)
