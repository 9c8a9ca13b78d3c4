import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.answer_shape import answer_shape, opinion_shape, sort_of

PROMPT = "Ann has 3 bags of 4 apples. How many apples?"
NUMBERS = "How far?\nA. 10\nB. 20\nC. 30\nD. 40"


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


@pytest.mark.parametrize(
    ("answer", "place"), [("The answer is (A).", "least"), ("D", "greatest"), ("B", "2")]
)
def test_where_a_choice_stands_is_a_fact_of_the_answer(answer: str, place: str):
    assert _facts(answer, NUMBERS)["place"] == place


def test_an_answer_to_options_that_chooses_none_says_so():
    assert _facts("It depends.", NUMBERS)["place"] == "none"
    assert "place" not in _facts("It depends.")


def test_numbers_of_absurd_length_break_nothing():
    assert list(answer_shape("9" * 999, "9" * 999 + "." + "9" * 999))
    assert list(opinion_shape(f"Q?\nA. {'9' * 999}\nB. 1", "A", "B", False))


def _opinion(own: str | None, other: str | None, same: bool | None, prompt: str = NUMBERS) -> set[str]:
    return set(opinion_shape(prompt, own, other, same))


@pytest.mark.parametrize("same", [True, False, None])
def test_whether_opinions_agree_is_crossed_with_what_they_are(same: bool | None):
    facts = _opinion("A", "D", same)
    assert {f"agrees={same}", f"agrees={same}&own=A", f"agrees={same}&other=D"} <= facts
    assert {f"agrees={same}&own&place=least", f"agrees={same}&other&place=greatest"} <= facts


def test_close_and_distant_choices_differ():
    assert "apart=0" in _opinion("A", "A", True)
    assert "apart=5" in _opinion("A", "D", False)
    assert "apart=unknown" in _opinion("A", None, None)


@pytest.mark.parametrize(
    ("value", "sort"),
    [("12", "whole"), ("12.5", "fraction"), ("B", "B"), ("paris", "text"), (None, "None"), ("", "text")],
)
def test_the_sort_of_a_value(value: str | None, sort: str):
    assert sort_of(value) == sort
    assert f"agrees=None&own={sort}" in _opinion(value, "1", None, PROMPT)


def test_without_options_nothing_is_said_of_places():
    assert not any("place" in fact for fact in _opinion("12", "13", False, PROMPT))


@given(st.text(), st.none() | st.text(max_size=3), st.none() | st.text(max_size=3))
def test_any_two_opinions_can_be_named(prompt: str, own: str | None, other: str | None):
    facts = list(opinion_shape(prompt, own, other, own == other))
    assert all("=" in fact for fact in facts)
    assert len(facts) == len(set(facts))
