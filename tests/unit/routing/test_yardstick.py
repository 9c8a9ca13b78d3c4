import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.yardstick import Line, Yardstick

SPAN = 30.0
LENGTHS = (1, 10, 60, 250, 1000, 4000)


def took(tokens, factor=1.0):
    """Half a second, and a hundred tokens a second."""
    return factor * (0.5 + tokens / 100)


def learned(lengths=LENGTHS, times=50):
    line = Line()
    for turn in range(times):
        for tokens in lengths:
            line.add(float(turn), tokens, took(tokens), SPAN)
    return line


@pytest.mark.parametrize("tokens", LENGTHS)
def test_a_line_learns_what_each_length_takes(tokens):
    assert learned().expected_s(tokens) == pytest.approx(took(tokens), rel=0.01)


def test_answers_of_one_length_give_their_mean():
    line = Line()
    for seconds in (1.0, 3.0):
        line.add(0.0, 100, seconds, SPAN)
    assert line.expected_s(100) == pytest.approx(2.0, rel=0.01)
    assert line.expected_s(1000) == pytest.approx(2.0, rel=0.01)


def test_answers_without_tokens_give_their_mean():
    line = Line()
    line.add(0.0, 0, 0.2, SPAN)
    line.add(0.0, 0, 0.4, SPAN)
    assert line.expected_s(0) == pytest.approx(0.3, rel=0.01)


def test_a_line_never_takes_less_for_more_nor_less_than_nothing():
    falling, steep = Line(), Line()
    for tokens, seconds in ((10, 5.0), (1000, 1.0)):
        falling.add(0.0, tokens, seconds, SPAN)
    for tokens, seconds in ((100, 0.1), (200, 5.0)):
        steep.add(0.0, tokens, seconds, SPAN)
    assert falling.expected_s(1000) >= falling.expected_s(10) > 0
    assert steep.expected_s(0) == 0.0
    assert steep.expected_s(100) > 0


@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.floats(0.001, 600)), min_size=1, max_size=40),
    st.integers(0, 100_000),
)
def test_whatever_came_the_expectation_is_a_time(answers, tokens):
    line = Line()
    for tokens_seen, seconds in answers:
        line.add(0.0, tokens_seen, seconds, SPAN)
    assert 0.0 <= line.expected_s(tokens) < 1e9


def test_a_line_follows_in_the_long_run():
    line = learned()
    for turn in range(3000):
        line.add(50.0 + turn / 10, 250, took(250, 4.0), SPAN)
    assert line.expected_s(250) == pytest.approx(took(250, 4.0), rel=0.05)


def test_long_answers_have_the_ratio_of_short_ones():
    yardstick, rng = Yardstick(), random.Random(3)  # noqa: S311
    ratios = {tokens: 0.0 for tokens in LENGTHS}
    for turn in range(600):
        tokens = rng.choice(LENGTHS)
        ratios[tokens] = yardstick.whole(float(turn), took(tokens, rng.uniform(0.9, 1.1)), tokens, SPAN)
    assert all(0.75 < ratio < 1.35 for ratio in ratios.values())


def test_a_slow_answer_stands_out_whatever_its_length():
    for tokens in LENGTHS:
        yardstick = Yardstick()
        for turn in range(300):
            for length in LENGTHS:
                yardstick.whole(float(turn), took(length), length, SPAN)
        assert yardstick.whole(301.0, took(tokens, 5.0), tokens, SPAN) == pytest.approx(5.0, rel=0.1)


def test_streams_and_plain_answers_have_measures_of_their_own():
    yardstick = Yardstick()
    for turn in range(100):
        assert yardstick.first_event(float(turn), 0.5, SPAN) == pytest.approx(1.0)
        assert yardstick.whole(float(turn), 20.0, 2000, SPAN) == pytest.approx(1.0, rel=0.01)


def test_it_hardly_moves_while_one_upstream_becomes_slow():
    yardstick = Yardstick()
    for turn in range(1000):
        yardstick.first_event(turn / 50, 0.2, SPAN)
    before = yardstick.first_event(20.0, 0.2, SPAN)
    for turn in range(50):
        yardstick.first_event(20.0 + turn / 50, 1.0, SPAN)
    assert yardstick.first_event(21.0, 0.2, SPAN) > 0.75 * before


def test_answers_in_no_time_divide_nothing_by_zero():
    yardstick = Yardstick()
    assert yardstick.first_event(0.0, 0.0, SPAN) == 1.0
    assert yardstick.whole(0.0, 0.0, 0, SPAN) == 1.0
