"""Composes messages: what a notification says, in its reader's language and zone, on one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.kernel.instant import Instant
from isthmus.practices.on_call import links, subjects
from isthmus.practices.on_call.blueprint import ChannelSpec, templates_of
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.models import Escalation, Notification
from isthmus.practices.on_call.rules import ladder as ladders
from isthmus.practices.on_call.rules.wording import Fact, chosen, filled, language, moment, time_left
from isthmus.practices.on_call.words import LABELS

if TYPE_CHECKING:
    from isthmus.ledger.work import Work

TEXT_CHARACTERS_MAX = 3_000
TITLE_CHARACTERS_MAX = 200
LISTED_MAX = 30


def compose(
    work: Work,
    notification: Notification,
    escalation: Escalation | None,
    channel: ChannelSpec,
    address: str,
    *,
    zone: str,
    thread: str = "",
) -> dict[str, Any]:
    """Return the message of `kit.alerting.Notifier`. What the channel may not show is behind the link."""
    locale, shown = notification.locale, set(channel.show)
    name, facts, seen = _facts(work, notification, escalation, locale, zone)
    words = chosen(templates_of(section(), name), locale)
    labels = LABELS.get(language(locale), LABELS["en"])
    path = seen.path if seen is not None else "/on-call/notifications"
    told = [[labels[key], facts[fact].value] for key, fact in _TOLD if facts.get(fact) and facts[fact].value]
    return {
        "recipient": address,
        "title": filled(words.title, facts, shown=shown, locale=locale)[:TITLE_CHARACTERS_MAX],
        "text": filled(words.text, facts, shown=shown, locale=locale)[:TEXT_CHARACTERS_MAX],
        "facts": told,
        "severity": seen.severity if seen is not None else "informational",
        "link": links.absolute(path),
        "thread": thread,
        "actions": _actions(notification, escalation, labels),
        "locale": locale,
    }


_TOLD = (("priority", "priority"), ("due", "deadline"), ("step", "step"))


def _actions(notification: Notification, escalation: Escalation | None, labels: Any) -> list[dict[str, str]]:
    if escalation is None:
        return []
    # A message to many names nobody: its link leads to the page, where people sign in.
    url = (
        links.acknowledge(notification.id)
        if notification.person
        else links.absolute(f"/on-call/escalations/{escalation.id}")
    )
    return [{"id": "acknowledge", "label": labels["acknowledge"], "url": url}]


def _facts(
    work: Work, notification: Notification, escalation: Escalation | None, locale: str, zone: str
) -> tuple[str, dict[str, Fact], subjects.View | None]:
    if escalation is None:
        held = notification.receipts if isinstance(notification.receipts, list) else []
        comment = next((str(each.get("comment", "")) for each in held if "comment" in each), "")
        listed = next((list(each["list"]) for each in held if "list" in each), [])
        facts = {
            "comment": Fact(value=comment),
            "count": Fact(value=str(len(listed))),
            "list": Fact(value="; ".join(str(each) for each in listed[:LISTED_MAX])),
        }
        return notification.purpose, facts, None
    kept: dict[str, Any] = escalation.facts if isinstance(escalation.facts, dict) else {}
    seen = subjects.view(work, escalation.subject_kind, escalation.subject, escalation.organisation)
    facts = dict(seen.facts) if seen is not None else {}
    deadline = kept.get("deadline") or (seen.deadline if seen is not None else None)
    if deadline:
        facts["deadline"] = Fact(value=moment(Instant(int(deadline)), zone, locale))
        facts["time_left"] = Fact(value=time_left(Instant(int(deadline)), work.now, locale))
    for name in ("target", "percent", "failure", "comment"):
        if kept.get(name) not in {None, ""}:
            said = _word(str(kept[name]), locale)
            facts[name] = Fact(value=said, data_class="free_text" if name == "comment" else "internal")
    if kept.get("since"):
        facts["since"] = Fact(value=moment(Instant(int(kept["since"])), zone, locale))
    facts["policy"] = Fact(value=escalation.policy)
    facts["step"] = Fact(value=str((notification.step or 0) + 1))
    template = ladders.from_json(escalation.ladder).template
    return template or escalation.trigger, facts, seen


_GERMAN = {
    "response": "Reaktion", "resolution": "Lösung", "dead_letter": "unzustellbare Nachrichten", "breaker": "antwortet nicht (Sicherung offen)",
    "silent": "Quelle schweigt", "parked": "Nachrichten konnten nicht angenommen werden",
}  # fmt: skip
_ENGLISH = {
    "dead_letter": "deliveries are dead letters", "breaker": "does not answer (breaker open)", "silent": "the source is silent",
    "parked": "messages could not be taken",
}  # fmt: skip


def _word(value: str, locale: str) -> str:
    return (_GERMAN if language(locale) == "de" else _ENGLISH).get(value, value)
