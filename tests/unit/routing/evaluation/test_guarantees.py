from random import Random

import msgspec
import pytest

from penstock.routing.evaluation.guarantees import GRID, ninety_small, promises
from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import View, answer_view, prompt_view
from penstock.routing.quality_curve import Outcome


def _promised(dev: list[Row], test: list[Row], view: View):
    return promises(dev, [view(row) for row in dev], test, [view(row) for row in test])


def test_a_promise_is_kept_where_it_can_be(world):
    found = _promised(world(900), world(600, seed=2), answer_view)
    assert found["8%"]["feasible"]
    assert all(promise["holds"] for promise in found.values() if promise["feasible"])
    assert found["40%"]["kept"] >= found["8%"]["kept"]


def test_every_bound_of_the_grid_is_answered(world):
    found = _promised(world(200), world(100, seed=2), answer_view)
    assert list(found) == [f"{bound:.0%}" for bound in GRID]
    for promise in found.values():
        assert promise["feasible"] == ("evidence" not in promise)


def test_a_looser_bound_never_keeps_less(world):
    found = _promised(world(900), world(600, seed=2), answer_view)
    kept = [promise["kept"] for promise in found.values() if promise["feasible"]]
    assert kept == sorted(kept)


def test_a_promise_that_cannot_be_kept_says_why(world):
    blind = [
        msgspec.structs.replace(row, prompt="the same", weak_ok=float(at % 2))
        for at, row in enumerate(world(200))
    ]
    found = _promised(blind, blind, prompt_view)
    assert not found["1%"]["feasible"]
    assert "were wrong" in found["1%"]["evidence"]


def test_the_answer_keeps_more_than_the_prompt_does(world):
    dev, test = world(900), world(600, seed=2)
    by_prompt, by_answer = (_promised(dev, test, view)["8%"] for view in (prompt_view, answer_view))
    assert by_answer["kept"] > by_prompt.get("kept", 0.0) + 0.1


def test_outcomes_that_were_asked_about_do_not_move_the_threshold(world):
    dev, test = world(600), world(300, seed=2)
    spoiled = [msgspec.structs.replace(row, weak_ok=0.0) for row in test]
    honest, worse = _promised(dev, test, answer_view)["8%"], _promised(dev, spoiled, answer_view)["8%"]
    assert worse["kept"] == honest["kept"]
    assert worse["realised_error"] == 1.0
    assert not worse["holds"]


def test_ninety_small_is_judged_by_what_is_surely_lost():
    equal = [Outcome(1, 1)] * 200
    wide = [Outcome(0, 1)] * 200
    assert ninety_small([0.0] * 200, equal)["feasible"]
    assert not ninety_small([0.0] * 200, wide)["feasible"]


def test_what_a_few_outcomes_suggest_is_not_sure():
    few = [Outcome(1, 1)] * 17 + [Outcome(0, 1)] * 3
    assert ninety_small([0.0] * 20, few)["feasible"]
    assert not ninety_small([0.0] * 2000, few * 100)["feasible"]


def test_even_a_perfect_router_loses_where_most_prompts_gain():
    half = [Outcome(float(at % 2), 1) for at in range(400)]
    told = ninety_small([outcome.gain for outcome in half], half)
    assert told["perfect"] == pytest.approx(0.4)
    assert told["loss"] == told["perfect"]


def test_no_router_loses_less_than_the_perfect_one():
    rng = Random(4)  # noqa: S311 - the same in every run
    outcomes = [Outcome(rng.random() < 0.7, rng.random() < 0.9) for _ in range(500)]
    told = ninety_small([rng.random() for _ in outcomes], outcomes)
    assert told["perfect"] < told["at_least"] < told["loss"]


def test_a_small_model_that_is_better_loses_nothing():
    better = [Outcome(1, float(at % 2)) for at in range(100)]
    told = ninety_small([0.0] * 100, better)
    assert told["loss"] < 0
    assert told["feasible"]
