"""What the pure rules promise, over generated input."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.practices.monitoring.rules import automation, identity, occurrence, stability, suppression
from isthmus.practices.monitoring.rules.correlation import Correlator
from isthmus.practices.monitoring.rules.groups import (
    Group,
    GroupRule,
    Member,
    Policy,
    group_key,
)
from isthmus.practices.monitoring.rules.matching import Matcher, all_fit

# --- Identity ---------------------------------------------------------------------------------------------

SPEC = identity.IdentitySpec()


def of(**labels: str) -> str:
    return identity.identity(SPEC, {"labels": dict(labels)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("died at 2026-11-20T12:00:01Z", "died at 2026-11-21T01:59:59.123+02:00"),
        ("[12:00:01] died", "[23:59:59.9] died"),
        ("since 1700000000", "since 1700009999"),
        ("since 1700000000123", "since 1700009999456"),
        ("worker 0x7f3a dead", "worker 0xDEADBEEF dead"),
        ("job 9b2c8d1e-1111-4222-8333-444455556666", "job 00000000-1111-4222-8333-444455556667"),
        ("two  blanks", "two blanks "),
        ("Fri, 20 Nov 2026 down", "Sat, 21 Nov 2026 down"),
        ("Nov 20 12:00:00 host died", "Dec  1 13:14:15 host died"),
    ],
)
def test_noise_does_not_make_two_alerts(one: str, other: str) -> None:
    assert of(message=one) == of(message=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("disk 1", "disk 2"),
        ("web-01", "web-02"),
        ("code 500", "code 503"),
        ("10.0.0.1", "10.0.0.2"),
        ("port 80", "port 443"),
        ("v1.2", "v1.3"),
        ("queue-2026", "queue-2027"),
    ],
)
def test_a_significant_difference_keeps_alerts_apart(one: str, other: str) -> None:
    assert of(message=one) != of(message=other)


def test_numbers_are_noise_only_where_a_source_says_so() -> None:
    spec = identity.IdentitySpec(fields=("summary",), noise=("numbers",))
    assert identity.identity(spec, {"summary": "250 items"}) == identity.identity(
        spec, {"summary": "1,180 items"}
    )


def test_ignored_labels_and_versions() -> None:
    spec = identity.IdentitySpec(ignore=("pod",))
    values = {"labels": {"alertname": "A", "pod": "x1"}}
    assert identity.identity(spec, values) == identity.identity(
        spec, {"labels": {"alertname": "A", "pod": "x2"}}
    )
    assert identity.identity(spec, values) != identity.identity(
        identity.IdentitySpec(ignore=("pod",), version=2), values
    )


def test_an_alert_that_nothing_identifies_is_refused() -> None:
    with pytest.raises(Rejected, match="nothing that identifies"):
        identity.identity(SPEC, {"labels": {}})


_texts = st.text(alphabet="ab01 :-x", max_size=12)
_label_sets = st.dictionaries(st.sampled_from("abcd"), _texts, min_size=1, max_size=3)


@given(_label_sets, st.sampled_from([*identity.NOISE, ""]))
def test_normalising_twice_is_normalising_once(labels: dict[str, str], noise: str) -> None:
    for text in labels.values():
        once = identity.normalise(text, (noise,))
        assert identity.normalise(once, (noise,)) == once


@given(_label_sets, _label_sets)
def test_identities_are_equal_exactly_when_significant_parts_are(
    one: dict[str, str], other: dict[str, str]
) -> None:
    try:
        equal = identity.parts(SPEC, {"labels": dict(one)}) == identity.parts(SPEC, {"labels": dict(other)})
        assert (of(**one) == of(**other)) == equal
    except Rejected:
        return


# --- Suppression ------------------------------------------------------------------------------------------

NOW = Instant(1_000 * MINUTE)
_labels = st.fixed_dictionaries(
    {
        "team": st.sampled_from(["web", "db"]),
        "severity": st.sampled_from(["critical", "warning"]),
        "site": st.sampled_from("ab"),
    }
)
_matchers = st.builds(
    Matcher,
    label=st.sampled_from(["team", "severity", "site"]),
    value=st.sampled_from(["web", "db", "critical", "warning", "a", "b", "."]),
    operator=st.sampled_from(["=", "!=", "=~", "!~"]),
)
_matcher_lists = st.lists(_matchers, max_size=2).map(tuple)
_moments = st.integers(NOW - 60 * MINUTE, NOW + 60 * MINUTE).map(Instant)
_windows = st.builds(
    suppression.Window, change=st.sampled_from("xyz"), number=st.just("CHG-1"), starts_at=_moments, ends_at=_moments,
    authorisation=st.sampled_from(["approved", "requested", "void", "refused", "not_requested"]), cis=st.frozensets(st.sampled_from("ABC")),
)  # fmt: skip
_silences = st.builds(
    suppression.Silence,
    id=st.sampled_from("12345"),
    matchers=_matcher_lists,
    starts_at=_moments,
    ends_at=_moments,
    owner=st.just("p"),
)
_inhibitions = st.builds(
    suppression.Inhibition,
    name=st.sampled_from("rst"),
    source=_matcher_lists,
    target=_matcher_lists,
    equal=st.lists(st.just("site"), max_size=1).map(tuple),
)
_sources = st.builds(
    suppression.SourceAlert,
    id=st.sampled_from(["s1", "s2"]),
    identity=st.sampled_from(["i1", "i2", "i3"]),
    labels=_labels,
)
_subjects = st.builds(
    suppression.Subject,
    identity=st.sampled_from(["i1", "i2"]),
    labels=_labels,
    ci=st.sampled_from(["A", "B", ""]),
)


@given(
    _subjects,
    st.lists(_windows, max_size=3),
    st.lists(_silences, max_size=3),
    st.lists(_inhibitions, max_size=3),
    st.lists(_sources, max_size=3),
)
def test_removing_a_rule_can_only_unsuppress_and_each_decision_names_its_rule(
    subject: suppression.Subject,
    windows: list[suppression.Window],
    silences: list[suppression.Silence],
    inhibitions: list[suppression.Inhibition],
    sources: list[suppression.SourceAlert],
) -> None:
    def decide(**without: object) -> suppression.Suppression | None:
        given_rules = {
            "windows": windows,
            "silences": silences,
            "inhibitions": inhibitions,
            "sources": sources,
        } | without
        return suppression.decide(subject, now=NOW, **given_rules)  # type: ignore[arg-type]

    found = decide()
    if found is not None:
        assert found.by
        assert found.reason.rule.startswith("monitoring.suppression.")
        assert found.reason.text
    for name, rules in (
        ("windows", windows),
        ("silences", silences),
        ("inhibitions", inhibitions),
        ("sources", sources),
    ):
        for index in range(len(rules)):
            fewer = decide(**{name: rules[:index] + rules[index + 1 :]})
            assert found is not None or fewer is None


@given(_subjects, st.lists(_inhibitions, max_size=3), st.lists(_sources, max_size=3))
def test_an_alert_never_inhibits_itself(
    subject: suppression.Subject,
    inhibitions: list[suppression.Inhibition],
    sources: list[suppression.SourceAlert],
) -> None:
    found = suppression.by_inhibition(subject, inhibitions, sources)
    if found is not None:
        assert any(source.id == found.by and source.identity != subject.identity for source in sources)


@given(_subjects, st.lists(_windows, max_size=4))
def test_only_authorised_windows_over_the_item_suppress(
    subject: suppression.Subject, windows: list[suppression.Window]
) -> None:
    found = suppression.by_maintenance(subject, windows, NOW)
    covering = [
        each
        for each in windows
        if each.authorisation == "approved"
        and subject.ci in each.cis
        and each.starts_at <= NOW < each.ends_at
    ]
    assert (found is not None) == bool(covering)


def test_matchers_without_a_condition_mute_nothing() -> None:
    assert not all_fit((), {"team": "web"})


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}"])
def test_a_bad_pattern_is_refused_when_it_is_written(pattern: str) -> None:
    with pytest.raises(Rejected):
        Matcher(label="team", value=pattern, operator="=~")


def test_patterns_match_whole_texts() -> None:
    assert Matcher(label="host", value="web-.*", operator="=~").fits({"host": "web-01"})
    assert not Matcher(label="host", value="web", operator="=~").fits({"host": "web-01"})
    assert Matcher(label="host", value="x|web", operator="!~").fits({"host": "web-01"})


# --- Folding ----------------------------------------------------------------------------------------------


def event(
    minute: int,
    *,
    firing: bool = True,
    started: int | None = None,
    summary: str = "s",
    severity: str = "error",
) -> occurrence.Event:
    start = Instant((minute if started is None else started) * MINUTE)
    return occurrence.Event(
        firing=firing, severity=severity, summary=summary, labels={}, annotations={}, at=Instant(minute * MINUTE), starts_at=start,
        ends_at=None if firing else Instant(minute * MINUTE),
    )  # fmt: skip


HELD = occurrence.Held(
    state="firing",
    severity="error",
    summary="s",
    labels={},
    annotations={},
    starts_at=Instant(MINUTE),
    ends_at=None,
)
CLEARED = occurrence.Held(
    state="resolved",
    severity="error",
    summary="s",
    labels={},
    annotations={},
    starts_at=Instant(MINUTE),
    ends_at=Instant(9 * MINUTE),
)


def test_an_event_overtaken_on_the_way_changes_nothing() -> None:
    assert occurrence.fold(CLEARED, event(2, started=1)).turn == ""
    assert occurrence.fold(CLEARED, event(10, started=10)).turn == "fired"


def test_a_late_clear_of_an_earlier_episode_does_not_end_the_present_one() -> None:
    later = structs.replace(HELD, starts_at=Instant(20 * MINUTE))
    assert occurrence.fold(later, event(9, firing=False, started=1)).turn == ""
    assert occurrence.fold(later, event(25, firing=False, started=20)).turn == "cleared"


def test_only_news_changes_fields() -> None:
    held = structs.replace(HELD, summary="180 items")
    assert occurrence.fold(held, event(2, summary="250 items")).values == {}
    assert occurrence.fold(held, event(2, summary="no items")).values == {"summary": "no items"}
    assert occurrence.fold(held, event(2, summary="180 items", severity="critical")).values == {
        "severity": "critical"
    }


# --- Stability and automation -----------------------------------------------------------------------------


def test_flapping_waits_longer_and_stale_is_timed_out() -> None:
    times = stability.Times(stable=5 * MINUTE, flap=30 * MINUTE, flap_changes=3, stale=60 * MINUTE)
    steady, jumpy = [int(NOW)], [int(NOW - 2 * MINUTE), int(NOW - MINUTE), int(NOW)]
    assert stability.settles_at(NOW, steady, NOW, times) == NOW + 5 * MINUTE
    assert stability.settles_at(NOW, jumpy, NOW, times) == NOW + 30 * MINUTE
    assert stability.stale(Instant(NOW - 60 * MINUTE), NOW, times)
    assert not stability.stale(Instant(NOW - 59 * MINUTE), NOW, times)


def test_the_level_of_a_service_beats_severity_and_default() -> None:
    levels = automation.Automation(
        services={"shop": automation.Level.DRAFT}, severities={"warning": automation.Level.RECORD}
    )
    assert automation.decide(levels, "shop", "warning")[0] is automation.Level.DRAFT
    assert automation.decide(levels, "", "warning")[0] is automation.Level.RECORD
    assert automation.decide(levels, "", "critical")[0] is automation.Level.FULL


def test_full_automation_names_what_it_lacks() -> None:
    assert (
        len(automation.missing_conditions(automation.Level.FULL, correlation_rules=[], suppression=False))
        == 2
    )
    assert (
        automation.missing_conditions(automation.Level.DRAFT, correlation_rules=[], suppression=False) == []
    )


# --- Correlation ------------------------------------------------------------------------------------------

ITEMS = "ABCDE"
_edges = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3)).filter(lambda pair: pair[0] > pair[1]), max_size=6
)
"""(dependant, what it needs) by index: only later items need earlier ones, so there are no circles."""
_alerts = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from(["", *ITEMS]), st.integers(0, 14), st.sampled_from(["critical", "warning"]), st.sampled_from(["", "team"])),
    min_size=1, max_size=7, unique_by=lambda each: each[:2],
)  # fmt: skip


def reach(edges: list[tuple[int, int]], start: str, *, up: bool) -> dict[str, int]:
    found, front, hops = {start: 0}, [start], 0
    while front:
        hops += 1
        pairs = [(ITEMS[a], ITEMS[b]) if up else (ITEMS[b], ITEMS[a]) for a, b in edges]
        front = [b for a, b in pairs if a in front and b not in found]
        found.update(dict.fromkeys(front, hops))
    return {key: value for key, value in found.items() if key != start}


def partition(
    alerts: list[tuple[str, str, int, str, str]], edges: list[tuple[int, int]]
) -> frozenset[frozenset[str]]:
    """Correlate alerts in the given order, one after the other, and return the groups (by alert)."""
    counter = itertools.count()
    correlator = Correlator(
        Policy(window=60 * MINUTE), members=(), groups={}, new_incident=lambda: f"i{next(counter)}",
        upstream=lambda ci: reach(edges, ci, up=True), downstream=lambda ci: reach(edges, ci, up=False),
    )  # fmt: skip
    rule = GroupRule(name="team", by=("team",), window=30 * MINUTE)
    members: dict[str, Member] = {}
    for name, ci, minute, severity, team in alerts:
        key = f"{name}/{ci}"
        used = rule if team else None
        member = Member(
            id=key,
            identity=key,
            at=Instant(minute * MINUTE),
            group_key=group_key(used, key, {"team": team}),
            severity=severity,
            ci=ci,
            rule=used,
        )
        if key in members:
            continue
        members[key] = member
        correlator.place(member)
    groups: dict[str, set[str]] = {}
    for member in members.values():
        groups.setdefault(member.incident, set()).add(member.id)
    assert "" not in groups
    return frozenset(frozenset(each) for each in groups.values())


@settings(max_examples=300)
@given(_alerts, st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_change_groups_without_topology(
    alerts: list[tuple[str, str, int, str, str]], random: object
) -> None:
    shuffled = [*alerts, *alerts[:2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert partition(alerts, []) == partition(shuffled, [])


@settings(max_examples=300)
@given(_alerts, _edges, st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_change_groups_of_a_map(
    alerts: list[tuple[str, str, int, str, str]], edges: list[tuple[int, int]], random: object
) -> None:
    plain = [(name, ci, minute, severity, "") for name, ci, minute, severity, _ in alerts]
    shuffled = [*plain, *plain[:2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert partition(plain, edges) == partition(shuffled, edges)


def test_the_threshold_counts_alerts_once_and_takes_those_that_waited() -> None:
    correlator = Correlator(
        Policy(),
        members=(),
        groups={},
        upstream=lambda _: {},
        downstream=lambda _: {},
        new_incident=lambda: "i",
    )
    rule = GroupRule(name="r", threshold=3)
    placed = [
        correlator.place(Member(id=str(n), identity=str(n), at=Instant(n), group_key="g", rule=rule))[0]
        for n in (1, 2, 2, 3)
    ]
    assert [each.decision for each in placed] == [
        "below_threshold",
        "below_threshold",
        "below_threshold",
        "opened",
    ]
    assert placed[-1].takes == ("1", "2")


def test_a_storm_opens_one_parent_and_says_so() -> None:
    ids = itertools.count()
    correlator = Correlator(
        Policy(storm=3),
        members=(),
        groups={},
        upstream=lambda _: {},
        downstream=lambda _: {},
        new_incident=lambda: f"i{next(ids)}",
    )
    placed = [
        correlator.place(Member(id=str(n), identity=str(n), at=Instant(n), group_key=f"g{n}"))[0]
        for n in range(10)
    ]
    assert [each.decision for each in placed] == ["opened"] * 3 + ["storm"] * 7
    assert len({each.incident for each in placed}) == 4
    assert sum(each.opens for each in placed) == 4


def test_groups_outside_the_window_do_not_join() -> None:
    rule = GroupRule(name="r", window=10 * MINUTE)
    group = Group(key="g", incident="i", members={"a": Instant(0)})
    assert group.within(Instant(10 * MINUTE), rule)
    assert not group.within(Instant(11 * MINUTE), rule)
