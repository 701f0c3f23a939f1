"""One syslog message as an object: RFC 5424 exactly, RFC 3164 as far as it is one. Pure.

What a message does not say is absent, never guessed: the old format has neither year nor zone, so its time stays the
text that it is, and the time of receipt counts.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import from_rfc3339

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
ELEMENTS_MAX, PARAMETERS_MAX = 50, 200

_PRIORITY = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(
    r"1 (?P<time>\S{1,64}) (?P<host>\S{1,255}) (?P<app>\S{1,48}) (?P<procid>\S{1,128}) (?P<msgid>\S{1,32}) "
)
_OLD = re.compile(
    r"(?:(?P<time>[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}) (?P<host>[^\s:\[]{1,255}) )?"
    r"(?:(?P<app>[^\s:\[<>]{1,48})(?:\[(?P<procid>[^\]\s]{1,128})\])?: ?)?(?P<message>.*)",
    re.DOTALL,
)
_ELEMENT = re.compile(r"\[([^ =\]\"]{1,32})((?: [^ =\]\"]{1,32}=\"(?:[^\"\\\]]|\\.)*\")*)\]")
_PARAMETER = re.compile(r" ([^ =\]\"]{1,32})=\"((?:[^\"\\\]]|\\.)*)\"")
_ESCAPED = re.compile(r"\\([\"\\\]])")


def read(raw: bytes) -> dict[str, Any]:
    """Return a message as an object; raise `Rejected` naming the part that is wrong."""
    text = raw.decode("utf-8", "replace").strip("\r\n\0")
    found = _PRIORITY.match(text)
    if found is None:
        _refuse("/priority", "is missing", "A message begins with <priority>, such as <34>.")
    priority = int(found[1])
    if priority > 191:
        _refuse("/priority", "is above 191", "")
    facility, severity = divmod(priority, 8)
    shown: dict[str, Any] = {
        "facility": FACILITIES[facility],
        "severity": SEVERITIES[severity],
        "level": severity,
    }
    rest = text[found.end() :]
    told = _new(rest) if rest[:2] == "1 " else _old(rest)
    return shown | {name: value for name, value in told.items() if value not in (None, "", "-")}


def _new(text: str) -> dict[str, Any]:
    found = _NEW.match(text)
    if found is None:
        _refuse("/header", "is not that of RFC 5424", "Write: version time host app procid msgid.")
    told: dict[str, Any] = {"format": "5424", **found.groupdict()}
    if told["time"] != "-":
        try:
            from_rfc3339(told["time"])
        except Rejected:
            _refuse("/time", "is no RFC 3339 time with a zone", "Write it like 2026-11-20T15:02:00Z, or -.")
    data, message = _structured(text[found.end() :])
    return told | {"data": data, "message": message.removeprefix("\ufeff")}


def _structured(text: str) -> tuple[dict[str, dict[str, str]], str]:
    """Return structured data and the message that follows."""
    if text == "-" or text.startswith("- "):
        return {}, text[2:]
    data: dict[str, dict[str, str]] = {}
    at = count = 0
    while at < len(text) and text[at] == "[":
        found = _ELEMENT.match(text, at)
        if found is None:
            _refuse("/data", "is not structured data of RFC 5424", 'Write it like [id name="value"], or -.')
        pairs = {name: _ESCAPED.sub(r"\1", value) for name, value in _PARAMETER.findall(found[2])}
        count += len(pairs)
        if len(data) >= ELEMENTS_MAX or count > PARAMETERS_MAX:
            _refuse("/data", "has too many elements", "")
        data[found[1]] = pairs
        at = found.end()
    if not data or (at < len(text) and text[at] != " "):
        _refuse("/data", "is not structured data of RFC 5424", 'Write it like [id name="value"], or -.')
    return data, text[at + 1 :]


def _old(text: str) -> dict[str, Any]:
    found = _OLD.fullmatch(text)
    if found is None or not text.strip():
        _refuse("/message", "is missing", "")
    return {"format": "3164", **found.groupdict()}


def _refuse(path: str, message: str, remedy: str) -> NoReturn:
    raise Rejected(
        f"{path} {message}.", remedy=remedy, problems=(Problem(path=path, message=message, remedy=remedy),)
    )
