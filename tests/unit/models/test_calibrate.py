"""Tokens per byte: learned, robust, a little too many, and bounded in memory."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_house import model

from penstock.models.calibrate import HIGHEST, LOWEST, TokensPerByte, count_answer
from penstock.models.tokenizer import count_tokens
from penstock.openai.produced import Produced
from penstock.openai.usage import Usage

TEXT = "The penstock is the gate that controls a flow of water. "


def taught(tokens: int, produced_bytes: int, times: int = 50) -> TokensPerByte:
    rates = TokensPerByte()
    for _ in range(times):
        rates.observe("m", Usage(0, tokens), produced_bytes=produced_bytes)
    return rates


def test_a_model_nobody_has_heard_yet_has_a_third_of_a_token_per_byte() -> None:
    rates = TokensPerByte()
    assert 333 <= rates.output_tokens("m", 1_000) <= 400
    assert rates.prompt_tokens("m", 1_000) == rates.output_tokens("m", 1_000)
    assert rates.output_tokens("m", 0) == rates.output_tokens("m", -5) == 0


@pytest.mark.parametrize("per_byte", [0.15, 0.25, 0.5, 1.0])
def test_it_learns_and_errs_upwards_by_a_tenth(per_byte: float) -> None:
    rates = taught(int(per_byte * 10_000), 10_000)
    assert per_byte * 1_000 <= rates.output_tokens("m", 1_000) <= per_byte * 1_000 * 1.15


def test_prompt_and_output_and_models_are_learned_apart() -> None:
    rates = TokensPerByte()
    for _ in range(50):
        rates.observe("m", Usage(5_000, 1_250), prompt_bytes=5_000, produced_bytes=5_000)
    assert rates.prompt_tokens("m", 1_000) > 1_000
    assert rates.output_tokens("m", 1_000) < 300
    assert rates.output_tokens("other", 1_000) == TokensPerByte().output_tokens("m", 1_000)


def test_one_answer_is_not_the_whole_truth() -> None:
    rates = taught(2_500, 10_000)
    before = rates.output_tokens("m", 1_000)
    rates.observe("m", Usage(0, 10_000_000), produced_bytes=10_000_000)
    assert before < rates.output_tokens("m", 1_000) < before * 1.2


def test_what_was_learned_is_forgotten_when_a_model_changes() -> None:
    rates = taught(2_500, 10_000, times=500)
    for _ in range(100):
        rates.observe("m", Usage(0, 5_000), produced_bytes=10_000)
    assert rates.output_tokens("m", 1_000) >= 500


@pytest.mark.parametrize(
    ("tokens", "produced_bytes"), [(0, 100), (100, 0), (5_000, 100), (-1, 100), (5, -1)]
)  # the third has thought, out of sight
def test_answers_that_teach_nothing(tokens: int, produced_bytes: int) -> None:
    rates, fresh = taught(tokens, produced_bytes), TokensPerByte()
    assert rates.output_tokens("m", 1_000) == fresh.output_tokens("m", 1_000)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))), st.integers(0, 10**9))
def test_whatever_it_is_told_it_stays_within_its_bounds(told: list[tuple[int, int]], seen: int) -> None:
    rates = TokensPerByte()
    for tokens, produced_bytes in told:
        rates.observe("m", Usage(0, tokens), produced_bytes=produced_bytes)
    assert ceil(seen * LOWEST) <= rates.output_tokens("m", seen) <= ceil(seen * HIGHEST)


def test_it_remembers_the_latest_models_only() -> None:
    rates = TokensPerByte(models=2)
    for name in ("a", "b", "a", "c"):
        for _ in range(50):
            rates.observe(name, Usage(0, 10_000), produced_bytes=10_000)
    forgotten = TokensPerByte().output_tokens("m", 1_000)
    assert [rates.output_tokens(name, 1_000) == forgotten for name in "abc"] == [False, True, False]


def said(*texts: str, collect: bool = True) -> Produced:
    produced = Produced(collect=collect)
    for index, text in enumerate(texts):
        produced.see_answer({"choices": [{"index": index, "message": {"content": text}}]})
    return produced


def test_an_answer_is_counted_by_the_tokenizer_where_there_is_one() -> None:
    exact = count_tokens((TEXT * 9,), "o200k_base")
    assert exact is not None
    counted = count_answer(said(TEXT * 9), model(tokenizer="o200k_base"), "m", TokensPerByte())
    assert exact <= counted <= exact + 5
    two = count_answer(said(TEXT * 9, TEXT * 9), model(tokenizer="o200k_base"), "m", TokensPerByte())
    assert two == 2 * counted


@pytest.mark.parametrize(("tokenizer", "collect"), [("none", True), ("o200k_base", False)])
def test_an_answer_is_reckoned_where_nothing_can_be_counted(tokenizer: str, collect: bool) -> None:
    rates = taught(2_500, 10_000)
    counted = count_answer(said(TEXT, collect=collect), model(tokenizer=tokenizer), "m", rates)
    assert counted == rates.output_tokens("m", len(TEXT)) > 0


def test_an_answer_that_says_nothing_has_no_tokens() -> None:
    assert count_answer(Produced(collect=True), model(tokenizer="o200k_base"), "m", TokensPerByte()) == 0
