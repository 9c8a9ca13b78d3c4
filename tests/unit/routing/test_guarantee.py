from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.guarantee import Infeasible, Kept, Labelled, error_bound, keep_within


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


@pytest.mark.parametrize(
    # Clopper-Pearson, one-sided 95 %: 1 - 0.05^(1/n) for no error; the rest from tables of the beta quantile.
    ("wrong", "count", "bound"),
    [(0, 59, 0.0495), (0, 1, 0.95), (1, 10, 0.3942), (5, 100, 0.1023), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_the_bound_is_clopper_and_pearsons(wrong: int, count: int, bound: float):
    assert error_bound(wrong, count) == pytest.approx(bound, abs=1e-4)


@given(st.integers(1, 300), st.data())
def test_the_bound_is_above_what_was_seen_and_falls_with_evidence(count: int, data: st.DataObject):
    wrong = data.draw(st.integers(0, count))
    bound = error_bound(wrong, count)
    assert wrong / count <= bound <= 1.0
    assert error_bound(2 * wrong, 2 * count) <= bound + 1e-9


def _answers(rng: Random, count: int, error_at_worst: float) -> list[Labelled]:
    """Answers whose chance of being wrong falls from `error_at_worst` to none as confidence rises."""
    confidences = [rng.random() for _ in range(count)]
    return [Labelled(c, rng.random() < error_at_worst * (1 - c)) for c in confidences]


def test_it_keeps_the_confident_and_tells_the_evidence():
    found = keep_within(_answers(random(1), 2000, 0.5), 0.1)
    assert isinstance(found, Kept)
    assert 0.1 < found.share < 0.6
    assert found.wrong <= 0.1 * found.count
    assert found.bound <= 0.1


def test_a_looser_promise_keeps_more():
    answers = _answers(random(2), 2000, 0.5)
    strict, loose = keep_within(answers, 0.1), keep_within(answers, 0.2)
    assert isinstance(strict, Kept)
    assert isinstance(loose, Kept)
    assert loose.share > strict.share
    assert loose.threshold < strict.threshold


def test_what_cannot_be_shown_is_infeasible_with_the_reason():
    found = keep_within([Labelled(0.5, at % 2 == 0) for at in range(500)], 0.1)
    assert isinstance(found, Infeasible)
    assert "of the 500 most confident answers 250 were wrong" in str(found)


def test_too_few_answers_show_nothing():
    assert isinstance(keep_within([Labelled(0.9, False)] * 20, 0.05), Infeasible)


def test_no_answers_show_nothing():
    assert isinstance(keep_within([], 0.05), Infeasible)


def test_answers_of_equal_confidence_stay_together():
    answers = [Labelled(1.0, False)] * 300 + [Labelled(0.5, at % 3 == 0) for at in range(300)]
    found = keep_within(answers, 0.05)
    assert isinstance(found, Kept)
    assert (found.count, found.threshold) == (300, 1.0)


def test_a_perfect_model_is_kept_whole():
    found = keep_within([Labelled(float(at), False) for at in range(400)], 0.05)
    assert isinstance(found, Kept)
    assert found.share == 1.0


def test_the_promise_is_broken_no_more_often_than_it_says():
    """In 200 worlds with a true error that is known, at most 5 % (and chance) of thresholds are too low."""
    rng = random(3)
    broken = 0
    for _ in range(200):
        found = keep_within(_answers(rng, 600, 0.4), 0.1)
        if isinstance(found, Kept):
            true_error = 0.4 * (1 - found.threshold) / 2
            broken += true_error > 0.1
    assert broken <= 18


def test_a_few_answers_on_top_are_not_worth_a_promise():
    """A twentieth is always right, the rest half the time."""
    few = [Labelled(1.0 + at / 1000, False) for at in range(100)]
    rest = [Labelled(at / 2000, at % 2 == 0) for at in range(1900)]
    assert isinstance(keep_within([*few, *rest], 0.05), Infeasible)


def test_a_fifth_on_top_is():
    some = [Labelled(1.0 + at / 1000, False) for at in range(400)]
    rest = [Labelled(at / 2000, at % 2 == 0) for at in range(1600)]
    found = keep_within([*some, *rest], 0.05)
    assert isinstance(found, Kept)
    assert 0.1 <= found.share <= 0.25
