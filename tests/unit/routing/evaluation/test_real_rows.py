"""What is said of routing, on rows of real pairs of models where they are at hand."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from penstock.routing.canonical import Kind
from penstock.routing.evaluation.crossfit import cross_fitted
from penstock.routing.evaluation.guarantees import ninety_small, promises
from penstock.routing.evaluation.loop import apgr
from penstock.routing.evaluation.rows import Row, by_benchmark, fold_of, load, with_small
from penstock.routing.evaluation.views import View, answer_view, prompt_view, second_view
from penstock.routing.features import prompt_features
from penstock.routing.fit import AFTER_ANSWER, Example, fit
from penstock.routing.judged import expected

DATA: Final = Path(__file__).parents[5] / "shared" / "data" / "routing"
MATHS: Final = ["routellm-gsm8k", "openai-gsm8k-6b-175b", "zeroeval-gsm"]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the labelled outcomes are not beside the checkout")


@cache
def rows_of(benchmark: str) -> list[Row]:
    return by_benchmark(load(DATA))[benchmark]


def held_back(rows: list[Row], view: View, shape_scale: float | None) -> float:
    """Learn from four folds and give the APGR of the fifth."""
    taught = [Example(view(row), row.gain, row.category) for row in rows if fold_of(row, 5)]
    asked = [row for row in rows if not fold_of(row, 5)]
    area = apgr(fit(taught, shape_scale), [view(row) for row in asked], asked)
    assert area is not None
    return area


@pytest.mark.parametrize("benchmark", MATHS)
def test_nearly_every_word_problem_is_known_to_ask_for_a_number(benchmark: str):
    kinds = [expected(row.prompt) for row in rows_of(benchmark)]
    assert kinds.count(Kind.NUMBER) >= 0.98 * len(kinds)


def test_every_question_with_options_is_known_to_ask_for_a_choice():
    assert all(expected(row.prompt) is Kind.CHOICE for row in rows_of("routellm-mmlu"))


@pytest.mark.parametrize(
    "subject",
    ["philosophy", "moral_scenarios", "prehistory", "jurisprudence", "public_relations", "sociology"],
)
def test_questions_about_words_seldom_ask_for_a_number(subject: str):
    stems = [row.prompt.split("\nA. ")[0] for row in rows_of("routellm-mmlu") if row.category == subject]
    assert sum(expected(stem) is Kind.NUMBER for stem in stems) <= 0.03 * len(stems)


def test_open_requests_seldom_ask_for_a_number():
    open_ones = [row for row in rows_of("routellm-mtbench") if row.category not in ("math", "reasoning")]
    assert sum(expected(row.prompt) is Kind.NUMBER for row in open_ones) <= 1


def test_code_is_never_taken_for_a_sum():
    assert not any(expected(row.prompt) is Kind.NUMBER for row in rows_of("zeroeval-crux"))


def _with_llama() -> list[Row]:
    return with_small(rows_of("zeroeval-gsm"), "llama31-8b")


@pytest.mark.parametrize(
    ("benchmark", "view", "shape_scale", "least"),
    [("routellm-gsm8k", answer_view, AFTER_ANSWER, 0.65), ("routellm-gsm8k", prompt_view, None, 0.5)],
)
def test_what_was_learned_holds_for_prompts_not_seen(
    benchmark: str, view: View, shape_scale: float | None, least: float
):
    assert held_back(rows_of(benchmark), view, shape_scale) > least


def test_a_second_opinion_is_worth_more_than_the_answer_alone():
    rows = rows_of("mmlupro-llama")[:1500]
    alone, second = (held_back(rows, view, AFTER_ANSWER) for view in (answer_view, second_view("phi3-mini")))
    assert second > alone + 0.03


def test_agreement_finds_the_errors_of_a_small_model():
    assert held_back(_with_llama(), second_view("gemma2-9b"), AFTER_ANSWER) > 0.85


def test_a_bounded_error_is_kept_on_what_was_not_seen():
    rows, view = _with_llama(), second_view("gemma2-9b")
    dev = [row for row in rows if fold_of(row, 5)]
    test = [row for row in rows if not fold_of(row, 5)]
    found = promises(dev, [view(row) for row in dev], test, [view(row) for row in test])
    assert found["5%"]["feasible"]
    assert found["5%"]["kept"] > 0.7
    assert all(promise["holds"] for promise in found.values() if promise["feasible"])


@pytest.mark.parametrize(
    ("rows", "feasible"),
    [
        (lambda: rows_of("zeroeval-crux"), False),
        (lambda: rows_of("routellm-gsm8k"), False),
        (lambda: rows_of("routellm-mmlu")[:2000], False),
        (lambda: rows_of("mmlupro-llama")[:2000], False),
        (lambda: rows_of("zeroeval-gsm"), True),
    ],
    ids=["crux", "maths of a wide pair", "mmlu", "mmlu-pro", "maths of a close pair"],
)
def test_whether_ninety_per_cent_can_stay_small_is_told_by_outcomes(
    rows: Callable[[], list[Row]], feasible: bool
):
    known = rows()
    seen = [prompt_features(row.prompt) for row in known]
    gains = cross_fitted(known, seen, lambda row: row.gain, 2, None)
    assert ninety_small(gains, [row.outcome for row in known])["feasible"] is feasible
