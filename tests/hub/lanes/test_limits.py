"""Rate, breaker and waits: pure, so every promise is tried with numbers."""

from hypothesis import given
from hypothesis import strategies as st

from isthmus.hub.lanes.limits import BACKOFF_MAX, BREAKER_FAILURES, Breaker, Bucket, backoff
from isthmus.kernel.instant import MINUTE, SECOND


@given(st.integers(1, 20), st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=120))
def test_no_window_of_sixty_seconds_holds_more_calls_than_allowed(per_minute, gaps):
    bucket, now, calls = Bucket(per_minute=per_minute), 0, []
    for gap in gaps:
        now += gap
        calls.append(int(bucket.reserve(now)))
    for start in calls:
        assert sum(1 for at in calls if start <= at < start + MINUTE) <= per_minute


def test_a_bucket_with_room_never_delays():
    bucket = Bucket(per_minute=3)
    assert [bucket.reserve(5) for _ in range(3)] == [5, 5, 5]
    assert bucket.reserve(6) > MINUTE


def test_a_restart_forgets_no_call_that_was_made_and_assumes_those_it_cannot_know():
    def room(kept, now):
        bucket = Bucket(per_minute=10)
        bucket.remember(kept, now, unaccounted=4)
        return bucket.room(now)

    assert room([1, 2, 3], 4) == 3
    assert room([], 4) == 10
    assert room([1], 5 * MINUTE) == 10


def test_what_is_known_already_is_not_counted_twice():
    bucket = Bucket(per_minute=10)
    for now in (1, 1, 2):
        bucket.reserve(now)
    bucket.remember([1, 1, 3], 4, unaccounted=0)
    assert list(bucket.calls) == [1, 1, 2, 3]


def test_the_breaker_opens_probes_and_closes():
    breaker = Breaker()
    for _ in range(BREAKER_FAILURES - 1):
        breaker = breaker.failed(0)
    assert breaker.permits(0) == "closed"
    breaker = breaker.failed(0)
    assert breaker.permits(0) == "open"
    later = breaker.until
    assert breaker.permits(later) == "half_open"
    again = breaker.failed(later)
    assert again.permits(later) == "open"
    assert again.until - later > breaker.until, "a failed probe cools for longer"
    assert breaker.succeeded().permits(later) == "closed"


@given(st.integers(0, 40), st.integers(0, 30 * SECOND))
def test_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_rest(late, after):
    breaker = Breaker()
    for _ in range(BREAKER_FAILURES):
        breaker = breaker.failed(0)
    until = breaker.until
    for place in range(late):
        breaker = breaker.failed(min(after * place // max(late, 1), until - 1))
    assert breaker.permits(until) == "half_open", (
        "twenty calls at once must not keep a healed partner waiting"
    )


@given(st.integers(1, 40), st.floats(0, 0.999), st.floats(0, 0.999))
def test_waits_grow_within_their_envelope(attempt, jitter, other):
    wait = backoff(attempt, jitter)
    assert SECOND // 2 <= wait <= BACKOFF_MAX
    if 2 ** (attempt + 1) * SECOND < BACKOFF_MAX:
        assert backoff(attempt + 2, other) > wait


def test_retry_after_is_a_lower_bound_and_no_upper_one():
    assert backoff(1, 0.0, after_seconds=90) == 90 * SECOND
    assert backoff(10, 0.0, after_seconds=1) > 90 * SECOND
