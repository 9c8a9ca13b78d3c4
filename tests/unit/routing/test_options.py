"""Where a choice stands among the options."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.routing.options import Options

NUMBERS = "How far?\nA. 30 km\nB. 10 km\nC. 1,200 km\nD. 20.5 km\nE. 40 km"
WORDS = "Who?\nA. Ann\nB. Bernard the elder\nC. Cid\nD. both of them, or neither"


def test_options_and_their_numbers_are_read():
    options = Options.of(NUMBERS)
    assert list(options.texts) == list("ABCDE")
    assert options.numbers == {"A": 30.0, "B": 10.0, "C": 1200.0, "D": 20.5, "E": 40.0}


@pytest.mark.parametrize("mark", ["{}. ", "{}) ", "({}) "])
def test_options_are_found_however_they_are_marked(mark: str):
    prompt = "Q?" + "".join(f"\n{mark.format(letter)}text {letter}" for letter in "AB")
    assert Options.of(prompt).texts == {"A": "text A", "B": "text B"}


@pytest.mark.parametrize(
    ("choice", "place"),
    [("B", "least"), ("C", "greatest"), ("D", "2"), ("A", "4"), ("E", "6"), ("Z", "none"), (None, "none")],
)
def test_the_place_of_a_number(choice: str | None, place: str):
    assert f"place={place}" in Options.of(NUMBERS).shape(choice)


@pytest.mark.parametrize(("choice", "rank"), [("A", "0"), ("C", "0"), ("B", "2"), ("D", "3"), (None, "none")])
def test_the_rank_by_length(choice: str | None, rank: str):
    assert f"rank={rank}" in Options.of(WORDS).shape(choice)


@pytest.mark.parametrize(
    ("prompt", "numbers"),
    [(NUMBERS, "all"), (WORDS, "none"), ("Q?\nA. 1\nB. two", "some")],
)
def test_whether_options_are_numbers(prompt: str, numbers: str):
    assert f"numbers={numbers}" in Options.of(prompt).shape("A")


def test_two_numbers_say_nothing_of_places():
    assert "place=few" in Options.of("Q?\nA. 1\nB. 2").shape("A")


def test_equal_numbers_have_no_least():
    """All are both, and are called the least."""
    assert "place=least" in Options.of("Q?\nA. 5\nB. 5\nC. 5").shape("B")


def test_a_prompt_without_options_has_no_shape():
    assert not list(Options.of("Say hello.").shape("A"))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [("A", "A", "0"), ("A", "E", "1"), ("B", "C", "8"), ("A", None, "unknown"), ("Z", "A", "unknown")],
)
def test_how_far_choices_are_apart(one: str | None, other: str | None, apart: str):
    assert Options.of(NUMBERS).apart(one, other) == apart
    assert Options.of(NUMBERS).apart(other, one) == apart


def test_zero_can_be_compared():
    assert Options.of("Q?\nA. 0\nB. 7\nC. 0.0").apart("A", "B") == "8"
    assert Options.of("Q?\nA. 0\nB. 7\nC. 0.0").apart("A", "C") == "0"


@given(some.text(), some.sampled_from([*"ABCJ", None]))
def test_any_prompt_can_be_read(text: str, choice: str | None):
    options = Options.of(f"{text}\nA. {text}\nB. 1{text}")
    assert list(options.shape(choice))
    assert options.apart(choice, "B")
