"""redaction: what goes up holds no value, and what comes back holds the client's own."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from redaction_stage_house import (
    ALL,
    MAIL,
    OTHERS,
    VALUES,
    Echo,
    Rest,
    chat,
    holds_a_value,
    plain,
    said,
    streamed,
)

from penstock import testing
from penstock.chain import Chain, ChainPolicy
from penstock.exchange import Exchange
from penstock.openai.sse import Parser
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stages.cache import Cache, CachePolicy
from penstock.stores.keyring import Keyring

Build = Callable[..., Any]


# There and back


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_goes_up_without_its_values_and_comes_back_with_them(build: Build, stream: bool) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange(chat(stream=stream))
    answer = await home.ask(exchange, upstream)
    assert holds_a_value(json.dumps(upstream.body)) == []
    assert all(f"[{label}_" in upstream.text for label in ("EMAIL", "CARD", "IBAN", "SSN", "PHONE", "SECRET"))
    assert said(answer) == ALL


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
async def test_a_stream_is_restored_wherever_it_is_split(build: Build, piece: int) -> None:
    home = await build()
    assert said(await home.ask(home.exchange(chat(stream=True)), Echo(piece))) == ALL


async def test_the_headers_and_the_trace_count_by_type(build: Build) -> None:
    home = await build()
    exchange = home.exchange(chat(f"{MAIL} and again {MAIL}, {OTHERS}, card {VALUES['CREDIT_CARD']}"))
    await home.ask(exchange, Echo())
    assert exchange.answer_headers["x-dac-redactions"] == "CREDIT_CARD=1, EMAIL=3"
    (decision,) = exchange.decisions
    assert (decision.action, decision.reason) == ("redacted", "CREDIT_CARD=1, EMAIL=3")
    assert exchange.redactions == {("EMAIL", "placeholder"): 3, ("CREDIT_CARD", "placeholder"): 1}


async def test_a_request_without_a_value_goes_up_as_it_came(build: Build) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange(chat("What is the capital of France?"))
    request = exchange.request
    await home.ask(exchange, upstream)
    assert upstream.seen[0].request is request
    assert "x-dac-redactions" not in exchange.answer_headers
    assert exchange.decisions[0].action == "clean"


async def test_a_value_has_the_same_placeholder_in_every_request(build: Build) -> None:
    home, upstream = await build(), Echo()
    texts = []
    for _ in range(2):
        await home.ask(home.exchange(chat()), upstream)
        texts.append(upstream.text)
    assert texts[0] == texts[1]


def a_call(arguments: str) -> dict[str, Any]:
    function = {"name": "send", "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tools_arguments_are_redacted_and_restored(build: Build, stream: bool) -> None:
    home, upstream = await build(), Echo()
    told = json.dumps({"to": MAIL, "text": f'say "{MAIL}"'})
    asked = chat("Again.", stream=stream)
    asked["messages"].insert(0, {"role": "assistant", "content": None, **a_call(told)})
    await home.ask(home.exchange(asked), upstream)
    hidden = upstream.body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert MAIL not in hidden
    assert json.loads(hidden).keys() == {"to", "text"}
    if stream:
        pieces = [hidden[at : at + 4] for at in range(0, len(hidden), 4)]
        events = await home.ask(home.exchange(asked), streamed(*map(a_call, pieces)))
        deltas = [choice["delta"] for event in events for choice in (event.json or {}).get("choices", ())]
        calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
        back = "".join(call["function"]["arguments"] for call in calls)
    else:
        message = {"role": "assistant", "content": None, **a_call(hidden)}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        answer = await home.ask(home.exchange(asked), plain({"choices": [choice]}))
        back = answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(back) == json.loads(told)


async def test_a_responses_request_is_redacted_and_restored(build: Build) -> None:
    home = await build()
    seen: list[Exchange] = []

    async def rest(exchange: Exchange) -> Reply:
        seen.append(exchange)
        body = exchange.request.body or {}
        part = {"type": "output_text", "text": body["input"], "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
        told = {"id": "resp_1", "object": "response", "output": [item]}
        return Reply(200, body=json.dumps(told).encode())

    exchange = home.exchange({"model": "m", "instructions": ALL, "input": ALL}, "/v1/responses")
    answer = await home.ask(exchange, rest)
    assert holds_a_value(json.dumps(seen[0].request.body)) == []
    assert answer["output"][0]["content"][0]["text"] == ALL


async def test_completions_are_redacted_and_restored(build: Build) -> None:
    home = await build()
    seen: list[Any] = []

    async def rest(exchange: Exchange) -> Reply:
        seen.append((exchange.request.body or {})["prompt"])
        choices = [{"index": at, "text": text, "finish_reason": "stop"} for at, text in enumerate(seen[-1])]
        return Reply(200, body=json.dumps({"object": "text_completion", "choices": choices}).encode())

    exchange = home.exchange({"model": "m", "prompt": [ALL, f"To {MAIL}"]}, "/v1/completions")
    answer = await home.ask(exchange, rest)
    assert holds_a_value(json.dumps(seen)) == []
    assert [choice["text"] for choice in answer["choices"]] == [ALL, f"To {MAIL}"]


async def test_embeddings_are_made_of_what_is_redacted(build: Build) -> None:
    home = await build()
    told = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}]}
    upstream = testing.FakeUpstream(lambda: Reply(200, body=json.dumps(told).encode()))
    answer = await home.ask(home.exchange({"model": "m", "input": [ALL]}, "/v1/embeddings"), upstream)
    assert holds_a_value(json.dumps(upstream.seen[0].request.body)) == []
    assert answer == told


# Who gets what back


async def test_another_tenants_placeholder_is_not_restored(build: Build) -> None:
    home, upstream = await build(), Echo()
    await home.ask(home.exchange(chat(MAIL)), upstream)
    others = upstream.text
    exchange = home.exchange(chat(f"{MAIL} says {others}"))
    exchange.tenant = "other"
    answer = await home.ask(exchange, upstream)
    assert upstream.text.split()[0] != others
    assert said(answer) == f"{MAIL} says {others}"
    told = await home.ask(exchange, testing.FakeUpstream(testing.chat(others)))
    assert said(told) == others


@pytest.mark.parametrize("stream", [False, True])
async def test_a_value_that_is_not_the_clients_own_is_taken_out_of_the_answer(
    build: Build, stream: bool
) -> None:
    home = await build()
    text = f"Write to {OTHERS} or {MAIL}."
    upstream = testing.FakeUpstream(testing.chat_stream(*text) if stream else testing.chat(text))
    exchange = home.exchange(chat(MAIL, stream=stream))
    assert said(await home.ask(exchange, upstream)) == f"Write to [EMAIL] or {MAIL}."
    assert exchange.redactions["EMAIL", "placeholder"] == 2
    assert [line["direction"] for line in await home.records()] == ["request", "response"]


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_are_not_read_where_only_requests_are(build: Build, stream: bool) -> None:
    home = await build(direction="request")
    upstream = testing.FakeUpstream(testing.chat_stream(OTHERS) if stream else testing.chat(OTHERS))
    assert said(await home.ask(home.exchange(chat(MAIL, stream=stream)), upstream)) == OTHERS


async def test_requests_are_not_read_where_only_answers_are(build: Build) -> None:
    home, upstream = await build(direction="response"), Echo()
    exchange = home.exchange(chat(MAIL))
    answer = await home.ask(exchange, upstream)
    assert upstream.text == MAIL
    assert said(answer) == "[EMAIL]"
    assert "x-dac-redactions" not in exchange.answer_headers


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_every_status_of_success_is_read_and_restored(build: Build, status: int) -> None:
    home = await build()
    upstream = testing.FakeUpstream(testing.chat(f"{MAIL} {OTHERS}", status=status))
    assert said(await home.ask(home.exchange(chat(MAIL)), upstream)) == f"{MAIL} [EMAIL]"


async def test_an_upstreams_error_passes_as_it_is(build: Build) -> None:
    home = await build()
    upstream = testing.FakeUpstream(testing.chat("no", status=429))
    assert said(await home.ask(home.exchange(chat()), upstream)) == "no"


# Behind it, a cache


class ListeningKeyring(Keyring):
    """A keyring that remembers what it has sealed."""

    def __init__(self) -> None:
        super().__init__(bytes(32))
        self.sealed: list[bytes] = []

    def seal(self, purpose: str, value: bytes, bound_to: bytes) -> bytes:
        self.sealed.append(value)
        return super().seal(purpose, value, bound_to)


async def test_a_cache_behind_it_keeps_no_value_and_its_hits_are_restored(build: Build) -> None:
    home, upstream = await build(), Echo()
    cache, keyring = Cache(), ListeningKeyring()
    await cache.start(dataclasses.replace(home.resources, keyring=keyring))
    chain = Chain({"redaction": home.stage, "cache": cache, "upstream": Rest(upstream)})

    async def ask(tenant: str, *, stream: bool) -> tuple[str, str]:
        exchange = home.exchange(chat(stream=stream))
        exchange.tenant = tenant
        order = ChainPolicy(order=("redaction", "cache", "upstream"))
        exchange.policies = testing.policies(home.policy, CachePolicy(), StagePolicy(), order)
        raw = await testing.read(reply := await chain.answer(exchange))
        for _ in range(5):
            await asyncio.sleep(0)  # what is kept is put away after the answer
        answer = json.loads(raw) if reply.stream is None else list(Parser().feed(raw))
        return exchange.answer_headers["x-dac-cache"], said(answer)

    assert await ask("default", stream=False) == ("miss", ALL)
    assert await ask("default", stream=False) == ("hit", ALL)
    assert await ask("default", stream=True) == ("hit", ALL)
    assert await ask("other", stream=True) == ("miss", ALL)
    assert upstream.calls == 2
    assert len(home.store.entries) == 2
    assert holds_a_value(repr(home.store.entries)) == []
    assert b"[EMAIL_" in b"".join(keyring.sealed)  # not even what is behind the seal has a value
    assert holds_a_value(repr(keyring.sealed)) == []
