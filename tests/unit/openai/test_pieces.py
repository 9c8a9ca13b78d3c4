"""Texts in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai.pieces import pieces, spells, spoken


@given(st.text(max_size=200))
def test_pieces_join_to_the_text(text):
    cut = pieces(text)
    assert "".join(cut) == text
    assert all(cut)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("Hello, big world.", ["Hello,", " big", " world."]),
        ("a\n\nb ", ["a", "\n\nb", " "]),
        ("   ", ["   "]),
        ("x" * 20, ["x" * 16, "x" * 4]),
    ],
)
def test_pieces(text, cut):
    assert pieces(text) == cut


def test_a_long_run_of_space_costs_no_more_than_its_length():
    text = "a" + " " * 200_000
    assert pieces(text) == ["a", " " * 200_000]


def test_tokens_that_spell_the_text_cut_it():
    tokens = [{"token": "He", "logprob": -1.0}, {"token": "y you", "logprob": -2.0}]
    assert spoken("Hey you", tokens) == [("He", [tokens[0]]), ("y you", [tokens[1]])]


@pytest.mark.parametrize("tokens", [None, [], "Hey", [{"token": "Ho"}], [{"token": 3}], [None], [{}]])
def test_other_tokens_do_not(tokens):
    assert spoken("Hey you", tokens) == [("Hey", []), (" you", [])]


def test_spells():
    assert spells("ab", ["a", "b"])
    assert not spells("ab", ["a", None])
