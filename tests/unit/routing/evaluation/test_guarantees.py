import msgspec

from penstock.routing.evaluation.guarantees import ninety_small, promises
from penstock.routing.evaluation.views import answer_view, prompt_view
from penstock.routing.quality_curve import Outcome


def test_a_promise_is_kept_where_it_can_be(world):
    found = promises(world(900), world(600, seed=2), answer_view)
    assert found["8%"]["feasible"]
    assert all(promise["holds"] for promise in found.values() if promise["feasible"])
    assert found["40%"]["kept"] >= found["8%"]["kept"]


def test_a_promise_that_cannot_be_kept_says_why(world):
    blind = [
        msgspec.structs.replace(row, prompt="the same", weak_ok=float(at % 2))
        for at, row in enumerate(world(200))
    ]
    found = promises(blind, blind, prompt_view)
    assert not found["1%"]["feasible"]
    assert "were wrong" in found["1%"]["evidence"]


def test_ninety_small_is_judged_by_what_is_surely_lost():
    equal = [Outcome(1, 1)] * 200
    wide = [Outcome(0, 1)] * 200
    assert ninety_small([0.0] * 200, equal)["feasible"]
    assert not ninety_small([0.0] * 200, wide)["feasible"]
