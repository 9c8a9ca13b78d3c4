from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.quality_curve import Outcome, QualityCurve, apgr_interval

# Two that both can, one that only the large can, one that none can.
OUTCOMES = [Outcome(1, 1), Outcome(1, 1), Outcome(0, 1), Outcome(0, 0)]


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def test_the_ends_are_both_models():
    curve = QualityCurve.of([0, 0, 1, 0], OUTCOMES)
    assert (curve.qualities[0], curve.qualities[-1]) == (0.5, 0.75)
    assert curve.gap == pytest.approx(0.25)


def test_the_right_order_gains_at_once_and_the_wrong_one_last():
    right, wrong = ([0, 0, 1, 0], [1, 1, 0, 1])
    assert QualityCurve.of(right, OUTCOMES).apgr() == pytest.approx(0.875)
    assert QualityCurve.of(wrong, OUTCOMES).apgr() == pytest.approx(0.125)


def test_knowing_nothing_is_one_half():
    curve = QualityCurve.of([0.3] * 4, OUTCOMES)
    assert curve.apgr() == pytest.approx(0.5)
    assert curve.cpt(0.5) == pytest.approx(0.5)
    assert curve.cpt(0.8) == pytest.approx(0.8)


def test_shares_and_qualities_are_read_both_ways():
    curve = QualityCurve.of([0, 0, 1, 0], OUTCOMES)
    assert curve.quality_at(0.25) == pytest.approx(0.75)
    assert curve.quality_at(0.125) == pytest.approx(0.625)
    assert curve.share_for(0.625) == pytest.approx(0.125)
    assert curve.share_for(0.4) == 0.0
    assert curve.share_for(0.9) == 1.0


def test_without_a_gap_there_is_no_area():
    assert QualityCurve.of([0.0], [Outcome(1, 1)]).apgr() is None


def test_the_interval_holds_the_area():
    rng = random(1)
    outcomes = [Outcome(float(rng.random() < 0.6), float(rng.random() < 0.8)) for _ in range(300)]
    gains = [outcome.gain + rng.gauss(0, 1) for outcome in outcomes]
    interval = apgr_interval(gains, outcomes, rng)
    area = QualityCurve.of(gains, outcomes).apgr()
    assert interval is not None
    assert area is not None
    assert interval[0] < area < interval[1]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=30))
def test_a_curve_begins_at_none_and_ends_at_all(rows: list[tuple[float, float, int]]):
    curve = QualityCurve.of([float(gain) for _, _, gain in rows], [Outcome(s, g) for s, g, _ in rows])
    assert (curve.shares[0], curve.shares[-1]) == (0.0, 1.0)
    assert list(curve.shares) == sorted(curve.shares)
    assert curve.qualities[-1] == pytest.approx(sum(large for _, large, _ in rows) / len(rows))
