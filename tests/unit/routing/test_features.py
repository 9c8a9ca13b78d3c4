import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.features import Features, hashed, prompt_features

QUESTION = "Which gas do plants take in?\nA. Oxygen\nB. Carbon dioxide\nC. Helium\nD. Neon\nAnswer:"


def test_the_same_prompt_has_the_same_features():
    assert prompt_features(QUESTION) == prompt_features(QUESTION)


def test_words_of_options_stand_apart_from_words_of_the_question():
    stem, _, _ = QUESTION.partition("\nA. ")
    whole, alone = prompt_features(QUESTION), prompt_features(stem)
    assert whole.words == alone.words
    assert not alone.options
    assert whole.options


@pytest.mark.parametrize("mark", ["\nA. ", "\nA) ", "\n(A) "])
def test_options_are_found_however_they_are_marked(mark: str):
    assert prompt_features(f"Pick one.{mark}red").options


def test_order_makes_other_pairs_but_not_other_words():
    there, back = prompt_features("dog bites man"), prompt_features("man bites dog")
    assert (
        there.words & back.words
        == prompt_features("dog").words | prompt_features("bites").words | prompt_features("man").words
    )
    assert there.words != back.words


def test_case_does_not_matter_but_length_does():
    assert prompt_features("Hello There").words == prompt_features("hello there").words
    assert prompt_features("hello").shape != prompt_features("hello " * 50).shape


def test_digits_are_words_one_by_one():
    assert prompt_features("12").words >= prompt_features("1").words | prompt_features("2").words


def test_a_very_long_prompt_is_read_at_both_ends_only():
    middle = "x" * 4000
    changed = middle[:2000] + "yyy" + middle[2003:]
    head, tail = "begin " * 400, " end" * 400
    assert prompt_features(head + middle + tail).words == prompt_features(head + changed + tail).words


def test_an_answer_adds_features_and_takes_none_away():
    prompt = prompt_features(QUESTION)
    both = prompt.with_answer("It is B.", ["marker=none"])
    assert both.words == prompt.words
    assert both.options > prompt.options
    assert both.shape == prompt.shape | hashed(["marker=none"])


def test_the_words_of_an_answer_are_not_those_of_the_options():
    nothing = Features(frozenset(), frozenset(), frozenset())
    assert not nothing.with_answer("Oxygen", []).options & prompt_features(QUESTION).options


def test_size_weighs_each_group_by_its_scale():
    assert Features({1, 2}, {3}, {4}).size((1.0, 2.0, 3.0)) == pytest.approx((2 + 4 + 9) ** 0.5)


def test_size_of_nothing_can_be_divided_by():
    assert Features(frozenset(), frozenset(), frozenset()).size((1.0, 1.0, 1.0)) == 1.0


@given(st.text())
def test_any_text_has_features(text: str):
    assert prompt_features(text).shape


def _apart(one: str, other: str) -> int:
    return len(prompt_features(one).shape ^ prompt_features(other).shape)


def test_close_lengths_look_more_alike_than_distant_ones():
    text = "so it goes on and on "
    assert _apart(text * 8, text * 11) < _apart(text * 8, text * 20) < _apart(text * 8, text * 60)


@pytest.mark.parametrize("more", ["12, ", "three of ", "1,200 "])
def test_more_numbers_climb_higher(more: str):
    shapes = [prompt_features(("word " * 9 + more) * times + "end").shape for times in (1, 3)]
    assert shapes[0] != shapes[1]


def test_how_a_question_begins_is_seen():
    assert prompt_features("Find it").shape - prompt_features("Seek it").shape


def test_options_that_repeat_each_other_differ_from_those_that_do_not():
    alike = "Q?\nA. more red wine\nB. more red cars\nC. more red hats"
    other = "Q?\nA. five old pies\nB. more red cars\nC. tidy wet hats"
    assert len(alike) == len(other)
    assert prompt_features(alike).shape != prompt_features(other).shape


@pytest.mark.parametrize("option", ["Dogs bark.", "4 dogs"])
def test_options_that_are_sentences_or_numbers_are_told_apart(option: str):
    plain, changed = (f"Q?\nA. {text}\nB. Cats\nC. Mice" for text in ("Big dogs"[: len(option)], option))
    assert prompt_features(changed).shape - prompt_features(plain).shape


def test_the_shape_of_a_long_prompt_stays_small():
    """Each fact of shape costs time in every request."""
    assert len(prompt_features(("12, one two, " * 300) + QUESTION).shape) < 60
