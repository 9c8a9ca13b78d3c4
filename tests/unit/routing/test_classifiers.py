"""Classifiers: each set of intents has its own, learned beside the road, and nobody is given another's."""

import asyncio
import logging

import pytest

from penstock.routing import classifiers as module
from penstock.routing.classifiers import Classifiers

CODE = ("write a function that sorts", "why does this loop never end", "refactor this class please")
MATHS = ("what is 17 percent of 80", "solve x + 3 = 9", "how many apples are left over")
FILES = {"code": CODE, "maths": MATHS}
ARM = {"programs": CODE, "sums": MATHS}
TEXT = CODE[0]


def label(classifiers, intents):
    found = classifiers.of(intents)
    return found.intent(TEXT).label if found is not None else None


@pytest.fixture
def classifiers():
    return Classifiers()


def test_nothing_is_known_before_it_is_learned(classifiers):
    assert classifiers.of(FILES) is None
    classifiers.learn(FILES)
    assert label(classifiers, FILES) == "code"
    assert classifiers.of(ARM) is None
    assert classifiers.of({}) is None
    classifiers.learn({})
    assert classifiers.of({}) is None


async def test_each_set_has_its_own_and_equal_ones_share(classifiers):
    await classifiers.turn_to([FILES, ARM, {**FILES}, {}])
    assert (label(classifiers, FILES), label(classifiers, ARM)) == ("code", "programs")
    assert classifiers.of({**FILES}) is classifiers.of(FILES)
    assert len(classifiers._learned) == 2


async def test_what_is_known_is_not_learned_again(classifiers):
    await classifiers.turn_to([FILES, ARM])
    before = classifiers.of(FILES), classifiers.of(ARM)
    await classifiers.turn_to([{**FILES}, {**ARM}])
    classifiers.learn({**FILES})
    assert (classifiers.of(FILES), classifiers.of(ARM)) == before


async def test_what_nobody_has_any_more_is_forgotten(classifiers):
    await classifiers.turn_to([FILES, ARM])
    await classifiers.turn_to([FILES])
    assert (label(classifiers, FILES), classifiers.of(ARM)) == ("code", None)
    await classifiers.turn_to([{}])
    assert classifiers.of(FILES) is None


class Training:
    """Lets each classifier be learned when it is told."""

    def __init__(self, monkeypatch):
        self.asked, self._real = [], module.IntentClassifier.train
        self.go = asyncio.Event()
        loop = asyncio.get_running_loop()

        def train(intents):
            self.asked.append(sorted(intents))
            asyncio.run_coroutine_threadsafe(self.go.wait(), loop).result()
            return self._real(intents)

        monkeypatch.setattr(module.IntentClassifier, "train", train)


async def until(come_true):
    while not come_true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_until_it_is_learned_an_arm_has_no_intents_and_the_files_have_those_of_before(
    classifiers, monkeypatch
):
    await classifiers.turn_to([FILES])
    training = Training(monkeypatch)
    new = {"sorting": CODE, "maths": MATHS}
    turning = asyncio.ensure_future(classifiers.turn_to([new, ARM]))
    await until(lambda: training.asked)
    assert (label(classifiers, new), label(classifiers, ARM)) == ("code", None)
    assert classifiers.of(FILES) is None  # nobody has these any more
    training.go.set()
    await turning
    assert (label(classifiers, new), label(classifiers, ARM)) == ("sorting", "programs")
    assert training.asked == [["maths", "sorting"], ["programs", "sums"]]


async def test_policies_that_change_while_it_learns_win(classifiers, monkeypatch):
    await classifiers.turn_to([FILES])
    training = Training(monkeypatch)
    first, second = {"one": CODE, "two": MATHS}, {"three": CODE, "four": MATHS}
    turning = asyncio.ensure_future(classifiers.turn_to([first]))
    await until(lambda: training.asked)
    turning.cancel()
    again = asyncio.ensure_future(classifiers.turn_to([second]))
    await until(lambda: len(training.asked) == 2)
    assert label(classifiers, second) == "code"  # still what was there at first
    training.go.set()
    await again
    assert (classifiers.of(first), label(classifiers, second)) == (None, "three")


async def test_only_so_many_are_learned(classifiers, monkeypatch, caplog):
    caplog.set_level(logging.ERROR, "penstock.routing")
    monkeypatch.setattr(module, "_MOST", 2)
    sets = [FILES, ARM, {"third": CODE, "fourth": MATHS}]
    await classifiers.turn_to(sets)
    assert [classifiers.of(each) is not None for each in sets] == [True, True, False]
    assert caplog.messages == ["experiments have 3 sets of intents; 2 are learned"]


def test_names_of_sets_that_are_gone_are_not_kept_for_ever(classifiers, monkeypatch):
    monkeypatch.setattr(module, "_MOST_NAMES", 10)
    classifiers.learn(FILES)
    for at in range(100):
        assert classifiers.of({f"label{at}": CODE}) is None
        assert len(classifiers._names) <= 10
    assert label(classifiers, FILES) == "code"


def test_another_set_in_the_same_place_of_memory_is_another(classifiers):
    classifiers.learn(FILES)
    for _ in range(200):  # each is gone before the next is made
        assert classifiers.of(dict(ARM)) is None
        assert label(classifiers, dict(FILES)) == "code"
