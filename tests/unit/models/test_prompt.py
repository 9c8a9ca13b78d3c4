"""Prompts: the bound from bytes is never below the tokenizer's count, and counts are close to it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_house import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, model, request, user

from penstock.models.prompt import extra_output_bound, prompt_bound, prompt_count, prompts, unseen
from penstock.models.tokenizer import count_tokens
from penstock.openai.request import Endpoint

MODEL = model(tokenizer="o200k_base", image_tokens=1_000)
TEXT = "The penstock is the gate that controls a flow of water, so that the mill turns. "
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}}

# Surrogates too, and what JSON writes longer or shorter than it is.
texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(codec=None), max_size=50),
    st.sampled_from(
        ["<|im_end|>", "<|endoftext|>" * 9, '"\\\n\x00"', "中" * 40, "👩‍👩‍👧", "a" * 500, "\u2028"]
    ),
)
parts = st.lists(st.builds(lambda text: {"type": "text", "text": text}, texts), max_size=3)
calls = st.builds(
    lambda name, arguments: {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}],
    },
    texts,
    texts,
)
messages = st.lists(
    st.one_of(
        calls,
        st.builds(
            lambda role, content: {"role": role, "content": content},
            st.sampled_from(["system", "user", "assistant", "tool"]),
            st.one_of(texts, parts),
        ),
    ),
    min_size=1,
    max_size=6,
)


def chat_tokens(conversation: list[dict[str, Any]]) -> int:
    """Count as OpenAI's cookbook does: 3 for each message, 1 for a name, 3 for the answer's start."""
    said: list[str] = []
    for message in conversation:
        content = message["content"]
        said += [message["role"]]
        said += [content] if isinstance(content, str) else [part["text"] for part in content or ()]
        for call in message.get("tool_calls", ()):
            said += [call["function"]["name"], call["function"]["arguments"]]
    count = count_tokens(said, "o200k_base")
    assert count is not None
    return count + 3 * len(conversation) + 3


@given(messages)
def test_neither_bound_is_ever_below_what_a_conversation_has(conversation: list[dict[str, Any]]) -> None:
    asked = request(messages=conversation)
    exact, counted = chat_tokens(conversation), prompt_count(asked, MODEL)
    assert counted is not None
    assert exact <= counted
    assert exact <= prompt_bound(asked, MODEL)


@given(
    st.lists(texts, min_size=1, max_size=5),
    st.sampled_from([COMPLETIONS, EMBEDDINGS, RESPONSES]),
    st.booleans(),
)
def test_neither_bound_is_ever_below_what_other_prompts_have(
    said: list[str], path: str, several: bool
) -> None:
    if path == RESPONSES:
        asked = request(path, input=[user(text) for text in said], instructions=said[0])
    else:
        field = "prompt" if path == COMPLETIONS else "input"
        asked = request(path, **{field: said if several else said[0]})
    heard = said if several or path == RESPONSES else said[:1]
    exact, counted = count_tokens(heard, "o200k_base"), prompt_count(asked, MODEL)
    assert exact is not None
    assert counted is not None
    assert exact <= counted
    assert exact <= prompt_bound(asked, MODEL)


def test_a_count_is_close_where_a_bound_is_wide() -> None:
    asked = request(messages=[user(TEXT * 100)])
    exact = chat_tokens([user(TEXT * 100)])
    counted = prompt_count(asked, MODEL)
    assert counted is not None
    assert exact <= counted <= exact + 150
    assert 4 * exact <= prompt_bound(asked, MODEL) <= len(asked.raw) + 150


def test_each_of_many_short_messages_has_its_marks() -> None:
    conversation = [user("hi") for _ in range(500)]
    asked = request(messages=conversation)
    counted = prompt_count(asked, MODEL)
    assert counted is not None
    assert chat_tokens(conversation) <= counted <= prompt_bound(asked, MODEL)


def test_many_answers_have_one_prompt() -> None:
    for path, body in ((CHAT, {"messages": [user(TEXT)]}), (COMPLETIONS, {"prompt": TEXT})):
        once = request(path, **body, n=1, best_of=1)
        many = request(path, **body, n=9, best_of=9)
        assert prompt_bound(once, MODEL) == prompt_bound(many, MODEL)
        assert prompt_count(once, MODEL) == prompt_count(many, MODEL)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [user([IMAGE, {"type": "text", "text": TEXT}])]}),
        (RESPONSES, {"input": [user([{"type": "input_image", "image_url": IMAGE["image_url"]["url"]}])]}),  # type: ignore[index]
        (RESPONSES, {"input": [user([{"type": "input_image", "file_id": "file-1"}])]}),
        (
            RESPONSES,
            {
                "input": [
                    {
                        "type": "computer_call_output",
                        "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,AAAA"},
                    }
                ]
            },
        ),
    ],
)
def test_an_image_counts_as_the_policy_says_whatever_its_size(path: str, body: dict[str, Any]) -> None:
    asked = request(path, **body)
    for bound in (prompt_bound, prompt_count):
        small = bound(asked, model(tokenizer="o200k_base", image_tokens=1_000))
        large = bound(asked, model(tokenizer="o200k_base", image_tokens=9_000))
        assert small is not None
        assert large is not None
        assert large - small == 8_000
        assert 1_000 <= small <= 1_700


def test_what_only_looks_like_an_image_counts_by_its_bytes() -> None:
    for url in ("https://h/" + "a" * 9_000, "data:text/plain," + "a" * 9_000):
        asked = request(messages=[user([{"type": "image_url", "image_url": {"url": url}}])])
        assert prompt_bound(asked, MODEL) >= 10_000
    told = json.dumps([IMAGE])  # an image's JSON within a text is a text
    assert prompt_bound(request(messages=[user(told)]), MODEL) >= len(told)


def test_lists_of_tokens_count_what_they_list() -> None:
    for path, field in ((COMPLETIONS, "prompt"), (EMBEDDINGS, "input")):
        one, two = request(path, **{field: [7] * 50}), request(path, **{field: [[7] * 50, [8] * 70]})
        assert (prompt_bound(one, MODEL), prompt_bound(two, MODEL)) == (52, 124)
        assert (prompt_count(one, MODEL), prompt_count(two, MODEL)) == (52, 124)


@pytest.mark.parametrize("prompt", [[7, "a" * 900], [[7, "a" * 900]], ["a" * 900, [7]], [True, "a" * 900]])
def test_a_text_among_tokens_is_no_token(prompt: list[Any]) -> None:
    assert prompt_bound(request(COMPLETIONS, prompt=prompt), MODEL) >= 900
    assert prompt_bound(request(COMPLETIONS, prompt=[7], suffix="a" * 900), MODEL) >= 900


def test_prompts_are_told_apart() -> None:
    assert prompts(Endpoint.COMPLETIONS, {"prompt": "a"}) == ["a"]
    assert prompts(Endpoint.EMBEDDINGS, {"input": ["a", [1, 2], None, []]}) == ["a", [1, 2], None, None]
    assert prompts(Endpoint.EMBEDDINGS, {"input": [1, 2]}) == [[1, 2]]
    assert prompts(Endpoint.COMPLETIONS, {}) == [None]
    assert prompts(Endpoint.CHAT, {"messages": []}) == []


def test_tools_and_schemas_count_twice_and_a_little_more() -> None:
    schema = {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(40)}}
    tool = {"type": "function", "function": {"name": "f", "description": TEXT, "parameters": schema}}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    plain = request(messages=[user("hi")])
    for path, more in (
        (CHAT, {"tools": [tool]}),
        (CHAT, {"response_format": form}),
        (CHAT, {"functions": [tool]}),
    ):
        asked = request(path, messages=[user("hi")], **more)
        size = len(json.dumps(next(iter(more.values())), separators=(",", ":")))
        assert prompt_bound(asked, MODEL) >= prompt_bound(plain, MODEL) + 2 * size
        counted, bare = prompt_count(asked, MODEL), prompt_count(plain, MODEL)
        written = count_tokens((json.dumps(more, indent=1),), "o200k_base")
        assert None not in (counted, bare, written)
        assert (bare or 0) + (written or 0) // 2 <= (counted or 0) < prompt_bound(asked, MODEL)


def test_arguments_that_a_template_writes_anew_have_room_for_their_spaces() -> None:
    arguments = "[" + "1," * 500 + "1]"
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
    anew = count_tokens((json.dumps(json.loads(arguments)),), "o200k_base")
    assert anew is not None
    assert anew <= prompt_bound(request(messages=[call]), MODEL)


PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}
UNSEEN = [
    (RESPONSES, {"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
    (RESPONSES, {"input": "hi", "conversation": {"id": "conv_1"}}, "conversation"),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}}, "prompt"),
    (RESPONSES, {"input": "hi", "tools": [{"type": "web_search"}]}, "tools"),
    (RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}]}, "item_reference"),
    (RESPONSES, {"input": [user("hi"), {"id": "msg_1"}]}, "item_reference"),
    (RESPONSES, {"input": [user([{"type": "input_file", "file_id": "file-1"}])]}, "file_id"),
    (RESPONSES, {"input": [user([{"type": "input_file", "file_url": "https://h/a.pdf"}])]}, "file_url"),
    (CHAT, {"messages": [user([PDF])]}, "file_data"),
    (CHAT, {"messages": [user([{"type": "file", "file": {"file_id": "file-1"}}])]}, "file_id"),
    (CHAT, {"messages": [user([{"type": "video_url", "video_url": {"url": "https://h/a"}}])]}, "video_url"),
    (CHAT, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "audio"),
    (CHAT, {"messages": [user("hi")], "web_search_options": {}}, "web_search_options"),
]


@pytest.mark.parametrize(("path", "body", "what"), UNSEEN, ids=[what for _, _, what in UNSEEN])
def test_what_a_request_only_points_to_is_as_large_as_the_context(
    path: str, body: dict[str, Any], what: str
) -> None:
    asked = request(path, **body)
    assert unseen(asked) == what
    assert prompt_bound(asked, MODEL) == MODEL.context_tokens
    assert prompt_count(asked, MODEL) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [user(TEXT)], "tools": [{"type": "function", "function": {"name": "f"}}]}),
        (CHAT, {"messages": [user('"file_id" "video_url" item_reference')]}),
        (CHAT, {"messages": [user([{"type": "text", "text": "hi", "file_id": None}])]}),
        (
            CHAT,
            {"messages": [user([{"type": "file", "file": {"file_data": "data:text/plain;base64,AAAA"}}])]},
        ),
        (
            CHAT,
            {
                "messages": [user("hi")],
                "tools": [{"function": {"parameters": {"properties": {"file_id": {"type": "string"}}}}}],
            },
        ),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}),
        (RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}),
        (COMPLETIONS, {"prompt": "hi"}),
    ],
)
def test_what_is_all_there_is_seen(path: str, body: dict[str, Any]) -> None:
    assert unseen(request(path, **body)) is None
    assert prompt_bound(request(path, **body), MODEL) < 3_000


def test_no_prompt_is_larger_than_what_its_models_context_holds() -> None:
    small = model(tokenizer="o200k_base", context_tokens=500)
    assert prompt_bound(request(messages=[user(TEXT * 99)]), small) == 500
    assert prompt_count(request(messages=[user(TEXT * 99)]), small) == 500
    assert prompt_bound(request(EMBEDDINGS, input=[TEXT * 99, TEXT * 99]), small) == 1_000


def test_without_a_tokenizer_there_is_a_bound_and_no_count() -> None:
    asked = request(messages=[user(TEXT)])
    assert prompt_count(asked, model()) is None
    assert len(TEXT) < prompt_bound(asked, model()) < len(TEXT) + 300


def test_a_prediction_may_be_charged_beside_the_limit() -> None:
    assert extra_output_bound(request(messages=[user(TEXT)])) == 0
    predicted = request(messages=[user(TEXT)], prediction={"type": "content", "content": TEXT * 9})
    assert extra_output_bound(predicted) >= len(TEXT * 9)


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "image_url", "url", "file_id", "file_data", "content", "role", "audio"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)
fields = st.sampled_from(
    [
        "messages",
        "input",
        "prompt",
        "tools",
        "text",
        "suffix",
        "instructions",
        "prediction",
        "response_format",
    ]
)


@given(st.sampled_from([CHAT, RESPONSES, COMPLETIONS, EMBEDDINGS]), st.dictionaries(fields, anything))
def test_junk_has_a_bound_too(path: str, body: dict[str, Any]) -> None:
    asked = request(path, **body)
    assert 0 <= prompt_bound(asked, MODEL) <= MODEL.context_tokens * 3
    assert (prompt_count(asked, MODEL) is None) is (unseen(asked) is not None)
    assert extra_output_bound(asked) >= 0
