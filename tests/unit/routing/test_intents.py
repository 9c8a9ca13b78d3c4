import subprocess
import sys

import pytest

from penstock.routing.intents import IntentClassifier

EXAMPLES = {
    "translation": [
        "translate this sentence into french",
        "how do you say good morning in spanish",
        "what is the german word for bread",
        "translate the letter below into english",
        "say thank you in japanese",
        "put this paragraph into italian",
    ],
    "code": [
        "write a python function that sorts a list",
        "why does this javascript loop never end",
        "fix the bug in my sql query",
        "refactor this class into two functions",
        "write a unit test for the parser function",
        "explain what this regex matches in python",
    ],
    "maths": [
        "what is 12 times 14",
        "solve the equation x squared equals nine",
        "compute the integral of sine",
        "how many apples are left if 3 of 10 are eaten",
        "what is 15 percent of 80",
        "find the derivative of x cubed",
    ],
}


@pytest.fixture(scope="module")
def classifier() -> IntentClassifier:
    return IntentClassifier.train(EXAMPLES)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("translate my letter into spanish", "translation"),
        ("write a function in python", "code"),
        ("what is 20 percent of 45", "maths"),
    ],
)
def test_a_few_examples_are_enough_for_what_is_like_them(classifier, text: str, label: str):
    assert classifier.intent(text).label == label


def test_what_it_was_taught_it_knows(classifier):
    known = [(label, text) for label, texts in EXAMPLES.items() for text in texts]
    assert all(classifier.rank(text)[0] == label for label, text in known)


def test_the_same_examples_make_the_same_classifier(classifier):
    again = IntentClassifier.train(EXAMPLES)
    assert again.threshold == classifier.threshold
    assert again.intent("fix my loop") == classifier.intent("fix my loop")


def test_a_text_of_unknown_features_has_no_intent(classifier):
    found = classifier.intent("\u6771\u4eac")
    assert not found.in_scope


def test_an_empty_text_has_no_intent(classifier):
    assert not classifier.intent("").in_scope


def test_texts_out_of_scope_raise_the_bar():
    strange = ["what is the weather", "how do you make bread", "find a good film", "is this the way home"]
    strict = IntentClassifier.train(EXAMPLES, strange)
    assert not all(strict.intent(text).in_scope for text in strange)
    assert strict.threshold > 0
    assert strict.intent("translate this sentence into french").in_scope


def test_one_label_alone_can_be_learned():
    assert IntentClassifier.train({"chat": ["hello there", "good day"]}).intent("hello").label == "chat"


def test_without_examples_nothing_is_known():
    assert not IntentClassifier.train({}).intent("hello").in_scope


def test_without_examples_of_strangers_most_of_what_was_taught_is_in_scope(classifier):
    taught = [text for texts in EXAMPLES.values() for text in texts]
    assert all(classifier.intent(text).in_scope for text in taught)
    assert classifier.threshold > 0


def test_other_alphabets_are_told_apart():
    examples = {
        "translation": ["переведи письмо", "请翻译这句话", "翻译成法语"],
        "maths": ["реши уравнение", "计算正弦的积分", "解这个方程"],
    }  # fmt: skip
    classifier = IntentClassifier.train(examples)
    asked = {"перевод писем": "translation", "уравнения": "maths", "翻译": "translation", "方程": "maths"}
    assert {text: classifier.rank(text)[0] for text in asked} == asked


def test_another_seed_may_learn_otherwise_but_the_same_labels():
    for seed in range(3):
        assert IntentClassifier.train(EXAMPLES, seed=seed).rank("refactor my python function")[0] == "code"


def test_a_gateway_without_intents_loads_no_numpy():
    asked = "import sys, penstock.stages.routing; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", asked], text=True).strip() == "False"
