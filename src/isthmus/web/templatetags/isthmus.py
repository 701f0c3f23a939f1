"""How values look on every page: times, states, people, links to records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import template
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from isthmus.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, to_datetime, to_rfc3339

register = template.Library()

_TONES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("critical", "dead", "denied", "deny", "refused", "breached", "down", "failed", "open_breaker", "1"), "bad"),
    **dict.fromkeys(
        ("error", "2", "stuck", "parked", "void", "expired", "undecided", "wait", "half_open", "firing", "freeze", "unknown", "open"), "warn"
    ),
    **dict.fromkeys(("resolved", "approved", "allow", "done", "active", "closed", "live", "healthy", "delivered", "granted", "published"), "good"),
    **dict.fromkeys(
        ("new", "in_progress", "requested", "awaiting", "authorisation", "assessment", "scheduled", "implementation", "running",
         "opened", "joined", "assessed", "root_cause_known"), "now"
    ),
}  # fmt: skip
"""State → tone. A tone is a colour and a mark, never the colour alone; what is not listed is quiet."""
_MARKS: Final = {"bad": "▲", "warn": "◆", "good": "●", "now": "◐", "quiet": "○"}


def tone_of(state: object) -> str:
    return _TONES.get(str(state), "quiet")


def words(name: object) -> str:
    """Return `in_progress` as `In progress`."""
    text = str(name).replace("_", " ").strip()
    return text[:1].upper() + text[1:]


@register.filter
def humane(name: object) -> str:
    return words(name)


@register.filter
def share(part: float | None) -> str:
    """Return a share of one as a percentage with one decimal: `91.2 %`."""
    return "–" if part is None else f"{part * 100:.1f} %"


@register.simple_tag
def badge(state: object, label: str = "", tone: str = "") -> SafeString | str:
    """A state as a mark, a colour and a word."""
    if state in {None, ""} and not label:
        return ""
    kind = tone or tone_of(state)
    return format_html(
        '<span class="badge badge-{}"><span aria-hidden="true">{}</span> {}</span>',
        kind,
        _MARKS[kind],
        label or words(state),
    )


@register.simple_tag
def priority(level: object) -> SafeString | str:
    """A priority: the number and a bar as long as it is urgent."""
    if level in {None, ""}:
        return ""
    return format_html(
        '<span class="priority priority-{}" title="Priority {} of 4 (1 is the highest)"><span aria-hidden="true"></span>P{}</span>',
        level, level, level,
    )  # fmt: skip


def relative(at: int, now: int) -> str:
    """Return e.g. `5 min ago` or `in 2 h`."""
    gap = abs(now - at)
    if gap < 10 * SECOND:
        return "now"
    if gap < MINUTE:
        size = f"{gap // SECOND} s"
    elif gap < HOUR:
        size = f"{gap // MINUTE} min"
    elif gap < 2 * DAY:
        size = f"{gap // HOUR} h"
    else:
        size = f"{gap // DAY} d"
    return f"{size} ago" if at <= now else f"in {size}"


def zoned(at: int, zone: str) -> dt.datetime:
    """Return the moment in the viewer's zone (UTC if it is unknown)."""
    try:
        return to_datetime(Instant(at)).astimezone(ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        return to_datetime(Instant(at))


@register.simple_tag(takes_context=True)
def when(context: template.Context | Mapping[str, Any], at: int | None) -> SafeString | str:
    """A time: relative words, exact time and zone on hover and focus, machine form in `datetime`."""
    if at is None:
        return ""
    exact = zoned(at, str(context.get("time_zone", ""))).strftime("%Y-%m-%d %H:%M:%S %Z")
    now = int(context.get("now") or at)
    return format_html(
        '<time datetime="{}" title="{}" tabindex="0">{}</time>',
        to_rfc3339(Instant(at)),
        exact,
        relative(at, now),
    )


@register.simple_tag(takes_context=True)
def moment(
    context: template.Context | Mapping[str, Any], at: int | None, form: str = "%Y-%m-%d %H:%M"
) -> SafeString | str:
    """A time in full, in the viewer's zone."""
    if at is None:
        return ""
    return format_html(
        '<time datetime="{}">{}</time>',
        to_rfc3339(Instant(at)),
        zoned(at, str(context.get("time_zone", ""))).strftime(form),
    )


@register.filter
def duration(microseconds: int | None) -> str:
    """Return a span of time as people say it: `350 ms`, `12 s`, `4 min`, `3 h`, `5 d`."""
    if microseconds is None:
        return "–"
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")):
        if microseconds >= size * (2 if unit == "d" else 1):
            return f"{microseconds // size} {unit}"
    return f"{microseconds // 1000} ms"


@register.filter
def time_left(microseconds: int | None) -> str:
    """Return what is left as `2 h 5 min`, in its two largest units; below nought `12 min over`. Scripts count on in the same words."""
    if microseconds is None:
        return "–"
    left = abs(microseconds) // SECOND
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    text = " ".join(parts) or "0 s"
    return f"{text} over" if microseconds < 0 else text


@register.filter
def milliseconds(microseconds: int | None) -> str:
    """Return microseconds as whole milliseconds, for scripts ("" for none)."""
    return "" if microseconds is None else str(microseconds // 1000)


@register.filter
def lookup(mapping: Mapping[Any, Any] | None, key: Any) -> Any:
    """Return `mapping[key]`, or "" where it is missing."""
    return mapping.get(key, "") if mapping else ""


@register.simple_tag(takes_context=True)
def may(context: template.Context, permission: str) -> bool:
    """Return whether the reader holds a permission somewhere; the server checks again when they act."""
    return permission in (context.get("held") or ())


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """Return the page's query string with some keys replaced ("" removes); the cursor starts anew."""
    request = context.get("request")
    found = request.GET.copy() if isinstance(request, HttpRequest) else None
    if found is None:
        return ""
    if "cursor" not in changes:
        found.pop("cursor", None)
    for key, value in changes.items():
        if value in {"", None}:
            found.pop(key, None)
        else:
            found[key] = str(value)
    return "?" + found.urlencode()


@register.filter
def roles_in_words(actor: Any) -> str:
    """Return an actor's roles in a fixed order."""
    return ", ".join(words(each) for each in sorted(actor.roles)) or "no role"


@register.filter
def words_list(text: str) -> list[str]:
    """Return the words of a text, for short literal lists in templates."""
    return text.split()
