"""The most that a request can cost, by unit; and what calls did cost."""

from datetime import UTC

import pytest

from penstock.budget.need import Cost, Need
from penstock.budget.window import Window, period
from penstock.errors import Refusal
from penstock.models.policy import Model, ModelsPolicy
from penstock.models.prompt import prompt_bound
from penstock.openai.usage import Usage
from unit.budget.budget_bits import CHAT, COMPLETIONS, EMBEDDINGS, MODEL, MODELS, applied, request

TOKENS, MONEY = applied(), applied("usd", 10_000_000)
NOW = 1.8e9


def need(path: str = CHAT, models: ModelsPolicy = MODELS, **body) -> Need:
    asked = request(path, **body)
    return Need.of(asked, models.find(asked.model), [TOKENS], 128)


def line(of: Need, limit):
    return of.line(limit, period(limit.window, NOW, UTC), 0.8)


@pytest.mark.parametrize(
    ("path", "body", "output"),
    [
        (CHAT, {}, 500),
        (CHAT, {"max_tokens": 20}, 20),
        (CHAT, {"max_tokens": 10**30}, 500),
        (COMPLETIONS, {"prompt": "a"}, 16),
        (COMPLETIONS, {"prompt": "a", "max_tokens": 30}, 30),
        (EMBEDDINGS, {"input": "a"}, 0),
    ],
)
def test_the_longest_answer(path: str, body: dict, output: int):
    of = need(path, **body)
    assert of.output_tokens == output
    assert of.prompt_tokens == prompt_bound(of.request, MODEL)
    assert of.most_tokens == of.prompt_tokens + output


def test_several_answers_are_several_times_the_output():
    one, three = need(max_tokens=20), need(max_tokens=20, n=3)
    assert three.most_tokens - three.prompt_tokens == 3 * 20
    assert line(three, TOKENS).amount(20) == three.prompt_tokens + 60
    assert line(one, TOKENS).amount(20) == one.prompt_tokens + 20


def test_money_is_an_upper_bound():
    of = need(max_tokens=20, n=2)
    assert line(of, MONEY).amount(20) == of.prompt_tokens * 1 + 2 * 20 * 4
    cost = Cost.of(Usage(of.prompt_tokens, 40), MODEL)
    assert cost.usd_micros <= line(of, MONEY).amount(20)


def test_a_prediction_may_be_charged_beyond_the_limit():
    of = need(prediction={"type": "content", "content": "x" * 100}, max_tokens=10)
    assert of.extra_tokens > 100
    assert line(of, TOKENS).fixed == of.prompt_tokens + of.extra_tokens


@pytest.mark.parametrize("model", ["unheard-of", None, 5, "m-2026"])
def test_a_model_without_a_price(model: object):
    with pytest.raises(Refusal) as refused:
        need(model=model)
    assert (refused.value.status, refused.value.code, refused.value.param) == (
        400,
        "model_not_priced",
        "model",
    )
    assert "unheard-of" not in refused.value.message


def test_dated_names_and_the_one_for_all_others_have_prices():
    assert need(model="m-2026-01-31").model is MODEL
    everything = ModelsPolicy(models={"*": MODEL})
    assert need(models=everything, model="unheard-of").model is MODEL


def test_limits_of_requests_need_no_price():
    limit = applied("requests")
    of = Need.of(request(model="unheard-of"), None, [limit], 128)
    assert of.model is None
    assert of.counted() is None
    assert line(of, limit).amount(10**6) == 1


def test_streams_end_with_their_process():
    limit = applied("streams", 3, window=Window.NONE)
    made = line(need(), limit)
    assert (made.fixed, made.charged_on_expiry, made.warn_from) == (1, False, None)
    assert line(need(), TOKENS).charged_on_expiry


def test_a_prompt_is_counted_where_that_is_less():
    counting = Model(**{**MODEL.model_dump(), "tokenizer": "o200k_base"})
    of = need(
        models=ModelsPolicy(models={"m": counting}), messages=[{"role": "user", "content": "hello " * 200}]
    )
    exact = of.counted()
    assert exact is not None
    assert 200 <= exact.prompt_tokens < of.prompt_tokens
    assert exact.output_tokens == of.output_tokens
    assert need().counted() is None  # no tokenizer


@pytest.mark.parametrize(
    ("unit", "charge"), [("tokens", 30), ("usd", 10 + 20 * 4), ("requests", 1), ("streams", 0)]
)
def test_charges_by_unit(unit: str, charge: int):
    assert Cost.of(Usage(10, 20), MODEL).charge(applied(unit)) == charge


def test_costs_add_up_and_none_without_a_model():
    one = Cost.of(Usage(10, 20), MODEL)
    assert one + one == Cost(60, 2 * one.usd_micros)
    assert Cost.of(Usage(10, 20), None) == Cost(30, 0)
