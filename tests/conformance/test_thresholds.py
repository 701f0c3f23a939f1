"""Numbers and thresholds: what fires, what is over, what wavers; episodes that begin and end once."""

from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit.episodes import Episodes
from isthmus.connectors.kit.thresholds import Threshold, judge

NUMBERS = st.floats(allow_nan=False, allow_infinity=True, width=32)
FINITE = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


@st.composite
def thresholds(draw):
    comparison = draw(st.sampled_from([">", ">=", "<", "<="]))
    one, other = sorted([draw(FINITE), draw(FINITE)])
    value, clear = (other, one) if comparison in {">", ">="} else (one, other)
    if value == clear:
        return Threshold(comparison=comparison, value=value)
    return Threshold(comparison=comparison, value=value, clear=draw(st.sampled_from([None, clear])))


@given(thresholds(), NUMBERS, NUMBERS)
def test_a_worse_number_is_never_judged_milder(threshold, one, other):
    order = ["over", "stays", "fires"]
    low, high = sorted([one, other], reverse=threshold.comparison in {"<", "<="})
    assert order.index(judge(low, threshold)) <= order.index(judge(high, threshold))


@given(thresholds())
def test_where_it_is_over_is_over_and_no_number_says_nothing(threshold):
    if threshold.clear is not None:
        assert judge(threshold.clear, threshold) == "over"
    assert (judge(threshold.value, threshold) == "fires") is ("=" in threshold.comparison)
    assert judge(float("nan"), threshold) == "stays"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_every_episode_begins_once_and_ends_once(steps):
    before, open_ = {}, {}
    for at, (key, fires) in enumerate(steps, start=1):
        episodes = Episodes(before)
        for other in "abc":
            if other != key:
                episodes.keeps(other)
        if fires:
            since = episodes.fires(key, at, {}, "x")
            assert since == open_.setdefault(key, at)
            assert episodes.ended() == {}
        else:
            assert set(episodes.ended()) == ({key} if key in open_ else set())
            open_.pop(key, None)
        before = episodes.now
        assert {name: held.since for name, held in before.items()} == open_
