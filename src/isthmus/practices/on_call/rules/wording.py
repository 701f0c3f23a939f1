"""What a message says: a template, facts, a language. Pure.

A fact carries the data class of the field that it comes from. A channel shows some classes; any other fact is
replaced by words that send the reader to the link, where the hub asks who they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import SECOND, Instant, to_datetime

_PLACE = re.compile(r"\{([a-z_]+)\}")
HIDDEN: Mapping[str, str] = {"en": "(behind the link)", "de": "(hinter dem Link)"}
NAMES = (
    "number", "subject", "title", "priority", "state", "group", "service", "policy", "step", "target", "percent",
    "deadline", "time_left", "connection", "failure", "since", "count", "list", "authority", "comment",
)  # fmt: skip
"""Every placeholder that a template may use."""
SHOWN = ""
"""The class of a fact that was put together for the very channel: what it may not show is left out already."""
LANGUAGES = ("en", "de")
"""Languages with words of our own; a blueprint may add templates in others."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A value and the class of data that it is."""

    value: str
    data_class: str = "internal"


@dataclass(frozen=True, kw_only=True)
class Template:
    """One message in one language."""

    title: str
    text: str


def placeholders(text: str) -> set[str]:
    """Return the names that a template uses."""
    return set(_PLACE.findall(text))


def filled(text: str, facts: Mapping[str, Fact], *, shown: Collection[str], locale: str) -> str:
    """Return the text with its places filled; a fact that may not be shown here sends to the link."""

    def put(found: re.Match[str]) -> str:
        fact = facts.get(found[1])
        if fact is None or not fact.value:
            return "–"
        return fact.value if fact.data_class in {SHOWN, *shown} else hidden(locale)

    said, mark = " ".join(_PLACE.sub(put, text).split()), hidden(locale)
    # Two facts beside each other that are both behind the link are behind it once.
    while f"{mark} {mark}" in said:
        said = said.replace(f"{mark} {mark}", mark)
    return said


def hidden(locale: str) -> str:
    """Return what stands for a fact that may not be shown."""
    return HIDDEN.get(language(locale), HIDDEN["en"])


def language(locale: str) -> str:
    """Return `de` of `de-AT`."""
    return locale.replace("_", "-").partition("-")[0].lower()


def chosen(templates: Mapping[str, Template], locale: str) -> Template:
    """Return the template in a locale, in its language, or in English."""
    wanted = (locale, language(locale), "en")
    return next((templates[each] for each in wanted if each in templates), next(iter(templates.values())))


def time_left(deadline: Instant, now: Instant, locale: str) -> str:
    """Return "4 min 30 s left", "overdue by 2 min", or the same in German."""
    # What is left is rounded up, what is over is rounded down: nothing is called overdue before it is.
    span = -((now - deadline) // SECOND) * SECOND if deadline > now else (now - deadline) // SECOND * SECOND
    words = in_words(span)
    german = language(locale) == "de"
    if german:
        words = words.replace(" d", " T").replace(" h", " Std.")
    if deadline > now:
        return f"noch {words}" if german else f"{words} left"
    return f"seit {words} überschritten" if german else f"overdue by {words}"


def moment(at: Instant, zone: str, locale: str) -> str:
    """Return an instant in a zone, as the language writes it."""
    local = to_datetime(at).astimezone(ZoneInfo(zone or "UTC"))
    if language(locale) == "de":
        return f"{local:%d.%m.%Y %H:%M:%S} {local.tzname()}"
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
