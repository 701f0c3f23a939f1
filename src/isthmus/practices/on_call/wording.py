"""Composes messages: what a notification says, in its reader's language and zone, on one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.kernel.instant import Instant
from isthmus.practices.on_call import links, subjects
from isthmus.practices.on_call.blueprint import ChannelSpec, templates_of
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.models import Escalation, Notification
from isthmus.practices.on_call.rules import ladder as ladders
from isthmus.practices.on_call.rules.wording import (
    SHOWN,
    Fact,
    Template,
    chosen,
    filled,
    language,
    moment,
    time_left,
)
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
    thread: str = "",
) -> dict[str, Any]:
    """Return the message of `kit.alerting.Notifier`. What the channel may not show is behind the link."""
    locale, shown = notification.locale, set(channel.show)
    words, facts, seen = _said(work, notification, escalation, channel)
    labels = LABELS.get(language(locale), LABELS["en"])
    path = seen.path if seen is not None else "/on-call/notifications"
    told = [
        [labels[key], fact.value]
        for key, name in _TOLD
        if (fact := facts.get(name)) is not None and fact.value and fact.data_class in shown
    ]
    return {
        "recipient": address,
        "title": filled(words.title, facts, shown=shown, locale=locale)[:TITLE_CHARACTERS_MAX],
        "text": filled(words.text, facts, shown=shown, locale=locale)[:TEXT_CHARACTERS_MAX],
        "facts": told,
        "severity": seen.severity if seen is not None else "informational",
        "link": links.absolute(path),
        "thread": thread,
        "about": f"{escalation.subject_kind}:{escalation.subject}" if escalation is not None else "",
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


def _said(
    work: Work, notification: Notification, escalation: Escalation | None, channel: ChannelSpec
) -> tuple[Template, dict[str, Fact], subjects.View | None]:
    if escalation is not None:
        name, facts, seen = _facts(work, notification, escalation, notification.zone or channel.zone)
    else:
        name, facts, seen = notification.purpose, {"comment": Fact(value=notification.comment)}, None
        if name == "digest":
            facts = _listed(work, notification, channel)
    return chosen(templates_of(section(), name), notification.locale), facts, seen


def _listed(work: Work, digest: Notification, channel: ChannelSpec) -> dict[str, Fact]:
    """Return what a digest says: the title of each message in it, as this channel may show it."""
    stored = Notification.objects.filter(
        organisation=digest.organisation, recipient=digest.recipient, digest=digest.id
    )
    rows = {each.id: each for each in stored}
    rows |= {
        each.id: each
        for each in work.created_or_changed()
        if isinstance(each, Notification) and each.digest == digest.id
    }
    told = [rows[each] for each in sorted(rows)[:LISTED_MAX]]
    about = {each.id: each for each in Escalation.objects.filter(id__in={each.escalation for each in told})}
    titles = []
    for each in told:
        words, facts, _ = _said(work, each, about.get(each.escalation), channel)
        titles.append(filled(words.title, facts, shown=set(channel.show), locale=digest.locale))
    return {
        "count": Fact(value=str(len(rows)), data_class=SHOWN),
        "list": Fact(value="; ".join(titles), data_class=SHOWN),
    }


def _facts(
    work: Work, notification: Notification, escalation: Escalation, zone: str
) -> tuple[str, dict[str, Fact], subjects.View | None]:
    locale = notification.locale
    kept: dict[str, Any] = escalation.facts if isinstance(escalation.facts, dict) else {}
    seen = subjects.view(work, escalation.subject_kind, escalation.subject, escalation.organisation)
    facts = dict(seen.facts) if seen is not None else {}
    deadline = kept.get("deadline") or (seen.deadline if seen is not None else None)
    if deadline:
        facts["deadline"] = Fact(value=moment(Instant(int(deadline)), zone, locale))
        facts["time_left"] = Fact(value=time_left(Instant(int(deadline)), work.now, locale))
    for name in ("target", "percent", "failure"):
        if kept.get(name) not in {None, ""}:
            facts[name] = Fact(value=_word(str(kept[name]), locale))
    facts["comment"] = Fact(value=escalation.comment, data_class=subjects.FREE)
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
