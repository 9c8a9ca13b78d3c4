from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.intent_features import intent_features


def test_words_pairs_and_runs_of_letters_are_seen():
    words, runs = intent_features("red sea")
    assert len(words) == 3
    assert len(runs) == len(" red sea ") - 2


def test_case_and_marks_do_not_matter():
    assert intent_features("Red, SEA!") == intent_features("red sea")


def test_the_order_of_words_matters_to_pairs_only():
    one, other = intent_features("red sea")[0], intent_features("sea red")[0]
    assert len(one & other) == 2


def test_a_long_text_is_known_by_its_start():
    assert intent_features("word " * 500) == intent_features("word " * 600)


def test_a_run_beyond_ascii_is_three_letters_and_begins_with_a_letter():
    runs = intent_features("мир")[1]
    assert len(runs) == len(" мир")  # the space sees one letter, and the last two runs end with the word
    assert len(runs & intent_features("мира")[1]) == 2


def test_each_chinese_character_is_a_word():
    words, _ = intent_features("翻译法语")
    assert len(words) == 4 + 3
    assert len(words & intent_features("法语")[0]) == 3


@given(st.text())
def test_any_text_has_features(text: str):
    assert all(isinstance(grams, frozenset) for grams in intent_features(text))


@given(st.text(alphabet="ab мир翻é", max_size=30))
def test_letters_in_common_are_features_in_common(text: str):
    assert intent_features(text)[0] <= intent_features(text + " zz")[0]
