import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.ridge import SparseRow, ridge, weighted


def test_one_column_has_the_closed_form():
    rows = [SparseRow([0], [value]) for value in (1.0, 2.0, 3.0)]
    assert ridge(rows, [2.0, 4.0, 6.0], 1, 0.5) == pytest.approx([28 / 14.5])


def test_without_penalty_it_solves_what_can_be_solved():
    rows = [SparseRow([0, 1], [1.0, 1.0]), SparseRow([0], [2.0]), SparseRow([1], [1.0])]
    assert ridge(rows, [5.0, 4.0, 3.0], 2, 0.0) == pytest.approx([2.0, 3.0], abs=1e-4)


def test_a_larger_penalty_makes_smaller_coefficients():
    rows = [SparseRow([0], [1.0]), SparseRow([0], [1.0])]
    little, much = (ridge(rows, [1.0, 1.0], 1, penalty)[0] for penalty in (0.1, 10.0))
    assert 0 < much < little < 1


def test_a_column_nobody_has_stays_zero():
    assert ridge([SparseRow([1], [1.0])], [1.0], 3, 1.0) == pytest.approx([0.0, 0.5, 0.0])


def test_a_target_of_zeros_needs_no_step():
    assert ridge([SparseRow([0], [1.0])], [0.0], 1, 1.0) == [0.0]


def test_weight_two_is_as_good_as_saying_it_twice():
    row, target, other = SparseRow([0, 1], [1.0, 2.0]), 3.0, SparseRow([1], [1.0])
    twice = ridge([row, row, other], [target, target, 1.0], 2, 1.0)
    once = ridge([weighted(row, 2.0), other], [target * 2**0.5, 1.0], 2, 1.0)
    assert once == pytest.approx(twice, abs=1e-5)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=8))
def test_what_it_finds_is_the_minimum(table: list[tuple[float, float, float]]):
    rows = [SparseRow([0, 1], [first, second]) for first, second, _ in table]
    target = [wanted for _, _, wanted in table]
    found = ridge(rows, target, 2, 1.0)
    misses = [
        sum(value * found[at] for at, value in zip(row.columns, row.values, strict=True)) - wanted
        for row, wanted in zip(rows, target, strict=True)
    ]
    for column in (0, 1):
        slope = sum(miss * row.values[column] for miss, row in zip(misses, rows, strict=True)) + found[column]
        assert slope == pytest.approx(0.0, abs=1e-2)


def test_a_row_of_nothing_changes_nothing():
    rows = [SparseRow([0], [1.0]), SparseRow([], []), SparseRow([1], [2.0])]
    assert ridge(rows, [1.0, 5.0, 2.0], 2, 1.0) == pytest.approx([0.5, 0.8])


def test_coefficients_are_plain_numbers():
    assert [type(value) for value in ridge([SparseRow([0], [1.0])], [1.0], 1, 1.0)] == [float]


def test_a_gateway_that_never_trains_does_not_load_numpy():
    seen = "import sys, penstock.routing.learner, penstock.routing.ridge; print('numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
