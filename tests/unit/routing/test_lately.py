"""Shares hold from the first request on, also where all gains are equal; threads end in time."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from penstock.routing.lately import Gains, Shares, Stuck, Threads
from penstock.routing.weights import Weights


def large(gains, share, count=2_000):
    """Give how many of the requests rank among this share."""
    seen = Gains()
    return sum(seen.rank(gain) >= 1 - share for gain in gains[:count])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", ["random", "few", "equal"])
def test_a_share_is_kept_over_two_thousand_requests(share, kind):
    rng = random.Random(7)  # noqa: S311
    draw = {"random": lambda: rng.gauss(0, 1), "few": lambda: float(rng.randrange(3)), "equal": lambda: 0.0}
    gains = [draw[kind]() for _ in range(2_000)]
    assert large(gains, share) / 2_000 == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_a_share_is_never_exceeded_by_much_on_the_way(share):
    rng, seen, among = random.Random(3), Gains(), 0  # noqa: S311
    for number in range(1, 2_001):
        among += seen.rank(rng.gauss(0, 1)) >= 1 - share
        assert among <= share * number + 4 * (share * number) ** 0.5 + 1


@settings(max_examples=30)
@given(gains=some.lists(some.floats(-1, 1), min_size=1, max_size=60))
def test_a_rank_is_the_share_of_those_that_gain_less(gains):
    seen, before = Gains(), []
    for gain in gains:
        rank = seen.rank(gain)
        below = sum(other < gain for other in before)
        equal = sum(abs(other - gain) <= 1e-12 and other >= gain for other in before)
        assert below / (len(before) + 1) <= rank <= (below + equal + 1) / (len(before) + 1)
        before.append(gain)


def test_what_is_long_past_counts_for_nothing():
    seen = Gains()
    for number in range(1_000):
        seen.rank(100 + number)
    for number in range(1_000):
        seen.rank(number / 1_000)
    assert seen.rank(2.0) > 0.99
    assert len(seen._gains) == len(seen._weights) == len(seen._latest) == 1_000


@given(some.lists(some.tuples(some.sampled_from([-1.0, 0.0, 0.5, 2.0]), some.floats(0.1, 100)), max_size=60))
def test_a_rank_is_the_share_of_the_weight_below(seen):
    gains, before = Gains(), []
    for gain, weight in seen:
        rank = gains.rank(gain, weight)
        total = sum(weight for _, weight in before) + weight
        below = sum(weight for other, weight in before if other < gain)
        equal = sum(weight for other, weight in before if other == gain)
        assert below / total - 1e-9 <= rank <= (below + equal + weight) / total + 1e-9
        before.append((gain, weight))


@given(some.integers(0, 1_000_000))
@settings(max_examples=10)
def test_what_makes_room_is_the_oldest(seed):
    rng, gains = random.Random(seed), Gains()  # noqa: S311
    seen = [(rng.choice((0.0, 1.0)), rng.choice((1.0, 2.0))) for _ in range(1_100)]
    for gain, weight in seen:
        gains.rank(gain, weight)
    assert sorted(zip(gains._gains, gains._weights, strict=True)) == sorted(seen[-1_000:])


def test_shares_are_kept_apart_and_begin_anew_with_a_new_scorer():
    one, same, other = (Weights((1.0, 1.0, 1.0), mean, {}) for mean in (0.1, 0.1, 0.2))
    shares = Shares()
    for number in range(100):
        shares.rank(("acme", "auto"), one, number / 100, 1.0)
    assert shares.rank(("acme", "auto"), same, 2.0, 1.0) > 0.9  # read anew, but the same
    assert shares.rank(("globex", "auto"), one, -2.0, 1.0) > 0.5  # the first of its own: a lot decides
    assert shares.rank(("acme", "auto"), other, -2.0, 1.0) < 0.5
    assert shares.rank(("acme", "auto"), other, 2.0, 1.0) > 0.5  # of two


def test_a_thread_ends_in_time():
    threads = Threads()
    stuck = Stuck("small", "east", until=10.0)
    threads.keep(b"t", stuck)
    assert threads.get(b"t", 9.9) == stuck
    assert threads.get(b"t", 10.0) is None
    assert threads.get(b"u", 0.0) is None


def test_the_oldest_thread_makes_room():
    threads = Threads()
    for number in range(50_000):
        threads.keep(b"%d" % number, Stuck("small", None, 1.0))
    threads.keep(b"0", Stuck("large", None, 1.0))  # heard of again
    threads.keep(b"new", Stuck("small", None, 1.0))
    assert threads.get(b"1", 0.0) is None
    assert threads.get(b"0", 0.0) == Stuck("large", None, 1.0)
