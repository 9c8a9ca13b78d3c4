import msgspec
import pytest

from penstock.sample.answers.tools import called
from penstock.sample.answers.words import hear

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "share": {"type": "number"},
                "exact": {"type": "boolean"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "tags": {"type": "array"},
                "more": {"type": "object"},
            },
        },
    },
}
CLOCK = {"type": "function", "name": "clock", "parameters": {"properties": {"zone": {"type": "string"}}}}
ASK = "Please call a tool in Zürich"


def test_the_phrase_calls_the_first_tool_with_arguments_that_fit_its_schema():
    call = called({"tools": [WEATHER, CLOCK]}, hear(ASK))
    assert call is not None
    assert call.name == "weather"
    assert msgspec.json.decode(call.arguments) == {
        "city": ASK,
        "days": 1,
        "share": 1.5,
        "exact": True,
        "unit": "celsius",
        "tags": [],
        "more": {},
    }


def test_the_deltas_are_several_and_join_to_the_arguments():
    call = called({"tools": [CLOCK]}, hear(ASK))
    assert call is not None
    assert len(call.deltas) > 3
    assert "".join(call.deltas) == call.arguments


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "clock"}},
        {"type": "function", "name": "clock"},
    ],
)
def test_a_named_tool_is_called_whatever_the_text(choice: dict):
    call = called({"tools": [WEATHER, CLOCK], "tool_choice": choice}, hear("hello"))
    assert call is not None
    assert call.name == "clock"


def test_required_calls_a_tool_whatever_the_text():
    assert called({"tools": [CLOCK], "tool_choice": "required"}, hear("hello")) is not None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"tools": [CLOCK]}, "hello"),
        ({"tools": [CLOCK], "tool_choice": "none"}, ASK),
        ({"tools": []}, ASK),
        ({}, ASK),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, ASK),
    ],
)
def test_otherwise_none_is_called(body: dict, text: str):
    assert called(body, hear(text)) is None


def test_a_tools_result_is_answered_in_words():
    items = [{"role": "user", "content": ASK}, {"role": "tool", "content": "noon"}]
    assert called({"tools": [CLOCK], "tool_choice": "required"}, hear(items)) is None


def test_a_tool_without_parameters_gets_the_text():
    call = called({"tools": [{"type": "function", "function": {"name": "free"}}]}, hear(ASK))
    assert call is not None
    assert msgspec.json.decode(call.arguments) == {"text": ASK}
