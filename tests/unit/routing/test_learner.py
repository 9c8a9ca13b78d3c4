from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.features import Features, prompt_features
from penstock.routing.feedback import Observed, Served
from penstock.routing.fit import Example
from penstock.routing.learner import PRIOR, Learner, chance_of_large, compare, transferred
from penstock.routing.weights import NOTHING, Weights

EASY, HARD = prompt_features("greet the guest kindly"), prompt_features("prove the deep lemma")


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _watched(rng: Random, count: int, shadow: float = 0.1) -> Learner:
    learner = Learner(rng)
    for _ in range(count):
        hard = rng.random() < 0.5
        small, large = float(rng.random() < (0.2 if hard else 0.9)), float(rng.random() < 0.9)
        served, both = rng.choice(list(Served)), rng.random() < shadow
        learner.observe(
            Observed(
                HARD if hard else EASY,
                served,
                0.5,
                small if both or served is Served.SMALL else None,
                large if both or served is Served.LARGE else None,
            )
        )
    return learner


def test_it_learns_from_what_was_served():
    weights = _watched(random(1), 600).snapshot()
    assert weights.gain(HARD) > weights.gain(EASY) + 0.1


def test_from_nothing_comes_the_prior():
    learner = Learner(random(1))
    assert learner.snapshot() is PRIOR
    assert Learner(random(1), prior=NOTHING).snapshot() is NOTHING
    assert not learner.compare(NOTHING, NOTHING).wins


def test_a_good_candidate_wins_over_nothing_and_not_the_other_way_round():
    learner = _watched(random(2), 1500, shadow=1.0)
    candidate = learner.snapshot()
    assert learner.compare(NOTHING, candidate).wins
    assert not learner.compare(candidate, NOTHING).wins


def test_a_candidate_does_not_win_over_itself():
    learner = _watched(random(3), 800)
    candidate = learner.snapshot()
    found = learner.compare(candidate, candidate)
    assert (found.wins, found.better) == (False, 0.0)


def test_too_few_held_back_outcomes_decide_nothing():
    good = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(HARD.words, 1.0))
    few = [Example(HARD, 1.0), Example(EASY, 0.0)] * 5
    assert compare(NOTHING, good, few).better > 0
    assert not compare(NOTHING, good, few).wins
    assert compare(NOTHING, good, few * 10).wins


def test_a_useless_candidate_seldom_wins():
    rng = random(4)
    wins = 0
    for _ in range(200):
        noise = Weights((1.0, 1.0, 1.0), 0.0, {feature: rng.gauss(0, 1) for feature in range(50)})
        outcomes = [
            Example(Features({rng.randrange(50)}, frozenset(), frozenset()), rng.choice((-1.0, 0.0, 1.0)))
            for _ in range(100)
        ]
        wins += compare(NOTHING, noise, outcomes).wins
    assert wins <= 36  # 10 % promised, three standard deviations of chance allowed


def test_only_the_last_requests_are_remembered():
    learner = Learner(random(5), remembered=50)
    for _ in range(500):
        learner.observe(Observed(EASY, Served.SMALL, 0.5, small=1.0))
    assert len(learner) <= 55


def test_a_longer_prompt_is_expected_to_gain_more_where_nothing_is_known():
    short, long = prompt_features("Who wrote it?"), prompt_features("Who wrote it, and why? " * 40)
    assert PRIOR.gain(long) > PRIOR.gain(short)


def test_another_pairs_weights_are_believed_in_part():
    weights = Weights((1.0, 1.0, 1.0), 0.5, dict.fromkeys(HARD.words, 1.0))
    little, much = transferred(weights, 0.1), transferred(weights, 0.5)
    assert PRIOR.gain(HARD) < little.gain(HARD) < much.gain(HARD)
    assert transferred(weights, 0.0).gain(HARD) == pytest.approx(PRIOR.gain(HARD))


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 0.5))
def test_neither_model_is_ever_out_of_reach(gain: float, threshold: float, explore: float):
    assert explore <= chance_of_large(gain, threshold, explore) <= 1 - explore


def test_a_larger_gain_goes_to_the_large_model():
    assert chance_of_large(0.3, 0.1, 0.05) == 0.95
    assert chance_of_large(0.1, 0.3, 0.05) == 0.05
