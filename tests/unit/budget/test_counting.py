"""Counting what nobody told: by a tokenizer or by earlier answers, and never beyond what was reserved."""

import pytest

from penstock.budget.counting import Counting
from penstock.budget.need import Need
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai.produced import Produced
from penstock.openai.usage import Usage
from penstock.testing import chunk
from unit.budget.budget_bits import MODEL, MODELS, applied, request

COUNTED = ModelsPolicy(models={"m": Model(**{**MODEL.model_dump(), "tokenizer": "o200k_base"})})
SAID = "one two three four five six seven eight nine ten "


def need(models: ModelsPolicy = MODELS, **body) -> Need:
    asked = request(**body)
    return Need.of(asked, models.find(asked.model), [applied()], 128)


def produced(counting: Counting, of: Need, text: str = SAID) -> Produced:
    made = counting.produced(of)
    made.see(chunk({"content": text}))
    return made


def test_texts_are_kept_only_where_they_can_be_counted():
    counting = Counting()
    assert produced(counting, need()).texts == []
    assert produced(counting, need(COUNTED)).texts == [SAID]


def test_a_tokenizer_counts():
    counting, of = Counting(), need(COUNTED)
    usage = counting.count(of, "m", produced(counting, of), 500)
    assert 10 <= usage.output_tokens <= 16
    assert 1 <= usage.input_tokens <= of.prompt_tokens


def test_without_one_the_answers_before_teach():
    counting, of = Counting(), need()
    before = counting.count(of, "m", produced(counting, of, SAID * 40), 500).output_tokens
    for _ in range(20):
        counting.learn(of, "m", Usage(5, 400), produced(counting, of, SAID * 40))
    after = counting.count(of, "m", produced(counting, of, SAID * 40), 500).output_tokens
    assert abs(after - 440) < abs(before - 440)
    assert 400 <= after <= 460


def test_each_model_is_learned_by_itself():
    counting, of = Counting(), need()
    for _ in range(20):
        counting.learn(of, "m", Usage(5, 400), produced(counting, of, SAID * 40))
    fresh = Counting()
    made = produced(counting, of, SAID * 40)
    assert counting.count(of, "small", made, 500) == fresh.count(of, "small", made, 500)


@pytest.mark.parametrize("models", [MODELS, COUNTED], ids=["bytes", "tokenizer"])
@pytest.mark.parametrize("choices", [1, 3])
def test_never_more_than_was_reserved(models: ModelsPolicy, choices: int):
    counting, of = Counting(), need(models, n=choices)
    usage = counting.count(of, "m", produced(counting, of, SAID * 500), 7)
    assert usage.output_tokens == 7 * choices
    assert usage.input_tokens <= of.prompt_tokens


def test_a_call_that_no_limit_meters_has_no_usage():
    counting = Counting()
    of = Need.of(request(), None, [applied("requests")], 128)
    assert counting.count(of, "m", produced(counting, of), 0) == Usage()


def test_nothing_said_is_the_prompt_alone():
    counting, of = Counting(), need()
    usage = counting.count(of, "m", Produced(), 500)
    assert usage.output_tokens == 0
    assert 0 < usage.input_tokens <= of.prompt_tokens
