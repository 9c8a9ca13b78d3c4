from random import Random

import pytest

from penstock.routing.features import prompt_features
from penstock.routing.feedback import Observed, Served, examples

SEEN = prompt_features("hello")


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _small(outcome: float | None, chance: float = 0.5) -> Observed:
    return Observed(SEEN, Served.SMALL, chance, small=outcome)


def _large(outcome: float | None, chance: float = 0.5) -> Observed:
    return Observed(SEEN, Served.LARGE, chance, large=outcome)


def test_both_outcomes_give_the_gain_itself():
    (found,) = examples([Observed(SEEN, Served.SMALL, 0.9, small=0.25, large=1.0)])
    assert (found.gain, found.weight) == (0.75, 1.0)


def test_one_outcome_counts_for_less():
    (found,) = examples([_small(1.0)])
    assert found.weight < 1.0


def test_no_outcome_teaches_nothing():
    assert not list(examples([_small(None), _large(None)]))


def test_the_other_models_outcome_alone_is_no_evidence_of_the_served_one():
    assert not list(examples([Observed(SEEN, Served.SMALL, 0.5, large=1.0)]))


def test_a_right_small_answer_lowers_the_gain_and_a_right_large_one_raises_it():
    rows = [_small(1.0), _small(0.0), _large(1.0), _large(0.0)]
    right_small, wrong_small, right_large, wrong_large = (example.gain for example in examples(rows))
    assert right_small < wrong_small
    assert right_large > wrong_large


def test_the_rarer_the_choice_the_more_it_says_up_to_a_limit():
    def spread(chance: float) -> float:
        right, wrong = (example.gain for example in examples([_small(1.0, chance), _small(0.0, chance)]))
        return wrong - right

    assert spread(0.9) < spread(0.5) < spread(0.1)
    assert spread(0.001) == pytest.approx(spread(0.1))


def test_topics_have_their_own_means():
    rows = [Observed(SEEN, Served.SMALL, 0.5, small=1.0, topic="easy") for _ in range(200)]
    rows += [Observed(SEEN, Served.SMALL, 0.5, small=0.0, topic="hard") for _ in range(200)]
    gains = [example.gain for example in examples(rows)]
    assert gains[0] < gains[-1]


def test_the_estimate_is_right_on_average_although_the_served_model_depends_on_the_prompt():
    """The small model is right in 60 of 100, the large one in 90; hard prompts mostly go to the large one."""
    rng = random(5)
    rows = []
    for _ in range(20_000):
        hard = rng.random() < 0.5
        chance = 0.8 if hard else 0.2
        if rng.random() < chance:
            rows.append(_large(float(rng.random() < (0.85 if hard else 0.95)), chance))
        else:
            rows.append(_small(float(rng.random() < (0.3 if hard else 0.9)), 1 - chance))
    gains = [example.gain for example in examples(rows)]
    assert sum(gains) / len(gains) == pytest.approx(0.3, abs=0.03)
