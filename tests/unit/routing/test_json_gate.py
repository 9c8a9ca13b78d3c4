from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.json_gate import conforms, json_problem, tool_problem

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "type"),
    [({}, "object"), ([], "array"), ("a", "string"), (True, "boolean"), (None, "null"), (1, "integer"),
     (1.0, "integer"), (1.5, "number"), (1, "number"), ("a", ["null", "string"]), (3, "unheard of")],
)  # fmt: skip
def test_a_value_of_the_type_fits(value: Any, type: Any):
    assert conforms(value, {"type": type})


@pytest.mark.parametrize(
    ("value", "type"),
    [(True, "integer"), (True, "number"), (1.5, "integer"), ("1", "number"), (None, ["string"])],
)
def test_a_value_of_another_type_does_not(value: Any, type: Any):
    assert not conforms(value, {"type": type})


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"enum": ["a", "b"]}, "a", "c"),
        ({"const": 3}, 3, 4),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "x", 1),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 2}, {"a": 1}),
        ({"items": {"type": "integer"}}, [1, 2], [1, "2"]),
        ({"properties": {"a": {"type": "string"}}}, {"a": "x"}, {"a": 1}),
        ({"required": ["a"]}, {"a": None}, {}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "integer"}}, {"b": 1}, {"b": "1"}),
    ],
)
def test_each_keyword_is_looked_at(schema: dict[str, Any], good: Any, bad: Any):
    assert conforms(good, schema)
    assert not conforms(bad, schema)


def test_references_are_followed_and_may_be_recursive():
    tree = {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
    }
    assert conforms({"next": {"next": None}}, tree)
    assert not conforms({"next": {"next": 3}}, tree)


def test_a_reference_to_itself_ends():
    assert conforms(1, {"$ref": "#"})


def test_a_reference_to_nowhere_allows_everything():
    assert conforms(1, {"$ref": "#/$defs/gone"})


@given(JSON)
def test_an_empty_schema_allows_everything(value: Any):
    assert conforms(value, {})


@given(st.text())
def test_any_text_is_judged(text: str):
    assert json_problem(text, {"type": "object"}) in (None, "not_json", "schema")


@pytest.mark.parametrize("call", [{}, {"function": None}, {"function": {"name": "x"}}])
def test_a_broken_call_is_of_an_unknown_tool(call: dict[str, Any]):
    assert tool_problem(call, []) == "unknown_tool"


def test_a_tool_without_parameters_takes_any_object():
    tools = [{"type": "function", "function": {"name": "now"}}]
    assert tool_problem({"function": {"name": "now", "arguments": "{}"}}, tools) is None
    assert tool_problem({"function": {"name": "now", "arguments": "[]"}}, tools) == "arguments_schema"
