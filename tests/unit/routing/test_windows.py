import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.windows import Mean, Window, left


def filled(*samples):
    window = Window()
    for at, seconds in samples:
        window.add(at, seconds)
    return window


def test_a_window_without_samples_tells_nothing():
    assert Window().quantiles(0.0, 30.0) is None


def test_quantiles_are_of_what_was_measured():
    window = filled(*((0.0, seconds) for seconds in range(1, 101)))
    told = window.quantiles(0.0, 30.0)
    assert (told.p50_s, told.p95_s, told.p99_s, told.count) == (50, 95, 99, 100)


def test_the_order_of_arrival_does_not_matter():
    shuffled = list(range(1, 101))
    random.Random(5).shuffle(shuffled)  # noqa: S311
    assert filled(*((0.0, s) for s in shuffled)).quantiles(0.0, 30.0).p95_s == 95


def test_what_is_older_than_the_span_counts_for_nothing():
    window = filled((0.0, 9.0), (20.0, 1.0))
    assert window.quantiles(30.0, 30.0).count == 2
    assert window.quantiles(30.1, 30.0).count == 1
    assert window.quantiles(30.1, 30.0).p99_s == 1.0
    assert window.quantiles(51.0, 30.0) is None


def test_new_samples_outweigh_as_many_old_ones():
    window = filled(*[(0.0, 1.0)] * 20, *[(25.0, 5.0)] * 10)
    assert window.quantiles(25.0, 30.0).p50_s == 5.0
    assert filled(*[(25.0, 1.0)] * 20, *[(25.0, 5.0)] * 10).quantiles(25.0, 30.0).p50_s == 1.0


def test_the_span_is_the_readers():
    window = filled((0.0, 1.0), (8.0, 2.0))
    assert window.quantiles(10.0, 5.0).count == 1
    assert window.quantiles(10.0, 10.0).count == 2


def test_what_began_since_a_moment_and_has_ended_is_counted():
    window = filled((1.0, 1.0), (2.0, 1.5), (3.0, 1.0))  # began at 0, at 0.5, at 2
    assert [window.begun_since(at) for at in (0.0, 0.5, 1.0, 2.5)] == [3, 2, 1, 0]


def test_a_window_keeps_a_bounded_number_of_samples():
    window = filled(*((float(at), 1.0) for at in range(5000)))
    assert window.quantiles(5000.0, 10_000.0).count == 512


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 300)), min_size=1, max_size=50))
def test_quantiles_ascend_and_were_measured(samples):
    told = filled(*sorted(samples)).quantiles(60.0, 60.0)
    assert told.p50_s <= told.p95_s <= told.p99_s
    assert {told.p50_s, told.p95_s, told.p99_s} <= {seconds for _, seconds in samples}


def test_a_mean_of_few_is_their_mean():
    mean = Mean()
    for value in (1.0, 2.0, 6.0):
        mean.add(0.0, value, 30.0)
    assert mean.value == pytest.approx(3.0)
    assert mean.weight(0.0, 30.0) == 3.0


def test_a_mean_forgets_with_time():
    mean = Mean()
    for _ in range(16):
        mean.add(0.0, 1.0, 30.0)
    assert mean.weight(7.5, 30.0) == pytest.approx(8.0)
    mean.add(7.5, 10.0, 30.0)
    assert mean.value == pytest.approx(2.0)
    assert mean.weight(37.6, 30.0) == 0.0


def test_a_busy_mean_turns_within_its_weight_in_samples():
    mean = Mean()
    for _ in range(10_000):
        mean.add(0.0, 1.0, 30.0)
    for _ in range(64):
        mean.add(0.0, 5.0, 30.0)
    assert 3.0 < mean.value < 5.0


def test_a_mean_begins_anew():
    mean = Mean()
    mean.add(0.0, 9.0, 30.0)
    mean.forget()
    assert mean.weight(0.0, 30.0) == 0.0
    mean.add(1.0, 2.0, 30.0)
    assert mean.value == 2.0


@given(st.floats(0, 1000), st.floats(1, 1000))
def test_a_weight_is_what_is_left_of_one(age, span):
    assert 0.0 <= left(age, span) <= 1.0
    assert left(span / 4, span) == pytest.approx(0.5)
    assert left(-age, span) == 1.0
