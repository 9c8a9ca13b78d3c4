"""Answers tell how long the next one will be; the dollars that a large model costs more follow from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from routing_house import MODELS, House, alias

from penstock.exchange import Call
from penstock.models.policy import ModelsPolicy
from penstock.openai.usage import Usage
from penstock.routing.worth import Lengths, extra_cost, whole_cost, worth


@pytest.fixture
def house():
    return House(alias(decide="scorer"))


def answered(lengths, house, tokens, **asked):
    """Let one answer of this length come; give what was expected of it."""
    exchange = house.exchange("hello", **asked)
    expected = lengths.expect(exchange, "auto")
    exchange.calls.append(Call("small", Usage(10, tokens)))
    return expected


def test_the_expected_length_follows_the_answers(house):
    lengths = Lengths()
    assert answered(lengths, house, 20) == 0
    assert answered(lengths, house, 20) == pytest.approx(20, rel=0.12)  # one is better than none
    for _ in range(100):
        last = answered(lengths, house, 900)
    assert last == pytest.approx(900, rel=0.12)


def test_lengths_that_hardly_differ_are_told_alike(house):
    lengths = Lengths()
    told = [answered(lengths, house, 100 + number % 3) for number in range(100)]
    assert len(set(told[1:])) == 1


def test_an_answer_that_never_tells_its_usage_teaches_nothing_and_is_forgotten(house):
    lengths = Lengths()
    for _ in range(500):
        exchange = house.exchange("hello")
        assert lengths.expect(exchange, "auto") == 0
        exchange.calls.append(Call("small"))
    assert len(lengths._by["acme", "auto"].waiting) <= 64


def test_both_calls_of_a_cascade_are_seen_once_both_are_told(house):
    lengths = Lengths()
    exchange = house.exchange("hello")
    lengths.expect(exchange, "auto")
    exchange.calls += [Call("small", Usage(10, 1000)), large := Call("large")]
    assert lengths.expect(house.exchange("hello"), "auto") == 0
    large.usage = Usage(10, 2000)
    assert lengths.expect(house.exchange("hello"), "auto") == pytest.approx(1500, rel=0.12)


def test_tenants_and_aliases_are_known_apart(house):
    lengths = Lengths()
    for _ in range(100):
        answered(lengths, house, 5)
    assert lengths.expect(house.exchange("hello", tenant="globex"), "auto") == 0
    assert lengths.expect(house.exchange("hello"), "other") == 0
    assert lengths.expect(house.exchange("hello"), "auto") == pytest.approx(5, rel=0.12)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_no_answer_is_longer_than_its_client_allows(house, field):
    lengths = Lengths()
    for _ in range(3):
        answered(lengths, house, 200)
    assert lengths.expect(house.exchange("hello", **{field: 30}), "auto") == 30
    assert lengths.expect(house.exchange("hello", **{field: "thirty"}), "auto") > 100


def test_the_cost_is_that_of_the_prices_between_both_models(house):
    its = alias("small", "nano", "large")
    short, long = (house.exchange("x" * size).request for size in (40, 40_000))
    more = extra_cost(long, its, MODELS, 100) - extra_cost(short, its, MODELS, 100)
    assert more == pytest.approx((40_000 - 40) / 4 * 19e6, rel=0.01)
    assert extra_cost(short, its, MODELS, 200) - extra_cost(short, its, MODELS, 100) == 100 * 76e6


def test_a_pair_without_a_difference_or_a_price_costs_the_least_there_is(house):
    request = house.exchange("hello").request
    assert extra_cost(request, alias("small", "nano"), MODELS, 100) == 1
    assert extra_cost(request, alias("large", "small"), MODELS, 100) == 1
    assert extra_cost(request, alias(), ModelsPolicy(), 100) == 1


def test_a_whole_answer_costs_its_prompt_and_its_own_length(house):
    request = house.exchange("hello").request
    assert whole_cost(request, "large", MODELS, 100) == len(request.raw) // 4 * 20e6 + 100 * 80e6
    assert whole_cost(request, "large", ModelsPolicy(), 100) == 1


@given(some.floats(-1, 1), some.floats(1, 1e12), some.floats(1, 1e12), some.floats(0, 1))
def test_what_gains_is_worth_less_the_more_it_costs_and_what_loses_never_profits(gain, cost, other, weight):
    cheap, dear = sorted((cost, other))
    assert worth(gain, cheap, weight) >= worth(gain, dear, weight)
    assert worth(gain, cost, 0) == gain
    assert (worth(gain, cost, weight) > 0) == (gain / cost**weight > 0)
