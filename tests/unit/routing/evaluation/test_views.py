from dataclasses import fields
from itertools import pairwise

import msgspec
import pytest

from penstock.routing.evaluation.views import answer_view, prompt_view, second_view
from penstock.routing.features import hashed

CHOICE = "How much?\nA. 1\nB. 20\nC. 300\nD. 4000"


def test_a_second_opinion_is_seen_as_agreement(world):
    right, wrong = (msgspec.structs.replace(world(1)[0], weak_pred=pred) for pred in (4.0, 5.0))
    view = second_view("second")
    assert hashed(["agrees=True"]) <= view(right).shape
    assert hashed(["agrees=False"]) <= view(wrong).shape


@pytest.mark.parametrize(("own", "other"), [(None, 4.0), (4.0, None), (None, None)])
def test_an_answer_that_cannot_be_compared_is_a_disagreement(world, own, other):
    row = msgspec.structs.replace(world(1)[0], weak_pred=own, other_pred={"second": other})
    seen = second_view("second")(row).shape
    assert hashed(["agrees=False", "votes=0"]) <= seen
    assert not hashed(["agrees=True"]) & seen


def test_a_model_that_was_not_asked_does_not_agree(world):
    assert hashed(["agrees=False"]) <= second_view("nobody")(world(1)[0]).shape


def test_votes_of_several_are_counted(world):
    row = msgspec.structs.replace(world(1)[0], weak_pred=4.0, other_pred={"a": 4.0, "b": 4.0, "c": 5.0})
    assert hashed(["votes=2"]) <= second_view("a", "b", "c")(row).shape
    assert hashed(["votes=2"]) <= second_view("a", "b")(row).shape
    assert hashed(["votes=1"]) <= second_view("a", "c")(row).shape


def test_where_both_choices_stand_is_seen(world):
    row = msgspec.structs.replace(world(1)[0], prompt=CHOICE, weak_pred="D", other_pred={"second": "B"})
    seen = second_view("second")(row).shape
    assert hashed(["agrees=False&own&place=greatest", "agrees=False&other&place=2"]) <= seen


def test_how_long_the_answers_are_beside_each_other_is_seen(world):
    same, longer = (msgspec.structs.replace(world(1)[0], weak_chars=chars) for chars in (9, 90))
    view = second_view("second")
    assert view(same).shape != view(longer).shape
    assert view(msgspec.structs.replace(same, other_chars={})).shape < view(same).shape


def test_an_answer_that_checks_out_looks_other_than_one_that_does_not(world):
    row = world(1)[0]
    right, wrong = (msgspec.structs.replace(row, weak_answer=f"2 + 2 = {n}\n#### {n}") for n in (4, 5))
    assert hashed(["wrong=0"]) <= answer_view(right).shape
    assert hashed(["wrong=1"]) <= answer_view(wrong).shape


def test_the_tail_stands_for_an_answer_that_is_not_there(world):
    row = msgspec.structs.replace(world(1)[0], weak_answer=None, weak_tail="The answer is (B).")
    seen = answer_view(row)
    assert hashed(["marker=answ"]) <= seen.shape
    assert answer_view(msgspec.structs.replace(row, weak_tail=None)).options < seen.options


def test_each_view_sees_what_the_one_before_sees(world):
    row = world(1)[0]
    views = [prompt_view(row), answer_view(row), second_view("second")(row)]
    for less, more in pairwise(views):
        assert all(getattr(less, group.name) <= getattr(more, group.name) for group in fields(less))


def test_an_outcome_is_never_seen(world):
    row = world(1)[0]
    for view in (prompt_view, answer_view, second_view("second")):
        assert view(row) == view(msgspec.structs.replace(row, weak_ok=1 - row.weak_ok, strong_ok=0.5))
