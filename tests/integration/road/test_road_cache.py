"""The exact cache: one entry serves every form of an answer, to whom it belongs and as long as it may."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway
from wire import Answer, Ask

from penstock.openai.sse import DONE
from penstock.sample import Running

PATH = "/v1/chat/completions"
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
ENDPOINTS = ["/v1/chat/completions", "/v1/responses", "/v1/completions"]


def _asking(path: str, words: str) -> dict[str, Any]:
    message = {"messages": [{"role": "user", "content": words}]}
    return {
        "model": "gpt-4o",
        **{PATH: message, "/v1/responses": {"input": words}}.get(path, {"prompt": words}),
    }


def _cache(answer: Answer) -> str:
    return answer.headers.get("x-dac-cache", "")


def _said(answer: Answer) -> str:
    """Give what an answer of any endpoint says, plain or streamed."""
    told = [event.json for event in answer.events if isinstance(event.json, dict)]
    if answer.headers["content-type"] == "application/json":
        (choice,) = answer.json.get("choices") or answer.json["output"]
        message = choice.get("message", choice)
        return message.get("text") or "".join(
            part if isinstance(part, str) else part["text"] for part in message["content"]
        )
    deltas = [part["delta"] for part in told if part.get("type") == "response.output_text.delta"]
    choices = [choice for part in told for choice in part.get("choices", ())]
    deltas += [choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices]
    return "".join(deltas)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_repeat_is_a_hit_with_the_same_bytes(
    gateway: Gateway, sample: Running, ask: Ask, words: str, path: str, stream: bool
):
    body = {**_asking(path, words), "stream": stream}
    first, second = [await ask(gateway.port, path, body) for _ in range(2)]
    assert (_cache(first), _cache(second)) == ("miss", "hit")
    assert second.body == first.body
    assert int(second.headers["age"]) >= 0
    assert "age" not in first.headers
    assert sample.calls == 1


@pytest.mark.parametrize("first_streams", [False, True], ids=["plain first", "stream first"])
@pytest.mark.parametrize("path", ENDPOINTS)
async def test_one_entry_serves_both_forms(
    gateway: Gateway, sample: Running, ask: Ask, words: str, path: str, first_streams: bool
):
    body = _asking(path, words)
    first = await ask(gateway.port, path, {**body, "stream": first_streams})
    other = await ask(gateway.port, path, {**body, "stream": not first_streams})
    assert (_cache(first), _cache(other)) == ("miss", "hit")
    assert _said(first) == _said(other) == f"You said: {words}"
    streamed, plain = (first, other) if first_streams else (other, first)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert plain.headers["content-type"] == "application/json"
    assert plain.headers["content-length"] == str(len(plain.body))
    assert plain.json["model"] == "gpt-4o"
    assert plain.json["usage"]["total_tokens"] > 0
    last = streamed.events[-1]
    assert last.data == DONE or last.json["type"] == "response.completed"
    assert sample.calls == 1


@pytest.mark.parametrize("first", [{}, {"stream": True}, USAGE], ids=["plain", "stream", "with usage"])
async def test_usage_is_told_on_a_hit_where_it_is_asked_for_and_only_there(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any], first: dict[str, Any]
):
    await ask(gateway.port, PATH, {**chat, **first})
    silent = await ask(gateway.port, PATH, {**chat, "stream": True})
    asked = await ask(gateway.port, PATH, {**chat, **USAGE})
    assert _cache(silent) == _cache(asked) == "hit"
    assert not any(event.json.get("usage") for event in silent.events if event.data != DONE)
    chunk = asked.events[-2].json
    assert chunk["choices"] == []
    assert chunk["usage"]["completion_tokens"] == 2 + len(chat["messages"][0]["content"].split())
    assert silent.finished
    assert asked.finished
    assert sample.calls == 1


async def test_the_order_of_fields_and_what_changes_nothing_do_not_matter(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    await ask(gateway.port, PATH, {**chat, "seed": 1, "user": "a"})
    turned = dict(reversed({**chat, "seed": 1, "metadata": {"a": "b"}}.items()))
    assert _cache(await ask(gateway.port, PATH, turned)) == "hit"
    for more in ({"seed": 2}, {"seed": 1, "new": True}, {"seed": 1, "temperature": 1}, {"seed": 1.0}):
        assert _cache(await ask(gateway.port, PATH, {**chat, **more})) == "miss"
    assert _cache(await ask(gateway.port, PATH + "?x=1", turned)) == "miss"
    assert sample.calls == 6


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_tool_calls_are_kept_only_where_the_policy_says_so(
    gateway: Gateway, keeping: Gateway, sample: Running, ask: Ask, chat: dict[str, Any], stream: bool
):
    body = {**chat, "tools": TOOLS, "tool_choice": "required"}
    for keeper, expected in ((gateway, ["miss", "miss"]), (keeping, ["miss", "hit"])):
        told = [await ask(keeper.port, PATH, {**body, "stream": stream}) for _ in range(2)]
        assert [_cache(answer) for answer in told] == expected
    other = await ask(keeping.port, PATH, {**body, "stream": not stream})
    assert _cache(other) == "hit"
    plain = (other if stream else told[0]).json["choices"][0]
    assert plain["finish_reason"] == "tool_calls"
    assert plain["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert sample.calls == 3


async def test_no_store_reads_but_keeps_nothing(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    no_store = {"X-DAC-Cache": "no-store"}
    told = [await ask(gateway.port, PATH, chat, headers=no_store) for _ in range(2)]
    assert [_cache(answer) for answer in told] == ["miss", "miss"]
    kept = await ask(gateway.port, PATH, chat)
    assert _cache(kept) == "miss"
    assert _cache(await ask(gateway.port, PATH, chat, headers=no_store)) == "hit"
    assert sample.calls == 3


async def test_refresh_asks_anew_and_keeps_the_new_answer(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    first = await ask(gateway.port, PATH, chat)
    fresh = await ask(gateway.port, PATH, chat, headers={"X-DAC-Cache": "refresh"})
    again = await ask(gateway.port, PATH, chat)
    assert [_cache(answer) for answer in (first, fresh, again)] == ["miss", "miss", "hit"]
    assert first.json["id"] != fresh.json["id"] == again.json["id"]
    assert sample.calls == 2


async def test_bypass_neither_reads_nor_keeps(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    bypass = {"x-dac-cache": " ByPass "}
    told = [await ask(gateway.port, PATH, chat, headers=more) for more in (bypass, {}, bypass, {})]
    assert [_cache(answer) for answer in told] == ["bypass", "miss", "bypass", "hit"]
    assert sample.calls == 3


@pytest.mark.parametrize("path", [*ENDPOINTS, "/v1/models"])
async def test_a_wrong_word_is_refused_with_the_right_ones(
    gateway: Gateway, sample: Running, ask: Ask, words: str, path: str
):
    body = None if path == "/v1/models" else _asking(path, words)
    told = await ask(gateway.port, path, body, headers={"X-DAC-Cache": "no-cache"})
    assert told.status == 400
    assert told.json["error"]["code"] == "invalid_cache"
    assert all(word in told.json["error"]["message"] for word in ("no-store", "refresh", "bypass"))
    assert sample.calls == 0


@pytest.mark.parametrize(
    ("more", "shipped", "wider"),
    [
        ({"temperature": 0}, "hit", "hit"),
        ({"temperature": 1.0}, "hit", "hit"),
        ({"temperature": 1.2}, "bypass", "hit"),
        ({"temperature": 1.6}, "bypass", "bypass"),
        ({"n": 2}, "bypass", "hit"),
    ],
)
async def test_wild_answers_and_several_choices_follow_the_policy(
    gateway: Gateway,
    keeping: Gateway,
    sample: Running,
    ask: Ask,
    chat: dict[str, Any],
    more: dict[str, Any],
    shipped: str,
    wider: str,
):
    for keeper, expected in ((gateway, shipped), (keeping, wider)):
        told = [await ask(keeper.port, PATH, {**chat, **more}) for _ in range(2)]
        assert _cache(told[1]) == expected
        assert (told[0].json["id"] == told[1].json["id"]) is (expected == "hit")


async def test_several_choices_are_replayed_as_a_stream(
    keeping: Gateway, sample: Running, ask: Ask, chat: dict[str, Any], words: str
):
    await ask(keeping.port, PATH, {**chat, "n": 2})
    told = await ask(keeping.port, PATH, {**chat, "n": 2, "stream": True})
    assert _cache(told) == "hit"
    said = {0: "", 1: ""}
    for choice in (c for event in told.events if event.data != DONE for c in event.json["choices"]):
        said[choice["index"]] += choice["delta"].get("content") or ""
    assert said == {0: f"You said: {words}", 1: f"You said (2): {words}"}


async def test_an_entry_grows_old_and_then_it_is_gone(
    keeping: Gateway, sample: Running, ask: Ask, words: str, until: Callable[..., Awaitable[None]]
):
    """This gateway keeps completions for one second."""
    body = _asking("/v1/completions", words)
    first = await ask(keeping.port, "/v1/completions", body)
    await asyncio.sleep(1.1)
    second = await ask(keeping.port, "/v1/completions", body)
    assert [_cache(answer) for answer in (first, second)] == ["miss", "miss"]
    chat = _asking(PATH, words)
    await ask(keeping.port, PATH, chat)
    await asyncio.sleep(1.1)
    kept = await ask(keeping.port, PATH, chat)
    assert _cache(kept) == "hit"
    assert int(kept.headers["age"]) >= 1


async def test_clients_with_other_keys_do_not_share(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    async def by(**headers: str) -> Answer:
        return await ask(gateway.port, PATH, chat, headers=headers)

    mine = await by(authorization="Bearer sk-mine")
    others = await by(authorization="Bearer sk-theirs")
    nobodys = await by()
    again = await by(authorization="Bearer sk-mine")
    assert [_cache(answer) for answer in (mine, others, nobodys, again)] == ["miss", "miss", "miss", "hit"]
    assert again.body == mine.body != others.body
    assert sample.calls == 3


async def test_embeddings(gateway: Gateway, sample: Running, ask: Ask, words: str):
    body = {"model": "e", "input": [words, "b"], "dimensions": 4}
    told = [await ask(gateway.port, "/v1/embeddings", body) for _ in range(2)]
    coded = await ask(gateway.port, "/v1/embeddings", {**body, "encoding_format": "base64"})
    assert [_cache(answer) for answer in (*told, coded)] == ["miss", "hit", "miss"]
    assert told[0].body == told[1].body
    assert len(told[1].json["data"]) == 2
    assert sample.calls == 2


async def test_what_stays_with_the_upstream_is_not_cached(
    gateway: Gateway, sample: Running, ask: Ask, words: str
):
    told = [await ask(gateway.port, "/v1/models") for _ in range(2)]
    assert [_cache(answer) for answer in told] == ["", ""]
    body = {**_asking("/v1/responses", words), "conversation": "conv_1"}
    told = [await ask(gateway.port, "/v1/responses", body) for _ in range(2)]
    assert [_cache(answer) for answer in told] == ["bypass", "bypass"]
    assert sample.calls == 4


async def test_an_ephemeral_request_neither_reads_nor_keeps(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    ephemeral = {"X-DAC-Store": "None"}
    told = [await ask(gateway.port, PATH, chat, headers=more) for more in (ephemeral, {}, ephemeral, {})]
    assert [_cache(answer) for answer in told] == ["bypass", "miss", "bypass", "hit"]
    assert [answer.headers.get("x-dac-store") for answer in told] == ["none", None, "none", None]
    assert [seen.json.get("store") for seen in sample.requests] == [False, None, False]
    assert not [name for seen in sample.requests for name in seen.headers if name.startswith("x-dac")]
