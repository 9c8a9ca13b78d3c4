import pytest

from penstock.errors import Refusal
from penstock.sample.answers import DIALECTS, check

GOOD = {
    "/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "/responses": {"model": "m", "input": "hi"},
    "/completions": {"model": "m", "prompt": "hi"},
    "/embeddings": {"model": "m", "input": ["hi"]},
    "/messages": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
}


@pytest.mark.parametrize("path", DIALECTS)
def test_a_good_body_passes_and_is_answered(path: str):
    dialect = DIALECTS[path]
    assert check(dialect, GOOD[path]) is GOOD[path]
    assert dialect.answer(GOOD[path], 1, 1)["model"] == "m"
    if dialect.events is not None:
        assert dialect.events(GOOD[path], 1, 1)[-1].final


@pytest.mark.parametrize("path", DIALECTS)
def test_the_model_and_the_one_needed_field_are_required(path: str):
    for missing in GOOD[path]:
        body = {name: value for name, value in GOOD[path].items() if name != missing}
        with pytest.raises(Refusal) as refused:
            check(DIALECTS[path], body)
        assert (refused.value.status, refused.value.param) == (400, missing)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"n": "two"}, "n"),
        ({"n": -1}, "n"),
        ({"n": 129}, "n"),
        ({"tools": {}}, "tools"),
        ({"tools": ["weather"]}, "tools"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tool_choice": 1}, "tool_choice"),
    ],
)
def test_a_field_of_another_type_is_named(fields: dict, param: str):
    with pytest.raises(Refusal) as refused:
        check(DIALECTS["/chat/completions"], {**GOOD["/chat/completions"], **fields})
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(Refusal) as refused:
        check(DIALECTS["/responses"], body)
    assert refused.value.code == "invalid_json"


def test_null_is_as_good_as_left_out():
    body = {
        **GOOD["/chat/completions"],
        "tools": None,
        "n": None,
        "stream_options": None,
        "tool_choice": None,
    }
    told = DIALECTS["/chat/completions"].answer(check(DIALECTS["/chat/completions"], body), 1, 1)
    assert told["choices"][0]["finish_reason"] == "stop"
