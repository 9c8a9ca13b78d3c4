import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.canonical import Canonical, Kind, agree, canonical


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("3 * 4 = 12\n#### 12", "12"),
        ("The answer is $1,200.", "1200"),
        ("so \\boxed{7.50}", "7.5"),
        ("42", "42"),
        ("-3.", "-3"),
        ("0.0", "0"),
    ],
)
def test_a_number_has_one_spelling(answer: str, value: str):
    assert canonical(answer) == Canonical(Kind.NUMBER, value)


def test_the_last_number_counts_only_where_one_is_expected():
    answer = "Each of the 3 children gets 4 sweets, 12 sweets in all, as everybody at the table could see."
    assert canonical(answer) is None
    assert canonical(answer, Kind.NUMBER) == Canonical(Kind.NUMBER, "12")


@pytest.mark.parametrize(
    "answer", ["B", "(B)", "B.", "B) red", "The answer is (B).", "Answer: B", "I choose option B"]
)
def test_a_choice_has_one_spelling(answer: str):
    assert canonical(answer) == Canonical(Kind.CHOICE, "B")


def test_an_article_is_no_choice():
    found = canonical("A dog")
    assert found == Canonical(Kind.TEXT, "a dog")


def test_json_is_compared_by_value():
    assert agree('{"a": 1, "b": [2]}', '```json\n{"b":[2],"a":1}\n```') is True
    assert agree('{"a": 1}', '{"a": 2}') is False


def test_short_texts_are_compared_by_words():
    assert agree("New York!", "new york") is True
    assert agree("New York", "Boston") is False


def test_long_texts_cannot_be_compared():
    long = "once upon a time there was " * 9
    assert canonical(long) is None
    assert agree(long, long) is None


def test_one_that_cannot_be_compared_is_enough():
    assert agree("12", "words " * 40) is None


@pytest.mark.parametrize(
    ("answer", "expected"), [("no digits", Kind.NUMBER), ("maybe", Kind.CHOICE), ("{", Kind.JSON)]
)
def test_what_is_expected_but_missing_is_none(answer: str, expected: Kind):
    assert canonical(answer, expected) is None


@given(st.integers(-(10**9), 10**9))
def test_a_number_agrees_with_itself_however_it_is_grouped(number: int):
    assert agree(f"#### {number:,}", f"The answer is {number}") is True


@given(st.text(), st.sampled_from([None, *Kind]))
def test_any_answer_is_equal_to_itself_or_not_comparable(answer: str, expected: Kind | None):
    assert agree(answer, answer, expected) is not False
