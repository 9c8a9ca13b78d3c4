"""How answers end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai.ending import Ending, ending
from penstock.openai.request import Endpoint


def chat(*choices: tuple[object, dict]) -> dict:
    return {
        "choices": [
            {"index": at, "finish_reason": reason, "message": message}
            for at, (reason, message) in enumerate(choices)
        ]
    }


HI = {"role": "assistant", "content": "hi"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function"}]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (chat(("stop", HI)), Ending(complete=True, empty=False)),
        (chat(("length", HI)), Ending(complete=True, truncated=True, empty=False)),
        (chat(("content_filter", {"content": ""})), Ending(complete=True, truncated=True)),
        (chat(("tool_calls", CALL)), Ending(complete=True, tool_calls=True, empty=False)),
        (chat(("stop", CALL)), Ending(complete=True, tool_calls=True, empty=False)),
        (chat(("stop", {"refusal": "No."})), Ending(complete=True, refused=True, empty=False)),
        (chat(("stop", {"content": ""})), Ending(complete=True)),
        (chat(("stop", HI), ("stop", {"content": None})), Ending(complete=True)),
        (chat(("stop", HI), (None, HI)), Ending(empty=False)),
        (chat(("", HI)), Ending(empty=False)),
        (chat((7, HI)), Ending(empty=False)),
        (chat(("error", HI)), Ending(empty=False)),
        (chat(("abort", HI)), Ending(empty=False)),
        (chat(("stop", {"reasoning_content": "hm"})), Ending(complete=True)),
        (chat(), Ending()),
        ({"choices": None}, Ending()),
        ({"choices": [None, 3]}, Ending()),
        ({"error": {"message": "no"}}, Ending()),
    ],
)
def test_chat(answer, expected):
    assert ending(Endpoint.CHAT, answer) == expected


def test_completions():
    answer = {"choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}]}
    assert ending(Endpoint.COMPLETIONS, answer) == Ending(complete=True, empty=False)


def response(status: str, *items: dict) -> dict:
    return {"object": "response", "status": status, "output": list(items)}


SAID = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (response("completed", SAID), Ending(complete=True, empty=False)),
        (response("incomplete", SAID), Ending(truncated=True, empty=False)),
        (response("failed"), Ending()),
        (response("in_progress", SAID), Ending(empty=False)),
        (response("queued"), Ending()),
        (response("cancelled", SAID), Ending(empty=False)),
        (response("completed", {"type": "reasoning"}), Ending(complete=True)),
        (
            response("completed", {"type": "function_call"}),
            Ending(complete=True, tool_calls=True, empty=False),
        ),
        (response("completed", {"type": "web_search_call"}, SAID), Ending(True, False, True, False, False)),
        (
            response("completed", {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}),
            Ending(complete=True, refused=True, empty=False),
        ),
        (response("completed", {"type": "message", "content": None}), Ending(complete=True)),
        ({"status": 3, "output": [None]}, Ending()),
    ],
)
def test_responses(answer, expected):
    assert ending(Endpoint.RESPONSES, answer) == expected


@pytest.mark.parametrize("data", [None, [], "x"])
def test_embeddings_without_data(data):
    assert ending(Endpoint.EMBEDDINGS, {"data": data}) == Ending()


def test_embeddings():
    assert ending(Endpoint.EMBEDDINGS, {"data": [{"embedding": [0.1]}]}) == Ending(complete=True, empty=False)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["stop", "", "message", "x_call"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "index",
                    "finish_reason",
                    "message",
                    "content",
                    "text",
                    "output",
                    "type",
                    "status",
                    "data",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(junk, st.sampled_from(Endpoint))
def test_no_junk_breaks_it(answer, endpoint):
    assert isinstance(ending(endpoint, answer), Ending)
