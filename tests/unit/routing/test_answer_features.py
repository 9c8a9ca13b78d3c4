"""The features of an answer: the same before a judgement and when its outcome is known."""

import msgspec
import pytest

from penstock.routing.answer_features import answer_features, answer_of, packed, with_answer
from penstock.routing.answer_shape import answer_shape
from penstock.routing.features import Features, hashed, prompt_features
from penstock.routing.feedback import Served
from penstock.routing.gates import Judged
from penstock.routing.outcomes import Learned

PROMPT = "How many apples are left?"
FEATURES = prompt_features(PROMPT)


def added(**seen):
    """Give what log-probabilities add to the shape."""
    plain = answer_features(PROMPT, FEATURES, Judged("7 apples"))
    return answer_features(PROMPT, FEATURES, Judged("7 apples", **seen)).shape - plain.shape


def test_words_and_shape_of_the_answer_are_among_them():
    seen = answer_features(PROMPT, FEATURES, Judged("7 apples"))
    assert seen == FEATURES.with_answer("7 apples", answer_shape(PROMPT, "7 apples"))


@pytest.mark.parametrize(
    ("logprobs", "step"),
    [([0.0], 0), ([-0.04, -0.04], 0), ([-0.25], 2), ([-0.1, -0.9], 5), ([-40], 9), ([-1e6], 9), ([0.5], 0)],
)
def test_the_mean_counts_in_coarse_steps(logprobs, step):
    assert added(logprobs=logprobs) == hashed([f"mean_logprob={step}"])


@pytest.mark.parametrize(
    ("margins", "step"),
    [([0.0], 0), ([0.05], 0), ([0.25], 2), ([9, 1.0], 4), ([3.0], 7), ([30.0], 9), ([1e6], 9)],
)
def test_so_does_the_narrowest_margin(margins, step):
    assert added(margins=margins) == hashed([f"least_margin={step}"])


def test_without_them_nothing_is_said_of_them():
    assert added() == frozenset()


def learned(**fields):
    return msgspec.structs.replace(Learned.of(FEATURES, Served.SMALL, 0.5, "maths"), **fields)


def test_they_are_carried_along_and_given_back_whole():
    seen = answer_features(PROMPT, FEATURES, Judged("7 apples", logprobs=[-1.0])).with_shape(["agrees=True"])
    told = msgspec.msgpack.decode(with_answer(learned(key=b"k").packed(), seen), type=Learned)
    assert (told.served, told.chance, told.topic, told.key) == ("small", 0.5, "maths", b"k")
    sets = msgspec.msgpack.decode(answer_of(told), type=tuple[set[int], set[int], set[int]])
    assert Features(*sets) == seen
    assert {*map(frozenset, sets)} == {
        *map(frozenset, msgspec.msgpack.decode(packed(seen), type=tuple[set[int], set[int], set[int]]))
    }


def test_what_the_prompt_says_is_not_kept_twice():
    seen = FEATURES.with_answer("7", ["a"])
    told = msgspec.msgpack.decode(with_answer(learned().packed(), seen), type=Learned)
    assert told.answer == (seen.options - FEATURES.options, hashed(["a"]))


def test_of_an_ephemeral_one_nothing_is_carried():
    assert with_answer(b"", FEATURES) == b""


def test_an_answer_that_was_not_judged_has_none():
    assert answer_of(learned()) == b""


def test_what_was_carried_before_there_were_answers_can_still_be_read():
    old = msgspec.msgpack.encode([[1], [2], [3], "small", 1.0, None])
    told = msgspec.msgpack.decode(old, type=Learned)
    assert (told.key, told.answer, answer_of(told)) == (b"", None, b"")
