from random import Random

import pytest

from penstock.routing.features import prompt_features
from penstock.routing.fit import Example, fit
from penstock.routing.weights import NOTHING, Weights


def random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _said(text: str, gain: float, topic: str | None = None, weight: float = 1.0) -> Example:
    return Example(prompt_features(text), gain, topic, weight)


def _taught(rng: Random, count: int = 200) -> list[Example]:
    easy, hard = ["greet the guest", "say thank you"], ["prove the lemma", "derive the bound"]
    examples = []
    for _ in range(count):
        gain = rng.choice((0.0, 1.0))
        examples.append(_said(f"{rng.choice(hard if gain else easy)} {rng.randrange(9)}", gain))
    return examples


def test_without_examples_nothing_is_learned():
    assert fit([]) is NOTHING


def test_prompts_like_those_that_gained_score_higher():
    weights = fit(_taught(random(1)))
    hard, easy = (weights.gain(prompt_features(text)) for text in ("prove the lemma 3", "greet the guest 3"))
    assert easy < weights.intercept < hard
    assert hard - easy > 0.05


def test_an_unknown_prompt_scores_near_the_mean():
    examples = _taught(random(2))
    mean = sum(example.gain for example in examples) / len(examples)
    assert fit(examples).gain(prompt_features("zebra quartz")) == pytest.approx(mean, abs=0.2)


def test_the_same_examples_make_the_same_weights():
    assert fit(_taught(random(3))).digest() == fit(_taught(random(3))).digest()


def test_a_feature_that_only_one_example_has_is_not_kept():
    weights = fit([*_taught(random(4)), _said("xylophone", 1.0)])
    (only,) = prompt_features("xylophone").words
    assert weights.pull(only) == 0.0


def test_a_topic_lends_its_mean_to_its_prompts():
    rng = random(5)
    texts = [("algebra", "rings and fields", 1.0), ("small talk", "rain and sun", 0.0)]
    noisy = []
    for _ in range(300):
        topic, text, likely = rng.choice(texts)
        noisy.append((text, float(rng.random() < 0.25 + 0.5 * likely), topic))
    told = fit([_said(text, gain, topic) for text, gain, topic in noisy])
    assert told.gain(prompt_features("rings and fields")) > told.gain(prompt_features("rain and sun"))


def test_an_example_of_no_weight_teaches_nothing():
    examples = _taught(random(6))
    misled = [*examples, *(_said("greet the guest", 1.0, weight=1e-9) for _ in range(3))]
    assert fit(misled).gain(prompt_features("greet the guest")) < 0.5


def test_with_few_examples_shape_counts_for_more():
    assert fit(_taught(random(7), 20)).scales[2] > fit(_taught(random(7), 2000)).scales[2]


def test_a_prior_stands_where_examples_say_nothing():
    prior = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(prompt_features("zebra quartz").words, 1.0))
    examples = _taught(random(8))
    with_prior, without = fit(examples, prior=prior), fit(examples)
    assert with_prior.gain(prompt_features("zebra quartz")) > without.gain(prompt_features("zebra quartz"))
    assert fit([], prior=prior) is prior


def test_examples_overrule_a_prior():
    text = prompt_features("greet the guest 1")
    prior = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(text.words, 1.0))
    assert fit(_taught(random(9), 1500), prior=prior).gain(text) < 0.5 * prior.gain(text)


def test_the_scale_of_shape_can_be_given():
    assert fit(_taught(random(10)), 3.0).scales[2] == 3.0


def test_of_very_many_features_the_strongest_are_kept():
    rng = random(11)
    words = [chr(97 + first) + chr(97 + second) for first in range(26) for second in range(8)]
    examples = [_said(" ".join(rng.choices(words, k=300)), float(at % 2)) for at in range(500)]
    weights = fit(examples)
    assert len(weights) == 32_000
    assert min(abs(pull) for _, pull in weights.items()) > 0
