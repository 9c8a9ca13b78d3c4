"""The test kit behaves as the real parts do where a stage could tell."""

import pytest

from penstock import testing
from penstock.errors import StageFailed, StoreUnavailable
from penstock.exchange import Exchange
from penstock.openai.request import Endpoint
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Stage
from penstock.stores.protocol import Entry


class GreetPolicy(StagePolicy):
    file = "greet"
    word: str = "hello"


class Greet(Stage[GreetPolicy]):
    name = "greet"
    policy = GreetPolicy

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        reply = await proceed(exchange)
        reply.headers["x-greeting"] = exchange.policies[GreetPolicy].word
        return reply


async def test_run_stage_runs_it_with_the_given_policy_or_the_default_one() -> None:
    upstream = testing.FakeUpstream(testing.chat("hi"))
    for given, word in (((), "hello"), ((GreetPolicy(word="moin"),), "moin")):
        reply = await testing.run_stage(Greet(), testing.exchange(given=given), upstream)
        assert reply.headers["x-greeting"] == word
    assert upstream.calls == 2


@pytest.mark.parametrize("given", [(), (GreetPolicy(),)])
async def test_run_stage_guards_it_as_the_chain_does(given: tuple[GreetPolicy, ...]) -> None:
    class Broken(Greet):
        async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
            raise KeyError("broken")

    with pytest.raises(StageFailed):
        await testing.run_stage(Broken(), testing.exchange(given=given), testing.FakeUpstream())


async def test_the_fake_upstream_answers_in_turn_and_the_last_one_again() -> None:
    upstream = testing.FakeUpstream(testing.chat("one"), StoreUnavailable("no"), testing.chat("two"))
    exchange = testing.exchange()
    assert b"one" in (await upstream(exchange)).body
    with pytest.raises(StoreUnavailable):
        await upstream(exchange)
    assert b"two" in (await upstream(exchange)).body
    assert b"two" in (await upstream(exchange)).body
    assert upstream.calls == 4
    assert upstream.seen == [exchange] * 4


async def test_a_streamed_answer_reads_as_its_client_gets_it_and_is_new_each_time() -> None:
    answer = testing.chat_stream("a", "b")
    first, second = await testing.read(answer()), await testing.read(answer())
    assert first == second
    assert first.count(b"data: ") == 4
    assert first.endswith(b"data: [DONE]\n\n")


async def test_a_stream_can_be_made_to_break_off() -> None:
    reply = testing.chat_stream("a", ending=StageFailed("x"))()
    assert b"x_unavailable" in await testing.read(reply)


async def test_entries_expire_by_the_frozen_clock() -> None:
    clock = testing.FrozenClock()
    store = testing.MemoryStore(clock)
    await store.put([Entry("s", "k", b"value", clock.now() + 10)], limit_bytes=100)
    clock.advance(9.9)
    assert await store.get("s", "k") is not None
    assert clock.now() == clock.monotonic()
    clock.advance(0.1)
    assert await store.get("s", "k") is None


async def test_the_store_counts_and_forgets_by_space() -> None:
    store = testing.MemoryStore()
    far = 10.0**12
    entries = [Entry(space, key, b"12", far) for space in ("a", "b") for key in ("x", "y")]
    await store.put(entries, limit_bytes=100)
    assert await store.size_bytes("a") == 4
    assert await store.delete("a", ["x", "unknown"]) == 1
    assert await store.delete("b") == 2
    assert store.entries.keys() == {("a", "y")}
    await store.close()


async def test_a_store_that_is_gone_is_gone_for_every_call() -> None:
    store = testing.MemoryStore()
    store.gone = True
    for call in (store.get("a", "b"), store.put([], limit_bytes=1), store.delete("a"), store.size_bytes("a")):
        with pytest.raises(StoreUnavailable):
            await call


def test_an_exchange_is_made_as_the_door_makes_it() -> None:
    exchange = testing.exchange("/v1/embeddings?x=1", body={"input": "a"}, headers={"X-Dac-Store": "none"})
    request = exchange.request
    assert (request.endpoint, request.path, request.query) == (Endpoint.EMBEDDINGS, "/embeddings", "x=1")
    assert request.headers["x-dac-store"] == "none"
