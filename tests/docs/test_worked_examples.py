"""The worked examples of the page on service levels are true: each is read and folded by the product's own rules."""

import datetime as dt
import re
from zoneinfo import ZoneInfo

import pytest
from tests.docs.conftest import ROOT
from tests.docs.test_pages import fences

from isthmus.kernel.calendar import ROUND_THE_CLOCK, Shift, WorkingTime
from isthmus.kernel.duration import in_words
from isthmus.kernel.instant import HOUR, from_datetime
from isthmus.practices.service_level.rules.clock import Happening, Says, Terms, fold

PAGE = ROOT / "docs/explanation/service-levels.md"
EXAMPLES = fences(PAGE.read_text(), "worked")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def says(facts):
    return Says(pause=facts == "on_hold", stop=facts == "resolved")


class Example:
    """One fenced example: a calendar, changes of state, and what is claimed."""

    def __init__(self, text):
        self.zone, self.shifts, self.closed, self.amount = "UTC", [], set(), 0
        self.changes, self.counted, self.due = [], [], None
        for line in text.strip().splitlines():
            self.read(line)

    def read(self, line):
        word, _, rest = line.partition(" ")
        if word == "zone":
            self.zone = rest
        elif word == "hours":
            first, last, start, end = re.match(r"(\w+)-(\w+) ([\d:]+)-([\d:]+)$", rest).groups()
            days = tuple(range(DAYS.index(first), DAYS.index(last) + 1))
            self.shifts.append(Shift(days=days, start=minutes(start), end=minutes(end)))
        elif word == "closed":
            self.closed.add(dt.date.fromisoformat(rest))
        elif word == "target":
            self.amount = int(rest.removesuffix(" h")) * HOUR
        elif word == "counted":
            self.counted.append((self.at(rest[:19]), rest[20:]))
        elif word == "due":
            self.due = self.at(rest)
        else:
            self.changes.append((self.at(line[:19]), line[20:]))

    def at(self, text):
        return from_datetime(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(self.zone)))

    def folded(self, until):
        rule = WorkingTime(zone=self.zone, shifts=tuple(self.shifts), closed=frozenset(self.closed))
        terms = Terms(
            name="example",
            target="resolution",
            amount=self.amount,
            hours=rule if self.shifts or self.closed else ROUND_THE_CLOCK,
            says=says,
        )
        told = sorted(each for each in self.changes if each[0] <= until)
        return fold([Happening(at=at, cause="e.1", facts=state, terms=terms) for at, state in told])


def minutes(text):
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_says_what_the_rules_say(text):
    example = Example(text)
    assert example.counted
    for at, said in example.counted:
        assert in_words(example.folded(at).elapsed(at)) == said
    assert example.folded(max(at for at, _ in example.changes)).due_at() == example.due


def test_there_are_examples_and_a_wrong_one_would_be_noticed():
    assert len(EXAMPLES) >= 6
    wrong = Example(EXAMPLES[0].replace("2 h 42 min 37 s", "3 h"))
    at, said = wrong.counted[1]
    assert in_words(wrong.folded(at).elapsed(at)) != said
