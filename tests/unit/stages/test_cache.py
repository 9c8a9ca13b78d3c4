"""cache gives an answer again, in the form asked for, and only to whom it belongs."""

import asyncio
import json
from typing import Any

import pytest
from cache_house import CHAT, STREAM, house, request

from penstock import testing
from penstock.errors import StageFailed
from penstock.exchange import Exchange
from penstock.openai.sse import Parser
from penstock.reply import Reply
from penstock.stages.cache import Cache, Replay
from penstock.stores.keyring import Keyring


async def test_the_second_ask_is_a_hit_with_its_age_and_the_upstreams_own_bytes() -> None:
    home = await house()
    first, second = request(), request()
    answer = await home.ask(first)
    home.clock.advance(61.7)
    assert await home.ask(second) == answer
    assert home.upstream.calls == 1
    assert first.answer_headers == {"x-dac-cache": "miss"}
    assert second.answer_headers == {"x-dac-cache": "hit", "age": "61"}
    assert [d.action for d in second.decisions] == ["hit"]


async def test_a_clock_that_steps_back_gives_no_negative_age() -> None:
    home = await house()
    await home.ask(request())
    home.clock.advance(-5)
    await home.ask(again := request())
    assert again.answer_headers["age"] == "0"


# Who may get an answer


async def test_a_tenant_never_gets_anothers_answer() -> None:
    home = await house()
    await home.ask(request())
    other = request()
    other.tenant = "other"
    await home.ask(other)
    assert home.upstream.calls == 2
    assert {space for space, _ in home.store.entries} == {"cache:default", "cache:other"}


async def test_a_client_with_another_key_asks_for_itself() -> None:
    home = await house()
    for key in ("sk-1", "sk-2", None, "sk-1"):
        exchange = request()
        exchange.client_key = key
        await home.ask(exchange)
    assert home.upstream.calls == 3


async def test_neither_the_question_nor_the_answer_nor_the_key_stands_in_the_store_in_the_clear() -> None:
    home = await house(testing.chat("marker-answer"))
    exchange = request({**CHAT, "messages": [{"role": "user", "content": "marker-question"}]})
    exchange.client_key = "marker-key"
    await home.ask(exchange)
    assert len(home.store.entries) == 1
    assert b"marker" not in repr(home.store.entries).encode()


async def test_a_moved_entry_is_a_miss() -> None:
    home = await house(testing.chat("for one"), testing.chat("for two"))
    await home.ask(request())
    await home.ask(request({**CHAT, "seed": 2}))
    one, two = home.store.entries
    home.store.entries[two] = home.store.entries[one]
    assert b"for two" in await home.ask(request({**CHAT, "seed": 2}))
    assert home.upstream.calls == 3


async def test_an_entry_moved_into_another_tenants_space_is_a_miss() -> None:
    home = await house()
    await home.ask(request())
    (entry,) = home.store.entries.values()
    home.store.entries[("cache:other", entry.key)] = entry
    other = request()
    other.tenant = "other"
    await home.ask(other)
    assert home.upstream.calls == 2


@pytest.mark.parametrize("place", [0, 12, 40, -1])
async def test_a_tampered_entry_is_a_miss(place: int) -> None:
    home = await house()
    await home.ask(request())
    ((at, entry),) = home.store.entries.items()
    value = bytearray(entry.value)
    value[place] ^= 1
    home.store.entries[at] = type(entry)(entry.space, entry.key, bytes(value), entry.expires_at)
    await home.ask(request())
    assert home.upstream.calls == 2


@pytest.mark.parametrize("value", [b"", b"x", b"x" * 12, b"x" * 100])
async def test_junk_in_an_entrys_place_is_a_miss(value: bytes) -> None:
    home = await house()
    await home.ask(request())
    ((at, entry),) = home.store.entries.items()
    home.store.entries[at] = type(entry)(entry.space, entry.key, value, entry.expires_at)
    await home.ask(request())
    assert home.upstream.calls == 2


async def test_an_entry_of_another_keyring_is_a_miss() -> None:
    home = await house()
    await home.ask(request())
    await home.open(Keyring(b"k" * 32))
    await home.ask(request())
    assert home.upstream.calls == 2


