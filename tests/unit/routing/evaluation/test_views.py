import msgspec

from penstock.routing.evaluation.views import answer_view, prompt_view, second_view
from penstock.routing.features import hashed


def test_a_second_opinion_is_seen_as_agreement(world):
    right, wrong = (msgspec.structs.replace(world(1)[0], weak_pred=pred) for pred in (4.0, 5.0))
    view = second_view("second")
    assert hashed(["agrees=True"]) <= view(right).shape
    assert hashed(["agrees=False"]) <= view(wrong).shape
    assert hashed(["agrees=None"]) <= second_view("nobody")(right).shape


def test_an_answer_that_checks_out_looks_other_than_one_that_does_not(world):
    row = world(1)[0]
    right, wrong = (msgspec.structs.replace(row, weak_answer=f"2 + 2 = {n}\n#### {n}") for n in (4, 5))
    assert hashed(["wrong=0"]) <= answer_view(right).shape
    assert hashed(["wrong=1"]) <= answer_view(wrong).shape


def test_an_outcome_is_never_seen(world):
    row = world(1)[0]
    for view in (prompt_view, answer_view, second_view("second")):
        assert view(row) == view(msgspec.structs.replace(row, weak_ok=1 - row.weak_ok, strong_ok=0.5))
