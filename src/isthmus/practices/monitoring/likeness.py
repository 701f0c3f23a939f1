"""Alerts whose summaries are nearly equal, and the group of their rule that each belongs to.

The first alert of a group leads it: its summary, without the noise, stands in the group's key, and later alerts are
compared with the leaders that are open. Alerts are taken in the order in which they started, so that the order of
delivery within one batch does not matter. Everything is bounded: so many leaders, so many characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from rapidfuzz import fuzz, process

from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules.groups import Member
from isthmus.practices.monitoring.rules.identity import NOISE, normalise

LEADERS_MAX: Final = 200
TEXT_MAX: Final = 160
_MARK: Final = "|~"
_NOISE: Final = tuple(NOISE)


def sort_out(organisation: str, members: Iterable[Member]) -> None:
    """Give members of rules that ask for similar texts the key of the group that they are most like."""
    asking: dict[str, list[Member]] = defaultdict(list)
    for each in members:
        if each.rule is not None and each.rule.similarity:
            asking[each.group_key].append(each)
    for base, found in asking.items():
        leaders = _leaders(organisation, base)
        for member in sorted(found, key=lambda each: (each.at, each.identity)):
            _assign(member, base, leaders)


def _assign(member: Member, base: str, leaders: list[str]) -> None:
    assert member.rule is not None  # noqa: S101 - the caller chose members with a rule
    text = normalise(member.summary, _NOISE).lower()[:TEXT_MAX]
    found = process.extractOne(text, leaders, scorer=fuzz.ratio, score_cutoff=member.rule.similarity)
    if found is None:
        member.group_key = f"{base}{_MARK}{text}"
        if len(leaders) < LEADERS_MAX:
            leaders.append(text)
        return
    leader, score, _ = found
    member.group_key, member.likeness = f"{base}{_MARK}{leader}", int(score)


def _leaders(organisation: str, base: str) -> list[str]:
    rows = Alert.objects.filter(organisation=organisation, open=True, group_key__startswith=f"{base}{_MARK}")
    keys = rows.order_by("group_key").values_list("group_key", flat=True).distinct()[:LEADERS_MAX]
    return [each.removeprefix(f"{base}{_MARK}") for each in keys]