async def test_a_collision_of_names_is_a_miss_and_nobodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xxhash.xxh3_128_hexdigest", lambda data: "the same for all")
    home = await house(testing.chat("for one"), testing.chat("for two"))
    assert b"for one" in await home.ask(request())
    assert b"for two" in await home.ask(request({**CHAT, "seed": 2}))
    assert len(home.store.entries) == 1


async def test_even_under_way_a_collision_of_names_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xxhash.xxh3_128_hexdigest", lambda data: "the same for all")
    home = await house(testing.chat("for one"), testing.chat("for two"))
    one, two = await asyncio.gather(home.ask(request()), home.ask(request({**CHAT, "seed": 2})))
    assert b"for one" in one
    assert b"for two" in two


# Both forms of one answer


def said(stream: bytes) -> str:
    events = Parser().feed(stream)
    chunks = [event.json for event in events if event.json]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


async def test_one_entry_serves_both_forms() -> None:
    plain_first = await house(testing.chat("hello you"))
    await plain_first.ask(request())
    streamed = await plain_first.ask(request(STREAM))
    assert said(streamed) == "hello you"
    assert streamed.endswith(b"data: [DONE]\n\n")

    stream_first = await house(testing.chat_stream("hello ", "you"))
    await stream_first.ask(request(STREAM))
    answer = json.loads(await stream_first.ask(request()))
    assert answer["choices"][0]["message"]["content"] == "hello you"
    assert plain_first.upstream.calls == stream_first.upstream.calls == 1


async def test_a_stream_is_replayed_in_the_very_bytes_that_came() -> None:
    home = await house(testing.chat_stream("hello ", "you"))
    first = await home.ask(request(STREAM))
    reply = await testing.run_stage(home.cache, request(STREAM), home.upstream)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert await testing.read(reply) == first
    assert home.upstream.calls == 1


async def test_include_usage_is_honoured_for_each_reader() -> None:
    home = await house()
    await home.ask(request())
    without = await home.ask(request(STREAM))
    wanting = await home.ask(request({**STREAM, "stream_options": {"include_usage": True}}))
    assert b"total_tokens" not in without
    assert b'"total_tokens":3' in wanting
    assert home.upstream.calls == 1


async def test_a_replay_is_at_once_or_paced_as_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)

    home = await house(testing.chat_stream("a", "b"))
    await home.ask(request(STREAM))
    monkeypatch.setattr("penstock.stages.cache.asyncio.sleep", sleep)
    await home.ask(request(STREAM))
    assert slept == []
    await home.ask(request(STREAM, replay=Replay(pace="paced", events_per_s=20.0)))
    assert slept == [0.05] * 4


# A store that is gone


async def test_with_the_store_gone_the_upstream_is_asked_or_the_request_refused_as_the_policy_says() -> None:
    home = await house()
    home.store.gone = True
    exchange = request()
    assert b"hi" in await home.ask(exchange)
    assert [d.action for d in exchange.decisions] == ["skipped"]
    with pytest.raises(StageFailed) as failed:
        await home.ask(request(on_failure="reject"))
    assert failed.value.code == "cache_unavailable"
    home.store.gone = False
    assert b"hi" in await home.ask(request(on_failure="reject"))


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_store_that_goes_half_way_costs_the_client_nothing(body: dict[str, Any]) -> None:
    answers = testing.chat("hi") if body is CHAT else testing.chat_stream("hi")
    home = await house(answers)

    async def rest(exchange: Exchange) -> Reply:
        home.store.gone = True
        return answers()

    exchange = request(body, on_failure="reject")
    got = await testing.read(await testing.run_stage(home.cache, exchange, rest))
    assert got == await testing.read(answers())
    assert exchange.decisions[-1].action == "not_kept"


async def test_an_answer_that_no_entry_can_hold_costs_the_client_nothing_either() -> None:
    home = await house()
    exchange = request(on_failure="reject")
    exchange.model = "half a character: \ud800"
    assert b"hi" in await home.ask(exchange)
    assert exchange.decisions[-1].action == "not_kept"


def test_the_plan_says_why() -> None:
    cache = Cache()
    planned = [cache.plan(request(asked=asked)).action for asked in (None, "no-store", "refresh", "bypass")]
    assert planned == ["lookup", "lookup", "refresh", "bypass"]
    assert cache.plan(request({}, path="/v1/files")).action == "pass"
