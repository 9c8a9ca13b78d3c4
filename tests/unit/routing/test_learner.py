from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.features import Features, prompt_features
from penstock.routing.feedback import Observed, Served
from penstock.routing.fit import Example
from penstock.routing.learner import (
    COLD_START,
    PRIOR,
    Learner,
    chance_of_large,
    compare,
    lot_of,
    transferred,
)
from penstock.routing.weights import NOTHING, Weights

EASY, HARD = prompt_features("greet the guest kindly"), prompt_features("prove the deep lemma")


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _watched(rng: Random, count: int, shadow: float = 0.1) -> Learner:
    learner = Learner()
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
    assert Learner().snapshot() is PRIOR
    assert Learner(prior=NOTHING).snapshot() is NOTHING
    assert not Learner().trial(NOTHING, 0).wins


def distinct(rng: Random, count: int) -> list[Observed]:
    """Give requests that are all different; those with an even number gain."""
    found = []
    for _ in range(count):
        number = rng.randrange(10**9)
        text = ("prove the lemma {}" if number % 2 else "greet the guest {}").format(number)
        gains = float(rng.random() < (0.8 if number % 2 else 0.1))
        found.append(Observed(prompt_features(text), Served.SMALL, 1.0, 1.0 - gains, 1.0))
    return found


def taught(those: list[Observed]) -> Learner:
    learner = Learner()
    for each in those:
        assert learner.observe(each)
    return learner


def test_a_good_candidate_wins_over_nothing_and_over_the_prior():
    learner = taught(distinct(random(2), 300))
    for live in (NOTHING, COLD_START):
        found = learner.trial(live, 300)
        assert found.wins
        assert (found.better > 0.03, found.count) == (True, 300)


def test_nothing_wins_over_one_that_knows_as_much():
    those = distinct(random(3), 600)
    live = taught(those[:500]).snapshot()
    assert not taught(those).trial(live, 100).wins


def test_only_what_the_live_one_has_not_seen_decides():
    """One that knows its own outcomes by heart would never be beaten on them."""
    those, heart = [], {}
    for number, each in enumerate(distinct(random(4), 400)):
        alone = Features({number}, frozenset(), each.features.words)  # a word that no other has
        those.append(Observed(alone, Served.SMALL, 1.0, each.small, 1.0))
        heart[number] = 100.0 * (1.0 - (each.small or 0.0)) if number < 200 else 0.0
    live, learner = Weights((1.0, 1.0, 1.0), 0.0, heart), taught(those)
    new, all_of_them = learner.trial(live, 200), learner.trial(live, 400)
    assert (new.wins, new.count, all_of_them.count) == (True, 200, 400)
    assert new.better > all_of_them.better + 0.01
    assert not taught(those[:200]).trial(live, 200).wins


def test_the_same_prompt_is_never_both_taught_and_asked():
    """Gains that are drawn by lot for each prompt can be known by heart only; nobody may win by that."""
    rng = random(5)
    found = []
    for number in range(100):
        features = Features(
            {number * 7 + 1, number * 7 + 2, 5_000 + number % 3}, frozenset(), frozenset({number % 4})
        )
        gains = float(rng.random() < 0.5)
        found += [Observed(features, Served.SMALL, 1.0, 1.0 - gains, 1.0)] * 6
    learner = taught(rng.sample(found, len(found)))
    examples_of = [Example(each.features, each.large - each.small) for each in found]
    assert compare(NOTHING, learner.snapshot(), examples_of).better > 0.05
    assert learner.trial(NOTHING, len(found)).better < 0.03


def test_what_says_nothing_of_who_served_teaches_nothing():
    learner = Learner()
    assert not learner.observe(Observed(EASY, Served.SMALL, 1.0, None, 1.0))
    assert not learner.observe(Observed(EASY, Served.LARGE, 1.0, 1.0, None))
    assert not learner.observe(Observed(EASY, Served.SMALL, 1.0))
    assert learner.observe(Observed(EASY, Served.SMALL, 1.0, 0.0))
    assert learner.observe(Observed(EASY, Served.SMALL, 1.0, 0.0, 1.0))
    assert len(learner) == 2


def test_few_new_outcomes_decide_nothing_and_cost_nothing():
    learner = taught(distinct(random(6), 300))
    found = learner.trial(NOTHING, 29)
    assert (found.wins, found.better, found.count) == (False, 0.0, 29)
    assert learner.trial(NOTHING, 1_000).count == 300


def test_one_sided_outcomes_weigh_less_than_whole_ones():
    good = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(HARD.words, 1.0))
    right, wrong = [(HARD, 1.0), (EASY, 0.0)], [(HARD, 0.0), (EASY, 1.0)]
    mixed = [Example(*each) for each in right * 50] + [Example(*each, weight=0.4) for each in wrong * 50]
    assert compare(NOTHING, good, mixed).better > 0
    evened = [Example(*each) for each in (right + wrong) * 50]
    assert compare(NOTHING, good, evened).better == pytest.approx(0, abs=1e-9)


def test_a_gain_that_all_share_decides_nothing():
    good = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(HARD.words, 1.0))
    few = [Example(HARD, 1.0), Example(EASY, 0.9)] * 100
    shifted = [Example(each.features, each.gain + 50.0) for each in few]
    one, other = compare(NOTHING, good, few), compare(NOTHING, good, shifted)
    assert (one.better, one.error) == (pytest.approx(other.better), pytest.approx(other.error, abs=1e-9))


def test_a_lot_goes_by_what_is_in_it_and_not_by_its_order():
    one, other = Features({1, 2, 3}, {4}, frozenset()), Features({3, 2, 1}, frozenset({4}), set())
    assert lot_of(one) == lot_of(other)
    assert lot_of(one) != lot_of(Features({1, 2}, {3, 4}, frozenset()))


def test_too_few_outcomes_decide_nothing():
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
    learner = Learner(remembered=50)
    for _ in range(500):
        learner.observe(Observed(EASY, Served.SMALL, 0.5, small=1.0))
    assert len(learner) == 50


def test_a_longer_prompt_is_expected_to_gain_more_where_nothing_is_known():
    short, long = prompt_features("Who wrote it?"), prompt_features("Who wrote it, and why? " * 40)
    assert PRIOR.gain(long) > PRIOR.gain(short)


def test_a_cold_start_orders_as_the_prior_does_and_promises_no_gain():
    prompts = [prompt_features("Who? " * count) for count in (0, 1, 3, 10, 30, 100, 1_000)]
    order = sorted(range(7), key=lambda at: PRIOR.gain(prompts[at]))
    assert sorted(range(7), key=lambda at: COLD_START.gain(prompts[at])) == order
    assert all(0 < COLD_START.gain(prompt) < 0.01 for prompt in prompts)


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
