"""Teach: what is made of an alias's outcomes, aside from everything else."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from penstock.jobs.promise import Promise, promised, stands
from penstock.jobs.shelf import Lesson
from penstock.routing.features import Features
from penstock.routing.fit import AFTER_ANSWER, Example
from penstock.routing.guarantee import Kept
from penstock.routing.learner import OPINION, Comparison, Learner
from penstock.routing.outcomes import Learned, Outcome
from penstock.routing.weights import NOTHING, Weights

_ANSWERS: Final = 5_000


class Homework(msgspec.Struct, frozen=True):
    """What there is to learn from: `chunks` of lessons, packed, of which none above `known` taught anybody.

    `live` are the weights to be beaten, `after` those of answers. `cascade` says whether answers are judged,
    and `max_error` what is promised of them. `trust` and `kept` are the live promise.
    """

    chunks: Sequence[bytes]
    live: bytes
    known: int
    cascade: bool = False
    max_error: float | None = None
    after: bytes = b""
    trust: bytes = b""
    kept: Kept | None = None


class Report(msgspec.Struct, frozen=True):
    """What came of it: `gain` and `after` only if they won, `infeasible` says why there is no promise.

    `stands` says that the live promise does as well as this one.
    """

    verdict: Comparison
    count: int
    gain: bytes | None
    trust: bytes
    promise: Kept | None
    infeasible: str
    after: bytes | None = None
    stands: bool = True


def teach(work: Homework) -> Report:
    """Let a candidate compete; make what goes live, if it won, of all there is. It takes seconds."""
    lessons = [each for chunk in work.chunks for each in msgspec.msgpack.decode(chunk, type=list[Lesson])]
    learner, unseen, lessons = Learner(), 0, _joined(lessons)
    for lesson in lessons:
        told = learner.observe(lesson.outcome.observed())
        unseen += told and lesson.number > work.known
    verdict = learner.trial(Weights.unpacked(work.live), unseen)
    gain = learner.snapshot().packed() if verdict.wins else None
    if not work.cascade:
        return Report(verdict, len(learner), gain, NOTHING.packed(), None, "", stands=work.kept is None)
    judged = _judged(lessons)
    latest = promised(judged, work.max_error)
    live = Promise(Weights.unpacked(work.trust) if work.trust else NOTHING, work.kept)
    trust, said = latest.trust.packed(), latest.infeasible
    good = stands(live, latest, judged)
    return Report(verdict, len(learner), gain, trust, latest.kept, said, _after(work, lessons), good)


def _after(work: Homework, lessons: Iterable[Lesson]) -> bytes | None:
    """Learn what the large model gains once the small one has answered; None where that does not win.

    What it must beat at first is the second opinion alone.
    """
    learner, unseen = Learner(prior=OPINION, shape_scale=AFTER_ANSWER), 0
    for lesson in lessons:
        if lesson.outcome.answer_features:
            seen = replace(lesson.outcome.observed(), features=_features(lesson.outcome))
            unseen += learner.observe(seen) and lesson.number > work.known
    live = Weights.unpacked(work.after) if work.after else OPINION
    return learner.snapshot().packed() if learner.trial(live, unseen).wins else None


def _features(outcome: Outcome) -> Features:
    return Features(
        *msgspec.msgpack.decode(outcome.answer_features, type=tuple[set[int], set[int], set[int]])
    )


def _joined(lessons: Iterable[Lesson]) -> list[Lesson]:
    """Make one of those about the same answer, in the place of the first."""
    found: dict[bytes | int, Lesson] = {}
    for lesson in lessons:
        key = msgspec.msgpack.decode(lesson.outcome.learned, type=Learned).key or lesson.number
        before = found.get(key)
        found[key] = lesson if before is None else _one_of(before, lesson)
    return list(found.values())


def _one_of(one: Lesson, other: Lesson) -> Lesson:
    """Take what is known of either; what was said of one answer stands above a comparison of two."""
    said, rest = sorted((one.outcome, other.outcome), key=_weight, reverse=True)
    about_small = rest if said.small is None else said
    outcome = msgspec.structs.replace(
        said,
        small=about_small.small,
        large=rest.large if said.large is None else said.large,
        answer_features=said.answer_features or rest.answer_features,
        small_right=about_small.small_right,
    )
    return Lesson(one.number, one.key, outcome)


def _weight(outcome: Outcome) -> float:
    """Say how much was said of one answer, from 0 to a half; comparing two weighs less than any word."""
    if outcome.small is not None and outcome.large is not None:
        return -1.0
    told = outcome.large if outcome.small is None else outcome.small
    return 0.0 if told is None else abs(told - 0.5)


def _judged(lessons: Iterable[Lesson]) -> list[Example]:
    """Give the latest answers of the small model of which is known whether they were wrong: 1 if so."""
    judged = []
    for lesson in lessons:
        if lesson.outcome.small_right is not None and lesson.outcome.answer_features:
            wrong = 0.0 if lesson.outcome.small_right else 1.0
            judged.append(Example(_features(lesson.outcome), wrong, lesson.outcome.observed().topic))
    return judged[-_ANSWERS:]
