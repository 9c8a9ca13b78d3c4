"""Where words of the lexicon may stand: the quick look must never hide what the slow reading finds."""

# ruff: noqa: E501 (words are written as they occur)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.detect.keywords import keyword_places
from penstock.detect.lexicon import LEXICON
from penstock.detect.source import Source, fold
from penstock.detect.words import AFTER_CHARS, BEFORE_CHARS, NOTHING, read_context

VALUE = "1234567"
PIECES = st.sampled_from(
    ["passport", "passportNumber", "passport_no", "driver", "license", "number", "no.", "#", "DrIvEr LiCeNsE", "order", "my number is",
     "d.o.b.", "a/c", "the", "of", "public", "avoid", "паспорт", "護照", "护照", "führerschein", "XMLPassport2", ". The", "\n\n", "x" * 40,
     "a53212", "tax", "id", "_", "-", "%20", "\u200b"]
)  # fmt: skip
AROUND = st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=9).map(" ".join)


def places(text: str) -> list[int]:
    return keyword_places(fold(text).encode("latin-1", "replace"))


@pytest.mark.parametrize("phrase", LEXICON)
def test_every_phrase_is_marked_in_any_case(phrase):
    for text in (phrase, phrase.upper(), phrase.title(), f"x {phrase}", f"({phrase}:12", f"_{phrase} 2"):
        assert places(text), text


def test_a_word_inside_another_is_not_marked():
    assert (
        places("the public dialled duplicates of avoided passports1".replace("passports1", "compassx")) == []
    )


def test_a_place_lies_after_the_word_or_one_further():
    [place] = places("an invoice 77")
    assert place - len("an invoice") in (0, 1)


@given(AROUND, AROUND, st.sampled_from(["", "passport_no", "note", "führerschein"]))
@settings(max_examples=600, deadline=None)
def test_the_context_is_that_of_the_whole_reading(before, after, label):
    source = Source(f"{before} {VALUE} {after}", label)
    start = source.plain.index(VALUE)
    end = start + len(VALUE)
    whole = read_context(
        source.raw[max(0, start - BEFORE_CHARS) : start], source.raw[end : end + AFTER_CHARS], label
    )
    assert source.context(start, end)[::2] == whole[::2]
    assert source.context(start, end) == whole


def test_no_word_near_needs_no_reading():
    source = Source(f"passport {'of the people ' * 9}{VALUE}")
    start = source.plain.index(VALUE)
    assert not source.words_near(start, start + len(VALUE))
    assert source.context(start, start + len(VALUE)) is NOTHING


def test_a_word_between_two_values_is_near_both():
    source = Source(f"{VALUE} passport {VALUE}")
    assert source.words_near(0, 7)
    assert source.words_near(17, 24)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("%41%42C jane", "jane"),
        ("a\u200bb%2Fjane", "jane"),
        ("%6A\u200ban%65", "jane"),
        ("\u200b%20jane", "jane"),
    ],
)
def test_offsets_lead_back_to_the_text_as_given(text, value):
    source = Source(text)
    start = source.plain.index(value)
    first, last = source.original(start, start + len(value))
    again = Source(text[first:last])
    assert again.plain == value
