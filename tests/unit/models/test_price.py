"""Prices: whole micro-dollars, rounded up once, and never less than a plain reading of the figures."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.models.price import Prices, usd_micros
from penstock.openai.usage import Usage

PRICES = Prices(input=150_000, cached_input=75_000, output=600_000, reasoning=900_000)
counts = st.integers(0, 10_000_000)
prices = st.builds(Prices, *[st.integers(0, 10**12)] * 4)


@pytest.mark.parametrize(
    ("usd", "micros"),
    [
        (0.15, 150_000),
        (0.075, 75_000),
        (10.0, 10_000_000),
        (0.000001, 1),
        (0.1 + 0.2 - 0.2, 100_000),
        (0.0, 0),
    ],
)
def test_a_price_is_what_stands_in_the_file(usd: float, micros: int) -> None:
    assert usd_micros(round(usd, 6)) == micros


@pytest.mark.parametrize("usd", [0.0000001, 0.1234567, 1e-9])
def test_a_finer_price_is_refused(usd: float) -> None:
    with pytest.raises(ValueError, match="at most 6 decimals"):
        usd_micros(usd)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (Usage(), 0),
        (Usage(1, 0), 1),  # 0.15 micro-dollars
        (Usage(1_000_000, 0), 150_000),
        (Usage(1_000_000, 1_000_000), 750_000),
        (Usage(1_000_000, 0, cached_input_tokens=1_000_000), 75_000),
        (Usage(1_000_000, 0, cached_input_tokens=400_000), 120_000),
        (Usage(0, 1_000_000, reasoning_tokens=500_000), 750_000),
        (Usage(7, 1), 2),  # 1.05 + 0.6: rounded up once, not twice
    ],
)
def test_costs(usage: Usage, cost: int) -> None:
    assert PRICES.cost_usd_micros(usage) == cost


def test_a_part_larger_than_its_whole_is_charged_beside_it() -> None:
    """Some servers leave reasoning out of the output, and cached tokens out of the input."""
    assert PRICES.cost_usd_micros(Usage(100, 0, cached_input_tokens=1_000_000)) == 15 + 75_000
    assert PRICES.cost_usd_micros(Usage(0, 10, reasoning_tokens=1_000_000)) == 6 + 900_000


@given(prices, counts, counts, counts, counts)
def test_a_cost_is_exact_and_less_than_a_micro_dollar_too_much(
    prices: Prices, fresh: int, cached: int, said: int, thought: int
) -> None:
    usage = Usage(fresh + cached, said + thought, cached, thought)
    exact = Fraction(
        fresh * prices.input
        + cached * prices.cached_input
        + said * prices.output
        + thought * prices.reasoning,
        1_000_000,
    )
    assert exact <= prices.cost_usd_micros(usage) < exact + 1


@given(prices, counts, counts, counts, counts)
def test_no_figure_makes_an_answer_cheaper_than_its_plain_reading(
    prices: Prices, put_in: int, out: int, cached: int, thought: int
) -> None:
    cost = prices.cost_usd_micros(Usage(put_in, out, cached, thought))
    cheapest_in = put_in * (min(prices.input, prices.cached_input) if cached <= put_in else prices.input)
    cheapest_out = out * (min(prices.output, prices.reasoning) if thought <= out else prices.output)
    assert cost * 1_000_000 >= cheapest_in + cheapest_out
    assert cost >= 0


@given(prices, counts, counts, st.floats(0, 1), st.floats(0, 1))
def test_the_bounds_hold_for_every_sound_usage(
    prices: Prices, put_in: int, out: int, cached: float, thought: float
) -> None:
    usage = Usage(put_in, out, int(put_in * cached), int(out * thought))
    bound = prices.input_bound_usd_micros(put_in) + prices.output_bound_usd_micros(out)
    assert prices.cost_usd_micros(usage) <= bound
