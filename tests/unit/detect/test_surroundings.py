"""The quick ways to read the words around a value say what the whole reading says."""

import pytest

from penstock.detect.lexicon import EARLIER_WORDS, LATER_WORDS, LEXICON, LONGER
from penstock.detect.source import Source
from penstock.detect.words import AFTER_CHARS, BEFORE_CHARS, NOTHING, Context, read_context

VALUE = "1234567"


def both(text: str, label: str = "") -> tuple[Context, Context]:
    """Give what the surroundings say and what the whole reading says."""
    source = Source(text, label)
    start = source.plain.index(VALUE)
    end = start + len(VALUE)
    before, after = source.raw[max(0, start - BEFORE_CHARS) : start], source.raw[end : end + AFTER_CHARS]
    return source.context(start, end), read_context(before, after, label)


@pytest.mark.parametrize("phrase", LEXICON)
def test_every_phrase_is_read_before_and_after_a_value(phrase):
    for text in (f"so the {phrase} {VALUE}", f"so the {phrase.upper()}: {VALUE} x"):
        quick, whole = both(text)
        assert quick == whole
        assert quick.nearest == LEXICON[phrase]
    if len(phrase) < AFTER_CHARS - 2:  # longer ones are cut off
        quick, whole = both(f"it is {VALUE}, {phrase}")
        assert quick == whole
        assert quick.nearest


@pytest.mark.parametrize("phrase", [phrase for phrase in LEXICON if " " in phrase])
def test_a_phrase_may_begin_in_the_label(phrase):
    label, _, rest = phrase.partition(" ")
    quick, whole = both(f"{rest} {VALUE}", label)
    assert quick == whole


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"the passport number {VALUE}", Context("passport", 0, True)),
        (f"the passport I was given is {VALUE}", Context("passport", 4, True)),
        (f"account 55, then driver license {VALUE}", Context("licence", 0, True)),
        (f"a plate: license plate {VALUE}", Context("plate", 0, True)),
        (f"the license plate number is {VALUE}", Context("plate", 2, True)),
        (f"(passport) {VALUE}", Context("passport", 0, True)),
        (f"her passportNumber {VALUE}", Context("passport", 0, True)),
        (f"{VALUE} is my passport", Context("passport", 0, False)),
        (f"the license {VALUE} of the public", NOTHING),
        (f"passport {'of the people ' * 9}{VALUE}", NOTHING),
    ],
)
def test_what_some_texts_say(text, says):
    quick, whole = both(text)
    assert quick == says
    assert whole == says


def test_values_in_rows_are_read_each_with_its_own_word():
    text = "passport a1 account 2345671 order 7654321 " * 9
    source = Source(text)
    for value, tag in (("a1", "passport"), ("2345671", "account"), ("7654321", "order")):
        start = -1
        while (start := text.find(value, start + 1)) >= 0:
            assert source.context(start, start + len(value)).nearest == tag


def test_a_word_before_a_phrase_may_make_another_of_it():
    assert LEXICON["license plate"] != LEXICON.get("license")
    assert "social" in LONGER["security number"]
    assert {"driver", "drivers"} <= LONGER["license"]
    assert "security" in EARLIER_WORDS & LATER_WORDS
    assert not set(LONGER) - {" ".join(p.split()[at:]) for p in LEXICON for at in range(len(p.split()))}


def test_near_is_said_wherever_the_context_says_something():
    for phrase in LEXICON:
        for text in (f"{phrase} {VALUE}", f"{VALUE} {phrase}"):
            source = Source(text)
            start = source.plain.index(VALUE)
            if source.context(start, start + len(VALUE)) is not NOTHING:
                assert source.words_near(start, start + len(VALUE)), text
