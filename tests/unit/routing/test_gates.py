from typing import Any

import pytest

from penstock.routing.canonical import Kind
from penstock.routing.gates import GATES, Judged, Limits, judge

NO_LIMITS = Limits()
GOOD = "Paris is the capital of France."
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def _failed(answer: Judged, limits: Limits = NO_LIMITS) -> dict[str, str]:
    return {verdict.gate: verdict.reason for verdict in judge(answer, limits=limits) if not verdict.passed}


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_good_answer_passes_every_gate():
    verdicts = judge(Judged(GOOD))
    assert [verdict.gate for verdict in verdicts] == list(GATES)
    assert all(verdict.passed and not verdict.reason for verdict in verdicts)


def test_only_the_gates_that_are_asked_for_judge():
    assert [verdict.gate for verdict in judge(Judged(""), ["empty"])] == ["empty"]


def test_a_cut_answer_fails():
    assert _failed(Judged(GOOD, finish_reason="length")) == {"truncated": "length"}


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I cannot do this.",
        "As an AI, I have no views.",
        "Sorry, no.",
        "Unfortunately, I cannot see images.",
        "I'm unable to say.",
    ],
)
def test_a_refusal_in_words_fails(text: str):
    assert _failed(Judged(text)) == {"refused": "phrase"}


@pytest.mark.parametrize("text", ["I can help with that.", "He said: I'm sorry.", "I cane chairs."])
def test_other_beginnings_are_no_refusal(text: str):
    assert "refused" not in _failed(Judged(text))


def test_a_refusal_by_the_provider_fails():
    assert _failed(Judged("", refusal="no"))["refused"] == "refusal"
    assert _failed(Judged("x", finish_reason="content_filter"))["refused"] == "refusal"


def test_nothing_is_no_answer_but_a_tool_call_is():
    assert _failed(Judged(" \n")) == {"empty": "empty"}
    assert not _failed(Judged("", tool_calls=[_call("weather", '{"city":"Rome"}')], tools=[WEATHER]))


@pytest.mark.parametrize(("text", "reason"), [("{", "not_json"), ('{"n": "x"}', "schema"), ("[]", "schema")])
def test_json_that_was_asked_for_must_be_it(text: str, reason: str):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert _failed(Judged(text, json=schema)) == {"json": reason}
    assert not _failed(Judged('{"n": 1}', json=schema))


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (_call("storm", "{}"), "unknown_tool"),
        (_call("weather", "city=Rome"), "arguments_not_json"),
        (_call("weather", "{}"), "arguments_schema"),
        (_call("weather", '{"city": 3}'), "arguments_schema"),
    ],
)
def test_a_tool_call_that_cannot_be_made_fails(call: dict[str, Any], reason: str):
    assert _failed(Judged("", tool_calls=[call], tools=[WEATHER])) == {"tool_call": reason}


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [("many", Kind.NUMBER, "no_number"), ("Perhaps so.", Kind.CHOICE, "no_choice")],
)
def test_a_format_that_was_asked_for_must_be_there(text: str, expected: Kind, reason: str):
    assert _failed(Judged(text, expected=expected)) == {"format": reason}


def test_python_must_parse():
    assert not _failed(Judged("```python\nx = 1\n```"))
    assert _failed(Judged("```python\nx = (1\n```")) == {"code": "python"}
    assert _failed(Judged("fine:\n```py\na = 1\n```\nnot:\n```py\nif a\n```")) == {"code": "python"}


def test_one_hedge_is_polite_two_are_doubt():
    assert not _failed(Judged("It is probably Paris."))
    assert _failed(Judged("I think it might be Paris.")) == {"hedging": "hedges"}


def test_low_logprobs_fail_where_a_limit_is_set():
    unsure = Judged(GOOD, logprobs=[-0.1, -3.0], margins=[4.0, 0.1])
    assert not _failed(unsure)
    assert _failed(unsure, Limits(least_mean_logprob=-1.0)) == {"logprobs": "mean"}
    assert _failed(unsure, Limits(least_margin=0.5)) == {"logprobs": "margin"}
    assert not _failed(unsure, Limits(least_mean_logprob=-2.0, least_margin=0.05))


def test_an_answer_without_logprobs_passes_their_gate():
    assert not _failed(Judged(GOOD), Limits(least_mean_logprob=-1.0, least_margin=0.5))
