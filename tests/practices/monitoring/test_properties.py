"""Properties of correlation and suppression: order, duplicates and replays change nothing; each answer names its rule."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.practices.monitoring.rules import suppression
from isthmus.practices.monitoring.rules.correlation import Correlator
from isthmus.practices.monitoring.rules.groups import HOLDING, GroupRule, Member, Policy, group_key
from isthmus.practices.monitoring.rules.matching import Matcher
from isthmus.practices.monitoring.rules.suppression import Inhibition, Silence, SourceAlert, Subject, Window

LABELS = ("a", "b", "")
ITEMS = [f"ci{number}" for number in range(6)]
NOW = Instant(1_000 * MINUTE)


# Suppression ---------------------------------------------------------------------------------------------

matchers = st.builds(
    Matcher, label=st.sampled_from(("host", "site", "severity")), value=st.sampled_from(LABELS), operator=st.sampled_from(("=", "!="))
)  # fmt: skip
some_matchers = st.lists(matchers, min_size=1, max_size=2).map(tuple)
labels = st.fixed_dictionaries(
    {"host": st.sampled_from(LABELS), "site": st.sampled_from(LABELS), "severity": st.sampled_from(LABELS)}
)
subjects = st.builds(
    Subject, identity=st.sampled_from(("me", "other")), labels=labels, ci=st.sampled_from([*ITEMS, ""])
)
spans = st.tuples(st.integers(-5, 5), st.integers(-5, 5)).map(
    lambda two: (NOW + min(two) * MINUTE, NOW + max(two) * MINUTE)
)


@st.composite
def grounds(draw: Any) -> tuple[list[Window], list[Silence], list[Inhibition], list[SourceAlert]]:
    windows = [
        Window(change=f"c{place}", number=f"CHG-{place}", starts_at=Instant(start), ends_at=Instant(end),
               authorisation=draw(st.sampled_from(("approved", "requested", "refused"))), cis=frozenset(draw(st.sets(st.sampled_from(ITEMS)))))
        for place, (start, end) in enumerate(draw(st.lists(spans, max_size=3)))
    ]  # fmt: skip
    silences = [
        Silence(
            id=f"s{place}",
            matchers=draw(some_matchers),
            starts_at=Instant(start),
            ends_at=Instant(end),
            owner="Ada",
        )
        for place, (start, end) in enumerate(draw(st.lists(spans, max_size=3)))
    ]
    inhibitions = [
        Inhibition(name=f"i{place}", source=draw(some_matchers), target=draw(some_matchers), equal=draw(st.sampled_from(((), ("site",)))))
        for place in range(draw(st.integers(0, 3)))
    ]  # fmt: skip
    sources = [
        SourceAlert(id=f"a{place}", identity=draw(st.sampled_from(("me", "x"))), labels=draw(labels))
        for place in range(draw(st.integers(0, 3)))
    ]
    return windows, silences, inhibitions, sources


def decide(subject: Subject, given: Any) -> suppression.Suppression | None:
    windows, silences, inhibitions, sources = given
    return suppression.decide(
        subject, windows=windows, silences=silences, inhibitions=inhibitions, sources=sources, now=NOW
    )


@given(subjects, grounds())
def test_each_suppression_names_its_rule_and_the_record_behind_it(subject: Subject, given: Any) -> None:
    found = decide(subject, given)
    if found is None:
        return
    windows, silences, _, sources = given
    assert found.reason.rule.startswith("monitoring.suppression.")
    assert found.reason.text
    behind = (
        {each.change for each in windows} | {each.id for each in silences} | {each.id for each in sources}
    )
    assert found.by in behind
    if found.decision == "suppressed_maintenance":
        assert next(each for each in windows if each.change == found.by).authorisation == "approved"


@given(subjects, grounds(), st.integers(0, 20))
def test_removing_any_one_ground_can_only_un_suppress(subject: Subject, given: Any, place: int) -> None:
    fewer = [list(each) for each in given]
    kinds = [each for each in fewer if each]
    if kinds:
        kind = kinds[place % len(kinds)]
        kind.pop(place % len(kind))
    if decide(subject, given) is None:
        assert decide(subject, fewer) is None


@given(subjects, grounds())
def test_an_alert_never_inhibits_itself(subject: Subject, given: Any) -> None:
    windows, silences, inhibitions, sources = given
    mine = [each for each in sources if each.identity == subject.identity]
    assert suppression.by_inhibition(subject, inhibitions, mine) is None
    del windows, silences


@given(subjects, grounds(), st.randoms(use_true_random=False))
def test_the_order_of_the_rules_does_not_decide_whether_it_is_quiet(
    subject: Subject, given: Any, random: Any
) -> None:
    shuffled = [random.sample(list(each), len(each)) for each in given]
    assert (decide(subject, given) is None) == (decide(subject, shuffled) is None)


# Correlation ---------------------------------------------------------------------------------------------

# A rule that counts to a threshold and follows the map at once depends on history: a cause in an incident explains others,
# one below the threshold does not. Both are order-free by themselves.
RULES = (
    None,
    GroupRule(name="host", by=("host",)),
    GroupRule(name="pair", by=("site",), threshold=2, topology=False),
    GroupRule(name="apart", topology=False),
)


@st.composite
def streams(draw: Any) -> tuple[list[tuple[Any, ...]], dict[str, dict[str, int]]]:
    """Alerts on a chain of items (each depends on those before it), all within the window of topology."""
    alerts = [
        (
            f"alert{number}", Instant(NOW + draw(st.integers(0, 600)) * SECOND), draw(st.sampled_from(RULES)),
            draw(st.sampled_from([*ITEMS, ""])), draw(st.sampled_from(("critical", "warning"))), draw(labels),
        )
        for number in range(draw(st.integers(1, 8)))
    ]  # fmt: skip
    edges = {(a, b) for a, b in itertools.combinations(ITEMS, 2) if draw(st.booleans())}
    up: dict[str, dict[str, int]] = {}
    for item in ITEMS:
        front, reach = {item}, {}
        for hops in range(1, len(ITEMS)):
            front = {a for a, b in edges if b in front} - reach.keys() - {item}
            reach |= dict.fromkeys(front, hops)
        up[item] = reach
    return alerts, up


def run(
    alerts: list[tuple[Any, ...]], up: dict[str, dict[str, int]], *, batches: int = 1
) -> dict[str, Member]:
    """Place a stream as the hub does: sorted inside a batch, the members of earlier batches known to later ones."""
    down: dict[str, dict[str, int]] = defaultdict(dict)
    for item, reach in up.items():
        for above, hops in reach.items():
            down[above][item] = hops
    ids = itertools.count()
    held: dict[str, Member] = {}
    groups: dict[str, Any] = {}
    size = -(-len(alerts) // batches)
    for start in range(0, len(alerts), size):
        correlator = Correlator(
            Policy(), members=list(held.values()), groups=groups, upstream=lambda ci: up.get(ci, {}),
            downstream=lambda ci: down.get(ci, {}), new_incident=lambda: f"inc{next(ids)}",
        )  # fmt: skip
        chunk = sorted(
            alerts[start : start + size], key=lambda each: (len(up.get(each[3], {})), each[1], each[0])
        )
        for identity, at, rule, ci, severity, names in chunk:
            if identity in held:
                continue  # a repeat is counted, not placed
            key = group_key(rule, identity, {**names, "severity": severity})
            member = Member(
                id=identity, identity=identity, at=at, group_key=key, severity=severity, ci=ci, rule=rule
            )
            correlator.place(member)
            held[identity] = member
        groups = correlator.groups
    return held


def partition(held: dict[str, Member]) -> set[frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for each in held.values():
        found[each.incident or f"none:{each.id}"].add(each.id)
    return {frozenset(each) for each in found.values()}


@given(streams(), st.randoms(use_true_random=False))
def test_order_and_duplicates_of_delivery_do_not_change_the_groups(given: Any, random: Any) -> None:
    alerts, up = given
    straight = partition(run(alerts, up))
    again = [*alerts, *random.sample(alerts, random.randint(0, len(alerts)))]
    random.shuffle(again)
    assert partition(run(again, up)) == straight
    assert partition(run(again, up, batches=len(again))) == straight, "each in a message of its own"


@given(streams())
def test_every_alert_is_in_exactly_one_group_and_says_why(given: Any) -> None:
    alerts, up = given
    held = run(alerts, up)
    assert sorted(held) == sorted({each[0] for each in alerts})
    members = [each for group in partition(held) for each in group]
    assert len(members) == len(set(members))
    for each in held.values():
        assert bool(each.incident) == (each.decision in HOLDING)
        assert each.parent != each.id
        if each.parent:
            assert held[each.parent].incident == each.incident


@settings(max_examples=60)
@given(streams(), st.integers(1, 4))
def test_replaying_history_in_any_batches_gives_the_same_again(given: Any, batches: int) -> None:
    alerts, up = given
    live = run(alerts, up, batches=batches)
    replayed = run(alerts, up, batches=batches)
    assert {key: (each.incident, each.parent, each.decision) for key, each in live.items()} == {
        key: (each.incident, each.parent, each.decision) for key, each in replayed.items()
    }
