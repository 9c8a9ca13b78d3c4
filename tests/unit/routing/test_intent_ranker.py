import numpy as np
import pytest

from penstock.routing.intent_features import intent_features
from penstock.routing.intent_ranker import Ranker, Vocabulary

PAIRS = [
    ("music", "play some music"),
    ("music", "turn the song up"),
    ("music", "next song please"),
    ("weather", "is it raining"),
    ("weather", "will it snow tomorrow"),
    ("weather", "how cold is it outside"),
]


def vocabulary_of(*texts: str) -> Vocabulary:
    return Vocabulary([intent_features(text) for text in texts])


def test_words_have_length_one_and_letters_a_little_more():
    rows, values = vocabulary_of("red sea", "dead sea").vector(intent_features("red sea"))
    words = len(intent_features("red sea")[0])
    assert len(rows) == len(values)
    assert np.linalg.norm(values[:words]) == pytest.approx(1)
    assert np.linalg.norm(values[words:]) == pytest.approx(1.4)


def test_what_is_rare_counts_more():
    vocabulary = vocabulary_of("sea", "sea", "sea red")
    _, values = vocabulary.vector((intent_features("sea")[0] | intent_features("red")[0], frozenset()))
    assert values[0] != values[1]
    sea, red = (vocabulary.vector((intent_features(word)[0], frozenset()))[0][0] for word in ("sea", "red"))
    assert vocabulary._rarity[red] > vocabulary._rarity[sea]


def test_an_unknown_feature_has_no_row():
    rows, values = vocabulary_of("red sea").vector(intent_features("xyz"))
    assert len(rows) == len(values) == 0


def test_of_many_examples_what_only_one_has_is_left_out():
    common = ["red sea"] * 999
    assert len(vocabulary_of(*common, "qqq")) == len(vocabulary_of("red sea"))
    assert len(vocabulary_of(*common[:900], "qqq")) > len(vocabulary_of("red sea"))


def test_what_was_taught_is_known_and_fits_by_about_the_margin():
    ranker = Ranker.taught(PAIRS, 0)
    assert [ranker.rank(text)[0] for _, text in PAIRS] == [label for label, _ in PAIRS]
    assert all(0.2 < ranker.rank(text)[1] < 2 for _, text in PAIRS)


def test_what_is_less_like_the_examples_fits_less():
    ranker = Ranker.taught(PAIRS, 0)
    assert ranker.rank("play some music")[1] > ranker.rank("play with the cat")[1]


def test_what_has_no_known_feature_has_no_label():
    assert Ranker.taught(PAIRS, 0).rank("xyz") == ("", 0.0)


def test_a_seed_decides_everything():
    weights = [Ranker.taught(PAIRS, seed)._weights for seed in (1, 1, 2)]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_labels_move_apart_by_equal_steps():
    assert np.allclose(Ranker.taught(PAIRS, 0)._weights.sum(axis=1), 0, atol=1e-5)


def test_a_single_label_stands_out_from_nobody():
    ranker = Ranker.taught(PAIRS[:3], 0)
    assert ranker.rank("play some music")[0] == "music"


def test_weights_take_four_bytes_each():
    ranker = Ranker.taught(PAIRS, 0)
    known = {gram for _, text in PAIRS for block in intent_features(text) for gram in block}
    assert ranker._weights.nbytes == 4 * len(known) * 2


def test_an_example_without_a_letter_teaches_nothing():
    ranker = Ranker.taught([*PAIRS, ("music", "!?")], 0)
    assert ranker.rank("turn the song up")[0] == "music"
    assert np.isfinite(ranker._weights).all()
