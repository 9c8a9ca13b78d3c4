"""A client sees its provider's bytes: what nobody has to change passes as it came."""

import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway
from wire import Answer

Both = Callable[..., Awaitable[list[Answer]]]
ASKED = {"include_usage": True}
# CR streams come with a terminator of two CRs; every other spelling is passed byte for byte as well.
SHAPES = ["flaky-0-500", "crlf", "cr", "comments", "single-bytes", "drip", "huge-event-2", "held"]


@pytest.fixture
def chat_both(gateway: Gateway, both: Both, chat: dict[str, Any]) -> Callable[..., Awaitable[list[Answer]]]:
    async def ask(fault: str, **more: Any) -> list[Answer]:
        body = {**chat, "model": f"fault-{fault}", **more}
        return await both(gateway, "/v1/chat/completions", body)

    return ask


@pytest.mark.parametrize("fault", SHAPES)
async def test_a_stream_is_the_upstreams_bytes(chat_both: Both, fault: str):
    direct, through = await chat_both(fault, stream=True, stream_options=ASKED)
    assert through.body == direct.body
    assert len(direct.body) > 1000


@pytest.mark.parametrize("fault", SHAPES)
async def test_without_usage_asked_for_only_the_usage_is_missing(chat_both: Both, fault: str):
    asked, _ = await chat_both(fault, stream=True, stream_options=ASKED)
    direct, through = await chat_both(fault, stream=True)
    assert b'"usage"' in asked.body
    assert b'"usage"' not in direct.body
    assert _spoken(through.body) == _spoken(direct.body)


def _spoken(body: bytes) -> bytes:
    """Leave out the comment that stood before the hidden chunk."""
    return body.replace(b": ping\n\n", b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_compressed_answer_is_unpacked_and_else_the_same(chat_both: Both, coding: str, stream: bool):
    options = {"stream_options": ASKED} if stream else {}
    direct, through = await chat_both(coding, stream=stream, **options)
    unpacked = gzip.decompress(direct.body) if coding == "gzip" else zlib.decompress(direct.body)
    assert direct.headers["content-encoding"] == coding
    assert through.body == unpacked
    assert "content-encoding" not in through.headers


async def test_a_plain_answer_is_the_upstreams_bytes(chat_both: Both):
    direct, through = await chat_both("flaky-0-500")
    assert through.body == direct.body


async def test_an_answer_behind_megabytes_of_blanks_is_the_upstreams_bytes(chat_both: Both):
    direct, through = await chat_both("huge-3")
    assert through.body == direct.body
    assert len(direct.body) > 3_000_000


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/responses", {"input": "hello bytes"}),
        ("/v1/responses", {"input": "hello bytes", "stream": True}),
        ("/v1/completions", {"prompt": "hello bytes"}),
        ("/v1/completions", {"prompt": "hello bytes", "stream": True}),
        ("/v1/completions", {"prompt": "hello bytes", "stream": True, "stream_options": ASKED}),
        ("/v1/embeddings", {"input": ["hello", "bytes"]}),
    ],
)
async def test_other_endpoints_are_the_upstreams_bytes(
    gateway: Gateway, both: Both, words: str, path: str, more: dict[str, Any]
):
    direct, through = await both(gateway, path, {"model": words, **more})
    assert direct.status == 200
    assert through.body == direct.body


@pytest.mark.parametrize("more", [{"n": 3}, {"logprobs": True, "top_logprobs": 2}, {"max_tokens": 2}])
async def test_streams_of_other_kinds_are_the_upstreams_bytes(chat_both: Both, more: dict[str, Any]):
    direct, through = await chat_both("flaky-0-500", stream=True, stream_options=ASKED, **more)
    assert through.body == direct.body


async def test_a_stream_of_tool_calls_is_the_upstreams_bytes(chat_both: Both, words: str):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    direct, through = await chat_both("flaky-0-500", stream=True, tools=tools, tool_choice="required")
    assert b'"tool_calls"' in direct.body
    assert through.body == direct.body


async def test_the_upstream_gets_what_the_client_asked(
    gateway: Gateway, ask: Callable[..., Awaitable[Answer]], sample: Any, chat: dict[str, Any]
):
    odd = {
        **chat,
        "seed": 2**63,
        "top_p": 0.1,
        "x-new": {"b": [1.0, None, "é\u2028"], "a": 1},
        "stream": False,
    }
    await ask(gateway.port, "/v1/chat/completions?api-version=1&x=%20", odd)
    (seen,) = sample.requests
    assert seen.json == odd
    assert list(seen.json) == list(odd)
    assert seen.query == "api-version=1&x=%20"
