"""cache keeps only what is whole, and only what the policy and the client let it keep."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from cache_house import CHAT, STREAM, House, house, request, settle
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal
from penstock.openai import sse
from penstock.reply import Reply, Stream
from penstock.upstream import failures


@pytest.mark.parametrize(
    ("body", "policy", "word"),
    [
        ({"temperature": 1.01}, {}, "temperature"),
        ({"temperature": 0.5}, {"max_temperature": 0.4}, "temperature"),
        ({}, {"max_temperature": 0.9}, "temperature"),
        ({"temperature": None}, {"max_temperature": 0.9}, "temperature"),
        ({"n": 2}, {}, "choices"),
    ],
)
async def test_what_the_policy_leaves_out_goes_by(body: Any, policy: dict[str, Any], word: str) -> None:
    home = await house()
    for _ in range(2):
        exchange = request({**CHAT, **body}, **policy)
        await home.ask(exchange)
        assert exchange.answer_headers == {"x-dac-cache": "bypass"}
        assert word in exchange.decisions[0].reason
    assert home.upstream.calls == 2
    assert not home.store.entries


@pytest.mark.parametrize(
    ("body", "policy"),
    [({"temperature": 1.0}, {}), ({"temperature": 2}, {"max_temperature": 2.0}), ({"n": 1}, {})],
)
async def test_what_the_policy_lets_in_is_kept(body: Any, policy: dict[str, Any]) -> None:
    home = await house()
    for _ in range(2):
        await home.ask(request({**CHAT, **body}, **policy))
    assert home.upstream.calls == 1


async def test_several_choices_are_kept_where_the_policy_says_so() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    home = await house(testing.chat("", choices=[choice, {**choice, "index": 1}]))
    for _ in range(2):
        await home.ask(request({**CHAT, "n": 2}, several_choices=True))
    assert home.upstream.calls == 1


@pytest.mark.parametrize("body", [{"conversation": "c"}, {"background": True}])
async def test_a_response_with_state_at_the_provider_goes_by(body: dict[str, Any]) -> None:
    home = await house()
    exchange = request({"model": "m", "input": "x", **body}, path="/v1/responses")
    await home.ask(exchange)
    assert exchange.answer_headers == {"x-dac-cache": "bypass"}


async def test_an_ephemeral_request_is_neither_looked_up_nor_kept() -> None:
    home = await house()
    await home.ask(request())
    exchange = request()
    exchange.ephemeral = True
    await home.ask(exchange)
    assert home.upstream.calls == 2
    assert exchange.answer_headers == {"x-dac-cache": "bypass"}


async def test_an_endpoint_that_is_not_cached_passes_without_a_word() -> None:
    home = await house()
    exchange = request({}, path="/v1/files")
    await home.ask(exchange)
    assert exchange.answer_headers == {}
    assert [d.action for d in exchange.decisions] == ["pass"]


async def test_no_store_reads_what_is_there_and_keeps_nothing() -> None:
    home = await house()
    await home.ask(request(asked="no-store"))
    assert not home.store.entries
    await home.ask(request())
    await home.ask(hit := request(asked="No-Store "))
    assert hit.answer_headers["x-dac-cache"] == "hit"
    assert home.upstream.calls == 2


async def test_refresh_asks_anew_and_keeps_the_new_answer() -> None:
    home = await house(testing.chat("old"), testing.chat("new"))
    await home.ask(request())
    assert b"new" in await home.ask(request(asked="refresh"))
    assert b"new" in await home.ask(request())
    assert home.upstream.calls == 2


async def test_bypass_asks_anew_and_leaves_the_old_answer() -> None:
    home = await house(testing.chat("old"), testing.chat("new"))
    await home.ask(request())
    assert b"new" in await home.ask(request(asked="bypass"))
    assert b"old" in await home.ask(request())


async def test_any_other_word_is_refused_with_those_that_are_allowed() -> None:
    home = await house()
    with pytest.raises(Refusal) as refused:
        await home.ask(request(asked="please"))
    assert (refused.value.status, refused.value.code) == (400, "invalid_cache")
    assert "no-store, refresh, bypass" in refused.value.message
    assert home.upstream.calls == 0


CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
CALLING = {"index": 0, "message": {"role": "assistant", "tool_calls": CALLS}, "finish_reason": "tool_calls"}
SAYING = {"index": 0, "message": {"role": "assistant", "content": "x"}}


def raw(body: bytes, status: int = 200) -> Callable[[], Reply]:
    return lambda: Reply(status, CIMultiDict({"content-type": "application/json"}), body)


@pytest.mark.parametrize(
    "answer",
    [
        testing.chat("cut", finish_reason="length"),
        testing.chat("cut", finish_reason="content_filter"),
        testing.chat("odd", finish_reason="error"),
        testing.chat("", choices=[SAYING]),
        testing.chat("", choices=[{**SAYING, "finish_reason": None}]),
        testing.chat("", choices=[]),
        testing.chat(""),
        testing.chat("", choices=[CALLING]),
        testing.chat("error", status=500),
        testing.chat("accepted", status=202),
        raw(b'{"error":{"message":"no"}}'),
        raw(b"not JSON"),
        raw(b'["a list"]'),
        raw(b""),
    ],
)
async def test_what_is_no_whole_answer_is_never_kept(answer: Callable[[], Reply]) -> None:
    home = await house(answer)
    bodies = [await home.ask(request()) for _ in range(2)]
    assert bodies == [answer().body] * 2, "but its client gets it as it came"
    assert home.upstream.calls == 2
    assert not home.store.entries


async def test_answers_that_call_tools_are_kept_where_the_policy_says_so() -> None:
    home = await house(testing.chat("", choices=[CALLING]))
    for _ in range(2):
        await home.ask(request(tool_calls=True))
    assert home.upstream.calls == 1


CUT = testing.chunk({"content": "a"}, "length")


@pytest.mark.parametrize(
    "stream",
    [
        testing.chat_stream("a", ending=failures.truncated()),
        testing.chat_stream(),  # says nothing
        lambda: Reply(200, stream=Stream(testing.Events([[CUT], [sse.done()]]))),
    ],
)
async def test_a_stream_that_is_no_whole_answer_is_never_kept(stream: Callable[[], Reply]) -> None:
    home = await house(stream)
    for _ in range(2):
        await home.ask(request(STREAM))
    assert home.upstream.calls == 2
    assert not home.store.entries


async def test_a_stream_whose_client_left_half_way_is_not_kept_and_one_whose_end_was_out_is() -> None:
    home = await house(testing.chat_stream("a", "b"))
    for single_flight in (True, False):
        for batches, kept in ((1, 0), (4, 1)):
            home.store.entries.clear()
            exchange = request(STREAM, single_flight=single_flight)
            reply = await testing.run_stage(home.cache, exchange, home.upstream)
            assert reply.stream is not None
            reading = reply.stream.batches()
            for _ in range(batches):
                await anext(reading)
            await reading.aclose()
            await settle()
            assert len(home.store.entries) == kept


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_an_answer_past_max_entry_bytes_passes_whole_and_is_not_kept(body: dict[str, Any]) -> None:
    answers = testing.chat("x" * 500) if body is CHAT else testing.chat_stream("x" * 300, "x" * 300)
    for limit, kept in ((400, 0), (100_000, 1)):
        home = await house(answers)
        got = await home.ask(request(body, max_entry_bytes=limit))
        assert got == await testing.read(answers())
        assert len(home.store.entries) == kept


async def test_answers_live_as_long_as_the_policy_says_for_their_endpoint() -> None:
    home = await house()
    await home.ask(request(ttl_s=10.0, ttl_by_endpoint={"embeddings": 99.0}))
    home.clock.advance(9.9)
    await home.ask(request())
    assert home.upstream.calls == 1
    home.clock.advance(0.1)
    await home.ask(request())
    assert home.upstream.calls == 2

    vector = raw(b'{"object":"list","data":[{"index":0,"embedding":[0.5]}],"model":"m"}')
    home = await house(vector)
    asks = {"model": "m", "input": "x"}
    await home.ask(request(asks, path="/v1/embeddings", ttl_s=10.0, ttl_by_endpoint={"embeddings": 99.0}))
    (entry,) = home.store.entries.values()
    assert entry.expires_at == home.clock.now() + 99


async def test_the_store_is_told_what_the_tenant_may_take() -> None:
    told: list[int] = []

    class Listening(testing.MemoryStore):
        async def put(self, entries: Sequence[Any], *, limit_bytes: int) -> None:
            told.append(limit_bytes)

    home = House()
    home.store = Listening(home.clock)
    await home.open()
    await home.ask(request(limit_bytes=12_345))
    assert told == [12_345]
