"""Homework: what is known of one answer is joined, candidates compete, promises find their threshold."""

import random

import msgspec
import pytest
from jobs_house import EASY, HARD, PLACE, learned, outcomes

from penstock import testing
from penstock.jobs.shelf import Lesson
from penstock.jobs.teach import Homework, _joined, teach
from penstock.routing.answer_features import packed
from penstock.routing.compare import compared
from penstock.routing.features import prompt_features
from penstock.routing.feedback import Served
from penstock.routing.learner import COLD_START
from penstock.routing.outcomes import Outcome
from penstock.routing.weights import NOTHING, Weights


def lessons_of(those):
    return [Lesson(number, f"key{number}", each) for number, each in enumerate(those, 1)]


def homework(those, live=COLD_START, known=0, **fields):
    lessons = lessons_of(those)
    chunks = [msgspec.msgpack.encode(lessons[at : at + 250]) for at in range(0, len(lessons), 250)]
    return Homework(chunks, live.packed(), known, **fields)


def gain(weights, prompt):
    return weights.gain(prompt_features(prompt.format(5)))


def test_a_candidate_that_wins_is_made_of_all_there_is():
    report = teach(homework(outcomes(300)))
    assert report.verdict.wins
    assert (report.count, report.verdict.count) == (300, 300)
    gains = Weights.unpacked(report.gain)
    assert gain(gains, HARD) > gain(gains, EASY) + 0.2
    assert (report.trust, report.promise, report.infeasible) == (NOTHING.packed(), None, "")


def test_it_is_measured_on_what_taught_nobody():
    live = Weights.unpacked(teach(homework(outcomes(300))).gain)
    again = teach(homework(outcomes(400), live, known=300))
    assert (again.verdict.wins, again.verdict.count, again.gain) == (False, 100, None)
    turned = [*outcomes(300), *outcomes(400, hard=-1.0, easy=1.0)]
    assert teach(homework(turned, live, known=300)).verdict.wins
    assert not teach(homework(turned, live, known=690)).verdict.wins  # ten decide nothing


def test_from_nothing_comes_nothing():
    report = teach(homework([], cascade=True, max_error=0.05))
    assert (report.verdict.wins, report.count, report.gain, report.promise) == (False, 0, None, None)


def about(key, served=Served.SMALL, **fields):
    return Outcome(*PLACE, learned("how many?", served, key), **fields)


COMPARED = {"small": 0.0, "large": 1.0, "answer_features": b"seen", "small_right": False}


@pytest.mark.parametrize("turned", [False, True])
def test_what_a_client_says_of_an_answer_stands_above_a_comparison(turned):
    said = about(b"one", small=1.0, answer_features=b"seen", small_right=True)
    both = [about(b"one", **COMPARED), said]
    (lesson,) = _joined(lessons_of(both[::-1] if turned else both))
    its = lesson.outcome
    assert (its.small, its.large, its.small_right, its.answer_features) == (1.0, 1.0, True, b"seen")
    assert lesson.number == 1


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_said_of_the_large_leaves_what_is_known_of_the_small(turned):
    both = [about(b"one", **COMPARED), about(b"one", Served.LARGE, large=0.25)]
    (lesson,) = _joined(lessons_of(both[::-1] if turned else both))
    its = lesson.outcome
    assert (its.small, its.large, its.small_right, its.answer_features) == (0.0, 0.25, False, b"seen")


@pytest.mark.parametrize("turned", [False, True])
def test_a_word_stands_above_a_sign(turned):
    both = [about(b"one", small=0.6), about(b"one", small=0.0, small_right=False)]
    (lesson,) = _joined(lessons_of(both[::-1] if turned else both))
    assert (lesson.outcome.small, lesson.outcome.small_right) == (0.0, False)


def test_other_answers_and_those_without_a_key_are_left_apart():
    those = [about(b"one", small=1.0), about(b"two", small=1.0), about(b"", small=1.0), about(b"", small=0.0)]
    assert [each.number for each in _joined(lessons_of(those))] == [1, 2, 3, 4]


