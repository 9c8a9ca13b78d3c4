"""Looking at every look must not make a difference of nothing; a real one is found."""

import math
import random

import pytest
from ab_house import costs, run, shares

from penstock.experiment.sequential import FEWEST_BUCKETS, Sample, difference
from penstock.experiment.tally import Counts


def sample(values, buckets=32, metric="cost_usd"):
    counts = Counts()
    for place, value in enumerate(values):
        counts.add(metric, value, place % buckets)
    return counts.sample(metric)


def false_alarms(tests, **how):
    return sum(run(seed, **how) is not None for seed in range(tests)) / tests


@pytest.mark.timeout(240)
@pytest.mark.parametrize("draw", [shares(0.3), costs], ids=["shares", "costs"])
def test_a_thousand_tests_of_equal_arms_stay_under_alpha(draw):
    """A thousand in all; the ten thousand are below, with a look after every single observation."""
    wrong = false_alarms(500, control=draw, treatment=draw, observations=700, every=10, min_sample=100)
    assert wrong <= 0.05


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_tests_of_equal_arms_stay_under_alpha():
    draw = shares(0.3)
    assert (
        false_alarms(10_000, control=draw, treatment=draw, observations=400, every=1, min_sample=100) <= 0.05
    )


@pytest.mark.timeout(120)
def test_few_units_with_many_requests_are_not_taken_for_many():
    """A hundred users who differ: over requests alone, four in ten tests of equal arms would err."""
    how = {"control": costs, "treatment": costs, "observations": 800, "every": 100, "units": 60}
    assert false_alarms(60, **how) <= 0.05
    assert false_alarms(30, **how, clustered=False) > 0.15


def test_a_real_effect_is_found():
    found = [run(seed, shares(0.3), shares(0.4), observations=1500, every=100) for seed in range(20)]
    assert sum(each is not None for each in found) >= 19
    assert all(each.low > 0 for each in found if each)


def test_the_interval_is_the_formula_of_the_paper():
    first, second = sample([0.0, 1.0] * 500), sample([0.0, 2.0] * 500)
    found = difference(first, second, alpha=0.05, min_sample=100, clustered=False)
    assert found.value == pytest.approx(0.5)
    doubled = -2 * math.log(0.05)
    mixed = 500 * (doubled + math.log(doubled + 1)) / 100  # t = 1000 * 1000 / 2000, best at 100
    variance = (0.25 + 1.0) * 1000 / 999 / 1000
    radius = math.sqrt(2 * variance * (1 + mixed) / mixed * math.log(math.sqrt(1 + mixed) / 0.05))
    assert found.high - found.value == pytest.approx(radius)
    assert found.low == pytest.approx(found.value - radius)


def test_it_is_wider_than_one_look_would_allow_and_narrows_with_time():
    widths = []
    for count in (200, 2000, 20000):
        arm = sample([0.0, 1.0] * (count // 2))
        found = difference(arm, arm, alpha=0.05, min_sample=200, clustered=False)
        assert found.high > 1.96 * math.sqrt(2 * 0.25 / count)
        widths.append(found.high)
    assert widths == sorted(widths, reverse=True)


def test_a_smaller_alpha_asks_for_more():
    arm = sample([0.0, 1.0] * 500)
    strict, usual = (
        difference(arm, arm, alpha=alpha, min_sample=100, clustered=True).high for alpha in (0.001, 0.05)
    )
    assert strict > usual


@pytest.mark.parametrize(("n", "comes"), [(99, False), (100, True)])
def test_nothing_is_said_before_the_minimum(n, comes):
    few, many = sample([0.0, 1.0] * (n // 2) + [0.0] * (n % 2)), sample([0.0, 1.0] * 500)
    for pair in ((few, many), (many, few)):
        found = difference(*pair, alpha=0.05, min_sample=100, clustered=False)
        assert (found is not None) == comes


@pytest.mark.parametrize(("buckets", "comes"), [(FEWEST_BUCKETS - 1, False), (FEWEST_BUCKETS, True)])
def test_few_units_allow_no_conclusion_about_units(buckets, comes):
    few, many = sample([0.0, 1.0] * 500, buckets), sample([0.0, 1.0] * 500)
    found = difference(few, many, alpha=0.05, min_sample=100, clustered=True)
    assert (found is not None) == comes
    assert difference(few, many, alpha=0.05, min_sample=100, clustered=False) is not None


def test_no_failure_among_a_few_is_not_certainty():
    none, one = sample([0.0] * 100, metric="error"), sample([0.0] * 99 + [1.0], metric="error")
    assert none.shares
    assert none.variance > 0
    found = difference(none, one, alpha=0.05, min_sample=100, clustered=False)
    assert found.low < 0 < found.high
    all_fail = sample([1.0] * 100, metric="error")
    assert difference(none, all_fail, alpha=0.05, min_sample=100, clustered=False).low > 0.5


def test_an_empty_sample_knows_nothing():
    assert (Sample().mean, Sample().used) == (0.0, 0)
    assert Sample().mean_variance == math.inf
    assert Sample(1, 1, 1).variance == math.inf
    assert sample([1.0, 2.0], buckets=1).clustered_variance == math.inf


def test_the_clustered_variance_agrees_where_requests_are_independent():
    rng = random.Random(7)  # noqa: S311
    arm = sample([rng.gauss(3, 1) for _ in range(32_000)])
    assert arm.clustered_variance == pytest.approx(arm.mean_variance, rel=0.6)
