import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.answer_shape import answer_shape

PROMPT = "Ann has 3 bags of 4 apples. How many apples?"


def _facts(answer: str, prompt: str = PROMPT) -> dict[str, str]:
    return dict(fact.split("=", 1) for fact in answer_shape(prompt, answer))


@pytest.mark.parametrize(
    ("answer", "marker"),
    [("3 * 4 = 12\n#### 12", "####"), ("The answer is 12.", "answ"), ("\\boxed{12}", "\\box"), ("12", "")],
)
def test_the_marker_of_a_final_answer_is_seen(answer: str, marker: str):
    assert _facts(answer)["marker"] == marker


def test_sound_and_false_arithmetic_differ():
    assert _facts("3 * 4 = 12")["wrong"] == "0"
    assert _facts("3 * 4 = 13")["wrong"] == "1"
    assert _facts("twelve")["wrong"] == "unknown"


def test_numbers_of_the_prompt_that_were_not_used_are_counted():
    assert _facts("3 * 4 = 12")["unused"] == "0"
    assert _facts("4 + 4 = 8")["unused"] == "1"


def test_the_last_number_is_looked_at():
    facts = _facts("3 * 4 = 12\n#### 12")
    assert facts["whole"] == "True"
    assert facts["last_is_result"] == "True"
    assert facts["last_seen"] == "2"
    assert _facts("3 * 4 = 12\n#### 4.5")["last_is_result"] == "False"


def test_a_repeated_question_number_is_seen():
    assert _facts("so 4")["last_was_asked"] == "True"
    assert _facts("so 5")["last_was_asked"] == "False"


def test_an_answer_without_numbers_says_so():
    assert _facts("I don't know")["numbers"] == "none"


def test_hedges_are_counted():
    assert _facts("12")["hedges"] == "0"
    assert _facts("I think it might be 12")["hedges"] == "2"


@pytest.mark.parametrize(("answer", "ends"), [("12", "digit"), ("twelve", "letter"), ("12.", "."), ("", "")])
def test_the_end_shows_a_cut_answer(answer: str, ends: str):
    assert _facts(answer)["ends"] == ends


@given(st.text(), st.text())
def test_any_answer_has_facts_that_are_named(prompt: str, answer: str):
    facts = list(answer_shape(prompt, answer))
    assert all("=" in fact for fact in facts)
    assert len({fact.split("=", 1)[0] for fact in facts}) == len(facts)
