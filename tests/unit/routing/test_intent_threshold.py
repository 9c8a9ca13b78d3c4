import pytest

from penstock.routing.intent_ranker import Ranker
from penstock.routing.intent_threshold import threshold_by_held_back, threshold_by_strangers

CLEAR = [
    (label, f"{verb} {thing}")
    for label, verbs, things in (
        ("music", ("play", "pause", "shuffle"), ("the song", "my record", "that album", "some jazz")),
        (
            "weather",
            ("will it", "does it", "could it"),
            ("rain", "snow today", "freeze tonight", "hail here"),
        ),
    )
    for verb in verbs
    for thing in things
]
STRANGERS = ["what is the capital", "book a flight", "who wrote this", "is it open", "buy the bread"]


def test_strangers_are_refused_in_part():
    ranker = Ranker.taught(CLEAR, 0)
    threshold = threshold_by_strangers(ranker, STRANGERS)
    refused = sum(ranker.rank(text)[1] < threshold for text in STRANGERS)
    assert refused == int(0.45 * len(STRANGERS))


def test_stranger_strangers_need_a_lower_bar():
    ranker = Ranker.taught(CLEAR, 0)
    near, far = ["play the piano", "will it work"], ["xyz", "qqq"]
    assert threshold_by_strangers(ranker, far) < threshold_by_strangers(ranker, near)


def test_held_back_examples_set_a_bar_that_what_was_taught_passes():
    ranker, threshold = Ranker.taught(CLEAR, 0), threshold_by_held_back(CLEAR, 0)
    assert threshold > 0
    assert sum(ranker.rank(text)[1] >= threshold for _, text in CLEAR) >= 0.9 * len(CLEAR)


def test_the_bar_is_the_same_for_the_same_seed():
    assert threshold_by_held_back(CLEAR, 3) == threshold_by_held_back(CLEAR, 3)


def test_where_labels_are_muddled_more_of_what_is_like_them_is_refused():
    muddled = [("music" if place % 2 else "weather", text) for place, (_, text) in enumerate(CLEAR)]
    asked = [
        "play my song",
        "pause that jazz",
        "could it hail tonight",
        "does it snow here",
        "shuffle some songs",
    ]
    refused = []
    for pairs in (CLEAR, muddled):
        ranker, bar = Ranker.taught(pairs, 0), threshold_by_held_back(pairs, 0)
        refused.append(sum(ranker.rank(text)[1] < bar for text in asked))
    assert refused[0] == 0 < refused[1]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_a_few_examples_are_enough_for_a_bar(count: int):
    assert threshold_by_held_back(CLEAR[:: len(CLEAR) // count][:count], 0) >= 0
