import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.arithmetic import Equation, equations


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("3 * 4 = 12", 12, 12),
        ("so 3*4=13 apples", 12, 13),
        ("$1,200 + $300 = $1,500", 1500, 1500),
        ("6 x 1.5 = 9", 9, 9),
        ("10 \u00f7 4 = 2.5", 2.5, 2.5),
        ("<<90+3=93>>", 93, 93),
        ("(2 + 3) * 4 = 20", 20, 20),
        ("50% * 80 = 40", 40, 40),
        ("5 - 8 = -3", -3, -3),
    ],
)
def test_an_equation_is_read(text: str, left: float, right: float):
    (found,) = equations(text)
    assert (found.left, found.right) == (pytest.approx(left), pytest.approx(right))


@pytest.mark.parametrize("text", ["", "x = 5", "the total is 12", "3 * y = 12", "1 / 0 = 7", "007 + 1 = 8"])
def test_what_is_no_arithmetic_is_passed_over(text: str):
    assert not list(equations(text))


@pytest.mark.parametrize(("left", "right"), [(12, 12), (10 / 3, 3.33), (66.667, 66.67), (1000, 1005)])
def test_rounding_is_no_mistake(left: float, right: float):
    assert Equation(left, right).holds()


@pytest.mark.parametrize(("left", "right"), [(12, 13), (0.5, 0.6), (1000, 1010)])
def test_a_mistake_is_one(left: float, right: float):
    assert not Equation(left, right).holds()


def test_each_step_is_found_in_its_order():
    steps = list(equations("First 2 + 2 = 4. Then 4 * 5 = 21."))
    assert [step.holds() for step in steps] == [True, False]


def test_a_power_tower_is_not_computed():
    assert not list(equations("9 ** 9 ** 9 ** 9 = 1")) or all(
        found.left < 1e6 for found in equations("9 ** 9 ** 9 ** 9 = 1")
    )


@given(st.integers(0, 999), st.integers(0, 999))
def test_true_sums_hold_and_false_ones_do_not(first: int, second: int):
    (right,) = equations(f"{first} + {second} = {first + second}")
    (wrong,) = equations(f"{first} + {second} = {first + second + 20}")
    assert right.holds()
    assert not wrong.holds()


@given(st.text(alphabet="0123456789+-*/x()=%$., \n"))
def test_no_text_breaks_it(text: str):
    for found in equations(text):
        assert found.holds() in (True, False)


@pytest.mark.parametrize(
    "text",
    ["1 + " * 20_000, "1,  " * 20_000, "( " * 20_000, "1 ) " * 20_000, "7" * 50_000, "1 + 1" + " " * 50_000],
    ids=lambda text: text[:4],
)
@pytest.mark.timeout(5)
def test_sums_without_an_end_take_no_time(text: str):
    """Models that loop write such things; a search that tries every way to split them never ends."""
    assert list(equations(text)) == []
