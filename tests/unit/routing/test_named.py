"""Every feature of a prompt has a name, and the names that are told are those that moved the gain."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.routing.features import prompt_features
from penstock.routing.named import named, pulls
from penstock.routing.weights import NOTHING, Weights

CHOICES = (
    "Which of these are primes, and how many?\nA. 7 and 9\nB. 2, 3 and 5\nC. none of them\nD. all\nAnswer:"
)


@given(some.one_of(some.text(max_size=300), some.just(CHOICES), some.text("ab ,.1\n", max_size=3000)))
def test_every_feature_of_a_prompt_has_a_name(prompt):
    features, names = prompt_features(prompt), named(prompt)
    assert {*features.words, *features.options, *features.shape} <= names.keys()


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        ("words", "'primes'"),
        ("words", "'how many'"),
        ("words", "'these are primes'"),
        ("options", "option 'none'"),
        ("shape", "begins with 'which'"),
        ("shape", "ends with '?'"),
        ("shape", "has no gap to fill"),
        ("shape", "options with numbers: 2"),
        ("shape", "lines: 0"),
        ("shape", "more commas than: 0"),
    ],
)
def test_names_say_what_is_there(feature, name):
    names = named(CHOICES)
    assert name in {names[each] for each in getattr(prompt_features(CHOICES), feature)}


def test_what_moved_the_gain_most_comes_first_and_adds_up():
    features, names = prompt_features(CHOICES), named(CHOICES)
    by_name = {name: feature for feature, name in names.items()}
    known = {by_name["'primes'"]: 3.0, by_name["lines: 0"]: -5.0, by_name["option 'all'"]: 0.5, 1: 99.0}
    weights = Weights((1.0, 1.0, 1.0), 0.1, known)
    told = pulls(CHOICES, features, weights)
    assert [pull.name for pull in told] == ["lines: 0", "'primes'", "option 'all'"]
    assert 0.1 + sum(pull.gain for pull in told) == pytest.approx(weights.gain(features))
    assert [pull.name for pull in pulls(CHOICES, features, weights, most=1)] == ["lines: 0"]


def test_a_fact_from_elsewhere_is_told_without_a_name_and_what_is_unknown_not_at_all():
    features = prompt_features("hello").with_shape(["intent=code"])
    (extra,) = features.shape - prompt_features("hello").shape
    assert [pull.name for pull in pulls("hello", features, Weights((1.0, 1.0, 1.0), 0.0, {extra: 1.0}))] == [
        "a fact"
    ]
    assert pulls("hello", features, NOTHING) == []
