"""The form of one correlation rule: from a blueprint's plain rule to fields, and back. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from isthmus.kernel.errors import Problem

FIELDS: Final = ("name", "match", "when", "by", "window", "threshold", "topology", "wait", "similarity")
NUMBERS: Final = {"threshold": 1, "similarity": 0}
DURATIONS: Final = ("window", "wait")
NUMBER_LENGTH_MAX: Final = 6
NEW: Final[dict[str, str]] = {
    "name": "", "match": "", "when": "", "by": "", "window": "PT0S", "threshold": "1", "topology": "yes", "wait": "PT0S",
    "similarity": "0",
}  # fmt: skip


def fields_of(rule: Mapping[str, Any]) -> dict[str, str]:
    """Return a rule as the form shows it."""
    match = rule.get("match")
    by = rule.get("by")
    found = {name: str(rule.get(name, NEW[name])) for name in (*NUMBERS, *DURATIONS, "name", "when")}
    return {
        **found,
        "match": "\n".join(f"{name}={value}" for name, value in match.items())
        if isinstance(match, dict)
        else "",
        "by": ", ".join(str(each) for each in by) if isinstance(by, list) else "",
        "topology": "yes" if rule.get("topology", True) else "",
    }


def rule_of(given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the rule that a form describes, without what it leaves at its default, and what is wrong by field."""
    wrong: dict[str, list[str]] = {}
    rule: dict[str, Any] = {"name": given.get("name", "").strip()}
    if not rule["name"]:
        wrong["name"] = ["A rule needs a name."]
    match, bad = _match(given.get("match", ""))
    if bad:
        wrong["match"] = [f"{bad[:80]!r} is no label=value."]
    if match:
        rule["match"] = match
    if when := given.get("when", "").strip():
        rule["when"] = when
    if by := [each.strip() for each in given.get("by", "").split(",") if each.strip()]:
        rule["by"] = by
    rule |= {
        name: given[name].strip() for name in DURATIONS if given.get(name, "").strip() not in {"", NEW[name]}
    }
    _numbers(given, rule, wrong)
    if not given.get("topology"):
        rule["topology"] = False
    return rule, wrong


def _numbers(given: Mapping[str, str], rule: dict[str, Any], wrong: dict[str, list[str]]) -> None:
    for name, default in NUMBERS.items():
        text = given.get(name, "").strip()
        if not text:
            continue
        if not text.isascii() or not text.isdigit() or len(text) > NUMBER_LENGTH_MAX:
            wrong[name] = ["Give a whole number."]
        elif int(text) != default:
            rule[name] = int(text)


def at_fields(problems: Sequence[Problem], place: int) -> dict[str, list[str]]:
    """Return the problems of the rule at `place` by the field that they name; what names none is under ""."""
    found: dict[str, list[str]] = {}
    prefix = f"/monitoring/correlation/rules/{place}/"
    for each in problems:
        named = each.path.removeprefix(prefix).split("/")[0] if each.path.startswith(prefix) else ""
        field = named if named in FIELDS else ""
        text = f"{each.message} {each.remedy}".strip()
        found.setdefault(field, []).append(text if field else f"{each.path}: {text}")
    return found


def _match(text: str) -> tuple[dict[str, str], str]:
    """Return labels by name, and the first line that is none."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, is_one, value = line.partition("=")
        if not line.strip():
            continue
        if not is_one or not name.strip():
            return found, line.strip()
        found[name.strip()] = value.strip()
    return found, ""
