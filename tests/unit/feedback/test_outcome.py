"""A score becomes what the router learns: about the right model, and no stronger than its weight."""

import msgspec
import pytest
from feedback_bits import decided

from penstock.feedback.outcome import lesson
from penstock.routing.features import FEATURES
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned


def learned(served):
    empty = frozenset[int]()
    return Learned(frozenset({1, 2}), empty, empty, served, 0.5, "maths", made_with=FEATURES).packed()


def taught(score, weight=1.0, *, served="small", escalated=False, first=False):
    its = lesson(decided(learned=learned(served), escalated=escalated), score, weight, first=first)
    assert its is not None
    return its.small, its.large


@pytest.mark.parametrize(
    ("score", "weight", "told"),
    [(1.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.25, 1.0, 0.25), (0.0, 0.4, 0.3), (1.0, 0.2, 0.6), (0.5, 0.1, 0.5)],
)
def test_less_weight_lies_nearer_to_the_middle(score, weight, told):
    assert taught(score, weight) == (pytest.approx(told), None)


def test_the_score_is_about_the_model_that_the_client_saw():
    assert taught(0.0, served="large") == (None, 0.0)
    assert taught(0.0, escalated=True) == (None, 0.0)
    assert taught(0.0, escalated=True, first=True) == (0.0, None)


def test_the_decision_comes_along_as_the_router_left_it():
    bytes_ = learned("small")
    its = lesson(decided(learned=bytes_), 1.0, 1.0)
    assert (its.tenant, its.alias, its.learned) == ("acme", "auto", bytes_)
    seen = its.observed()
    assert (seen.small, seen.large, seen.served, seen.topic) == (1.0, None, Served.SMALL, "maths")


@pytest.mark.parametrize("odd", [b"", b"\xc1", b"features", learned("medium")])
def test_what_no_router_decided_teaches_nothing(odd):
    assert lesson(decided(learned=odd), 1.0, 1.0) is None


JUDGED = Learned(
    frozenset({1, 2}),
    frozenset(),
    frozenset({3}),
    "small",
    1.0,
    None,
    b"key",
    (frozenset({4}), frozenset({5})),
).packed()


def judged(score, weight=1.0, **fields):
    first = fields.pop("first", False)
    its = lesson(decided(learned=JUDGED, **fields), score, weight, first=first)
    return its.small_right, its.answer_features


@pytest.mark.parametrize(
    ("score", "right"), [(1.0, True), (0.6, True), (0.4, False), (0.0, False), (0.5, None)]
)
def test_a_clients_word_says_whether_the_judged_answer_was_right(score, right):
    told, features = judged(score)
    assert told is right
    words, options, shape = msgspec.msgpack.decode(features)
    assert (sorted(words), options, sorted(shape)) == ([1, 2], [4], [3, 5])


def test_a_sign_says_so_of_no_answer_and_nobody_says_it_of_the_large_ones():
    assert judged(0.0, 0.9)[0] is None
    assert judged(0.0, 0.3, escalated=True, first=True)[0] is None
    assert judged(0.0, escalated=True) == (None, b"")
    assert judged(0.0, escalated=True, first=True)[0] is False
    its = lesson(decided(learned=learned("small")), 1.0, 1.0)  # which no cascade has judged
    assert (its.small_right, its.answer_features) == (True, b"")
