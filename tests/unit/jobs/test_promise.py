"""The promise: every answer is evidence and none is its own, and only a decision that moves replaces one."""

import random
from dataclasses import replace

import pytest

from penstock.jobs import promise as module
from penstock.jobs.promise import Promise, promised, stands
from penstock.routing.features import Features, prompt_features
from penstock.routing.fit import Example
from penstock.routing.guarantee import Infeasible, Kept, keep_within
from penstock.routing.learner import lot_of
from penstock.routing.weights import NOTHING, Weights

NONE = frozenset()


def answers(count, wrong_if_unsure=0.8, wrong_if_sure=0.01, seed=1):
    """Give answers of which a quarter are unsure."""
    rng = random.Random(seed)  # noqa: S311
    for number in range(count):
        unsure = rng.random() < 0.25
        wrong = rng.random() < (wrong_if_unsure if unsure else wrong_if_sure)
        features = prompt_features(f"how many are {number} of {rng.random()}?")
        yield Example(features.with_shape([f"unsure={unsure}"]), float(wrong))


def share(promise, judged):
    return sum(map(promise.keeps, judged)) / len(judged)


def test_what_is_kept_is_right_as_often_as_was_promised():
    promise = promised(list(answers(600)), 0.05)
    assert promise.kept.bound <= 0.05
    unseen = list(answers(2_000, seed=2))
    kept = [each for each in unseen if promise.keeps(each)]
    assert share(promise, unseen) == pytest.approx(0.75, abs=0.06)
    assert sum(each.gain for each in kept) / len(kept) <= 0.05


@pytest.mark.parametrize("max_error", [0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_no_promise_is_broken_by_more_than_a_point(max_error, noise):
    for seed in range(3):
        promise = promised(list(answers(400, 0.6, noise, seed)), max_error)
        unseen = list(answers(3_000, 0.6, noise, seed + 100))
        kept = [each for each in unseen if promise.keeps(each)]
        assert sum(each.gain for each in kept) <= (max_error + 0.01) * len(kept)
        if noise > max_error:
            assert (promise.kept, bool(promise.infeasible)) == (None, True)


def test_all_answers_are_evidence(monkeypatch):
    told = []
    monkeypatch.setattr(
        module, "keep_within", lambda labelled, error: told.extend(labelled) or keep_within(labelled, error)
    )
    judged = list(answers(300))
    promised(judged, 0.05)
    assert len(told) == 300
    assert sum(each.wrong for each in told) == sum(each.gain for each in judged)


def test_an_answer_is_no_evidence_for_what_it_has_taught():
    """Labels by lot can be learned by heart, and nothing of that may count."""
    rng = random.Random(3)  # noqa: S311
    lots = [Example(prompt_features(f"{rng.random()} {at}"), float(rng.random() < 0.4)) for at in range(400)]
    by_heart = [replace(each, features=each.features.with_shape([f"wrong={each.gain}"])) for each in lots]
    assert promised(lots, 0.2).kept is None
    assert promised(by_heart, 0.2).kept is not None  # where there is something to learn, it is learned


def test_the_same_answer_however_often_it_comes_is_in_one_fold():
    same = prompt_features("how many apples are left?")
    repeated = [Example(same, 0.0)] * 200 + list(answers(50))
    (confidence,) = {
        each.confidence for each in module._cross_fitted([Example(same, 0.0)] * 200) if not each.wrong
    }
    assert confidence == 0  # nobody but itself could have taught it
    assert len({lot_of(each.features) for each in repeated[:200]}) == 1
    assert len(module._cross_fitted(repeated)) == 250


def test_nothing_known_promises_nothing():
    assert promised([], 0.05) == Promise()
    without = promised(list(answers(50)), None)
    assert (without.kept, without.infeasible, len(without.trust) > 0) == (None, "", True)
    assert not without.keeps(next(answers(1)))
    few = promised(list(answers(20)), 0.05)
    assert few.kept is None
    assert isinstance(keep_within([], 0.05), Infeasible)


def ranked(count=1_000):
    """Give answers whose confidence is their place, by weights that know each of them."""
    judged = [Example(Features({at}, NONE, NONE), 0.0) for at in range(count)]
    return judged, Weights((1.0, 1.0, 1.0), 0.0, {at: at / count for at in range(count)})


def kept(threshold):
    return Kept(threshold, 0.8, 800, 10, 0.04)


@pytest.mark.parametrize(
    ("live", "latest", "same"),
    [
        (0.8, 0.8, True),
        (0.8, 0.795, True),  # by half a point looser than what can be shown now
        (0.8, 0.78, False),
        (0.8, 0.82, True),  # by two points stricter
        (0.8, 0.84, False),
        (0.8, 0.5, False),
    ],
)
def test_a_promise_stands_while_it_decides_the_same(live, latest, same):
    judged, weights = ranked()
    before, now = Promise(weights, kept(-live)), Promise(weights, kept(-latest))
    assert stands(before, now, judged) is same


def test_the_scale_of_the_confidence_does_not_matter():
    judged, weights = ranked()
    tenfold = Weights((1.0, 1.0, 1.0), 0.0, {feature: 10 * pull for feature, pull in weights.items()})
    assert stands(Promise(weights, kept(-0.8)), Promise(tenfold, kept(-8.0)), judged)
    assert not stands(Promise(weights, kept(-0.8)), Promise(tenfold, kept(-0.8)), judged)


def test_a_promise_that_is_made_or_given_up_does_not_stand():
    judged, weights = ranked()
    promise, none = Promise(weights, kept(-0.8)), Promise(weights, infeasible="too many were wrong")
    assert not stands(promise, none, judged)
    assert not stands(none, promise, judged)
    assert stands(none, Promise(NOTHING), judged)


def test_many_small_steps_are_seen_as_one():
    """Each is held against the live promise, so that drifting does not go unseen."""
    judged, weights = ranked()
    live = Promise(weights, kept(-0.8))
    steps = [stands(live, Promise(weights, kept(-0.8 - step / 100)), judged) for step in range(6)]
    assert steps == [True, True, True, True, False, False]


def test_a_model_that_became_worse_moves_the_promise():
    before, after = list(answers(500)), list(answers(1_500, wrong_if_sure=0.2, seed=9))
    live = promised(before, 0.05)
    more = [*before, *answers(100, seed=5)]
    assert stands(live, promised(more, 0.05), more)
    turned = [*before, *after]
    assert not stands(live, promised(turned, 0.05), turned)


def test_another_bound_moves_it_as_well():
    judged = list(answers(800, 0.5))
    assert not stands(promised(judged, 0.3), promised(judged, 0.05), judged)