def judged_outcomes(count, wrong_share=0.0, seed=5):
    """Give outcomes with the small model's answers: those that hedge are wrong, and a share of the rest."""
    rng = random.Random(seed)  # noqa: S311
    for number in range(count):
        prompt = f"How many apples are left of {number}?"
        doubts = number % 4 == 0
        wrong = doubts or rng.random() < wrong_share
        text = f"Perhaps, maybe, I am unsure, 7 of {number}" if doubts else "The answer is certainly 8"
        large = "1" if wrong else text
        request = testing.exchange(body={"messages": []}).request
        answers = [{"choices": [{"message": {"content": said}}]} for said in (text, large)]
        found = compared(request, prompt, prompt_features(prompt), *answers)
        yield Outcome(*PLACE, learned(prompt), found.small, 1.0, found.answer_features, found.small > 0)


def test_a_promise_finds_its_threshold():
    report = teach(homework(judged_outcomes(1_000), cascade=True, max_error=0.05))
    assert report.promise.share == pytest.approx(0.75, abs=0.06)
    assert report.promise.bound <= 0.05
    assert len(Weights.unpacked(report.trust)) > 0
    assert report.infeasible == ""


def test_a_promise_that_cannot_be_kept_says_why():
    report = teach(homework(judged_outcomes(600, wrong_share=0.5), cascade=True, max_error=0.05))
    assert report.promise is None
    assert "most confident answers" in report.infeasible


def test_without_a_promise_or_a_cascade_nothing_is_promised():
    those = list(judged_outcomes(200))
    without = teach(homework(those, cascade=True))
    assert (without.promise, without.stands, len(Weights.unpacked(without.trust)) > 0) == (None, True, True)
    alone = teach(homework(those, max_error=0.05))
    assert (alone.trust, alone.promise, alone.stands) == (NOTHING.packed(), None, True)


def test_a_promise_is_held_against_the_live_one():
    those = list(judged_outcomes(1_000))
    first = teach(homework(those, cascade=True, max_error=0.05))
    assert not first.stands  # there was none
    live = {"trust": first.trust, "kept": first.promise}
    more = [*those, *judged_outcomes(100)]
    assert teach(homework(more, cascade=True, max_error=0.05, **live)).stands
    turned = [*those, *judged_outcomes(1_000, wrong_share=0.5)]
    report = teach(homework(turned, cascade=True, max_error=0.05, **live))
    assert (report.stands, report.promise) == (False, None)


@pytest.mark.parametrize("fields", [{"cascade": True}, {}])
def test_a_promise_that_the_policy_no_longer_makes_does_not_stand(fields):
    those = list(judged_outcomes(1_000))
    first = teach(homework(those, cascade=True, max_error=0.05))
    report = teach(homework(those, **fields, trust=first.trust, kept=first.promise))
    assert (report.stands, report.promise) == (False, None)


def answered(count, worse="agrees=False", first=0):
    """Give outcomes of answers that a second opinion judged, where one fact says what is gained."""
    rng = random.Random(first)  # noqa: S311
    for number in range(first, first + count):
        differs, long = rng.random() < 0.5, rng.random() < 0.5
        facts = [f"agrees={not differs}", f"length={20 if long else 4}"]
        gains = worse in facts
        prompt = f"what is {number} of {rng.random()}?"
        features = prompt_features(prompt).with_shape(facts)
        yield Outcome(*PLACE, learned(prompt), 0.0 if gains else 1.0, 1.0, packed(features), not gains)


def seen(report, *facts):
    return Weights.unpacked(report.after).gain(prompt_features("what?").with_shape(facts))


def test_what_is_gained_after_an_answer_must_beat_the_second_opinion():
    assert teach(homework(answered(400), cascade=True)).after is None  # it says what the opinion says
    report = teach(homework(answered(400, "length=20"), cascade=True))
    assert seen(report, "agrees=True", "length=20") > seen(report, "agrees=False", "length=4")
    assert teach(homework(answered(400, "length=20"))).after is None  # nobody judges answers


def test_then_it_must_beat_what_was_learned_before():
    report = teach(homework(answered(400, "length=20"), cascade=True))
    more = [*answered(400, "length=20"), *answered(200, "length=20", first=400)]
    assert teach(homework(more, cascade=True, after=report.after, known=400)).after is None
    turned = [*answered(400, "length=20"), *answered(600, "length=4", first=400)]
    again = teach(homework(turned, cascade=True, after=report.after, known=400))
    assert seen(again, "agrees=True", "length=4") > seen(again, "agrees=True", "length=20")
