"""From answers of all endpoints to what the gates see."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock import testing
from penstock.routing.canonical import Kind
from penstock.routing.gates import judge
from penstock.routing.judged import expected, judged

CHAT, RESPONSES, TEXT = "/v1/chat/completions", "/v1/responses", "/v1/completions"
SCHEMA = {"type": "object", "required": ["a"]}
CHOICE = "Which?\nA. one\nB. two\nC. three"
ANY_JSON = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(
                "choices message content text refusal tool_calls function output type logprobs logprob "
                "top_logprobs finish_reason status arguments name".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def seen(answer: Any, path: str = CHAT, prompt: str = "", **body: Any) -> Any:
    return judged(testing.exchange(path, body=body).request, answer, prompt)


def chat(**message: Any) -> Any:
    return {"choices": [{"index": 0, "message": {"content": "hi", **message}, "finish_reason": "stop"}]}


def test_a_chat_answer():
    tools = [{"type": "function", "function": {"name": "f"}}]
    calls = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
    told = seen(chat(tool_calls=calls, refusal=None), tools=tools)
    assert (told.text, told.finish_reason, told.refusal) == ("hi", "stop", None)
    assert (told.tool_calls, told.tools, told.json) == (calls, tools, None)
    assert seen(chat(content=None)).text == ""
    assert seen(chat(refusal="no")).refusal == "no"


def test_only_the_first_choice_is_judged():
    two = {"choices": [{"message": {"content": "one"}}, {"message": {"content": "two"}}]}
    assert seen(two).text == "one"


def test_a_completion():
    answer = {"choices": [{"text": "once", "finish_reason": "length"}]}
    told = seen(answer, TEXT, prompt="x")
    assert (told.text, told.finish_reason) == ("once", "length")


def test_a_response():
    parts = [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    answer = {"status": "completed", "output": [{"type": "message", "content": parts}, call]}
    tools = [{"type": "function", "name": "f"}, {"type": "web_search"}]
    form = {"format": {"type": "json_schema", "schema": SCHEMA}}
    told = seen(answer, RESPONSES, tools=tools, text=form)
    assert (told.text, told.finish_reason, told.refusal) == ("a", "stop", "no")
    assert (told.tool_calls, told.tools) == ([{"function": call}], [{"function": tools[0]}])
    assert told.json == SCHEMA
    assert seen({**answer, "status": "incomplete"}, RESPONSES).finish_reason == "length"


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"type": "json_object"}, {}),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}}, SCHEMA),
        ({"type": "json_schema", "json_schema": {}}, {}),
        ({"type": "json_schema"}, {}),
        ({"type": "text"}, None),
        ("json", None),
        (None, None),
    ],
)
def test_whether_json_was_asked_for(form, asked):
    assert seen(chat(), response_format=form).json == asked


def test_log_probabilities_and_their_margins():
    top = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -2.0}]
    tokens = [
        {"logprob": -0.5, "top_logprobs": top},
        {"logprob": -1, "top_logprobs": top[:1]},
        {"token": "x"},
    ]
    answer = chat()
    answer["choices"][0]["logprobs"] = {"content": tokens}
    told = seen(answer)
    assert (told.logprobs, told.margins) == ([-0.5, -1], [1.5])


def test_those_of_a_refusal_count_too():
    answer = chat()
    answer["choices"][0]["logprobs"] = {"content": None, "refusal": [{"logprob": -2.0}]}
    assert seen(answer).logprobs == [-2.0]


def test_those_of_a_completion_stand_in_parallel_lists():
    lists = {
        "tokens": ["a", "b", "c"],
        "token_logprobs": [None, -0.5, -1.0],
        "top_logprobs": [None, {"b": -0.5, "x": -3.5}, {"c": -1.0}],
        "text_offset": [0, 1, 2],
    }
    told = seen({"choices": [{"text": "abc", "logprobs": lists}]}, TEXT)
    assert (told.logprobs, told.margins) == ([-0.5, -1.0], [3.0])


def test_those_of_a_response_stand_in_its_parts():
    token = {"token": "a", "logprob": -0.25, "top_logprobs": [{"logprob": -0.25}, {"logprob": -1.25}]}
    parts = [{"type": "output_text", "text": "a", "logprobs": [token]}, {"type": "output_text", "text": "b"}]
    told = seen({"status": "completed", "output": [{"type": "message", "content": parts}]}, RESPONSES)
    assert (told.logprobs, told.margins) == ([-0.25], [1.0])


@pytest.mark.parametrize("value", [None, "low", [], 10**400, -1e300, {"a": 1}])
def test_what_is_no_log_probability_is_left_out(value):
    answer = chat()
    answer["choices"][0]["logprobs"] = {
        "content": [{"logprob": value, "top_logprobs": [{"logprob": value}] * 2}]
    }
    assert (seen(answer).logprobs, seen(answer).margins) == ([], [])


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (CHOICE, Kind.CHOICE),
        ("How many apples are left?", Kind.NUMBER),
        ("Calculate the area", Kind.NUMBER),
        ("What is the total?", Kind.NUMBER),
        ("He ran 5 km in 20 minutes. What was his average speed?", Kind.NUMBER),
        ("Ann has 3 cars and 9 bikes. What percentage of them are cars?", Kind.NUMBER),
        ("It costs $3 a day, $5 on Sundays. What\u2019s the weekly cost?", Kind.NUMBER),
        ("Tom is 10, Ann is 3 years older. Find the age of Ann.", Kind.NUMBER),
        ("It is 3 by 4 feet. How high is the wall in inches?", Kind.NUMBER),
        ("What is their average speed?", None),
        ("What is the difference between Python 2 and Python 3?", None),
        ("I have kids of 3 and 5. What should I cook?", None),
        ("Find the bug in line 10 of these 20 lines.", None),
        ("How big was the impact of 1929 on the 1930s?", None),
        ("Write 300 words on what the 5 causes of war are.", None),
        ("What does error 404 mean compared with error 500?", None),
        ("Tell me a story", None),
        ("", None),
    ],
)
def test_what_a_prompt_expects(prompt, kind):
    assert expected(prompt) is kind
    assert seen(chat(), prompt=prompt).expected is kind


@pytest.mark.parametrize(
    "answer", [{}, {"choices": []}, {"choices": None}, {"choices": [1]}, {"choices": [{}]}]
)
def test_what_cannot_be_read_is_not_judged(answer):
    assert seen(answer) is None


@given(
    answer=some.dictionaries(some.sampled_from(["choices", "output", "status"]), ANY_JSON, max_size=3),
    body=ANY_JSON,
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES, TEXT])
def test_no_answer_breaks_the_gates(path, answer, body):
    told = seen(answer, path, tools=body, response_format=body, text=body)
    if told is not None:
        judge(told)
