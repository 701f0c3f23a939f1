"""Alerts whose summaries are nearly equal, and the group of their rule that each belongs to.

The first alert of a group leads it: its summary, without the noise, stands in the group's key, and later alerts are
compared with the leaders that are open. Alerts are taken in the order in which they started, so that the order of
delivery within one batch does not matter. Everything is bounded: so many leaders, so many characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models import Q
from rapidfuzz import fuzz, process

from isthmus.practices.monitoring.models import Alert
from isthmus.practices.monitoring.rules.groups import Member
from isthmus.practices.monitoring.rules.identity import NOISE, normalise

LEADERS_MAX: Final = 200
TEXT_MAX: Final = 160
BASES_AT_ONCE: Final = 100
_MARK: Final = "|~"
_NOISE: Final = tuple(NOISE)


def sort_out(organisation: str, members: Iterable[Member]) -> None:
    """Give members of rules that ask for similar texts the key of the group that they are most like."""
    asking: dict[str, list[Member]] = defaultdict(list)
    for each in members:
        if each.rule is not None and each.rule.similarity:
            asking[each.group_key].append(each)
    leaders = _leaders(organisation, sorted(asking))
    for base, found in asking.items():
        for member in sorted(found, key=lambda each: (each.at, each.identity)):
            _assign(member, base, leaders[base])


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


def _leaders(organisation: str, bases: Sequence[str]) -> dict[str, list[str]]:
    """Return the texts of the open leaders of each base: one query for many bases."""
    found: dict[str, list[str]] = {base: [] for base in bases}
    for start in range(0, len(bases), BASES_AT_ONCE):
        some = bases[start : start + BASES_AT_ONCE]
        wanted = Q()
        for base in some:
            wanted |= Q(group_key__startswith=f"{base}{_MARK}")
        rows = Alert.objects.filter(wanted, organisation=organisation, open=True).order_by("group_key")
        for key in rows.values_list("group_key", flat=True).distinct()[: LEADERS_MAX * len(some)]:
            _sort_in(key, found)
    return found


def _sort_in(key: str, found: dict[str, list[str]]) -> None:
    """Put a leader to its base. A store may find other spellings too ("DB" for "db"), which belong to none."""
    at = key.find(_MARK)
    while at >= 0:
        leaders = found.get(key[:at])
        if leaders is not None and len(leaders) < LEADERS_MAX:
            leaders.append(key[at + len(_MARK) :])
            return
        at = key.find(_MARK, at + 1)
