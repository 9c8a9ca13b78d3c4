"""An exchange is counted once it has ended: when, how, and in which arms."""

import asyncio

import pytest
from experiment_bits import KEYRING, experiment, policies

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Call
from penstock.experiment import counting as module
from penstock.experiment.counting import CountedStream, Counting
from penstock.experiment.seating import Seat
from penstock.experiment.tally import Cell, Tally
from penstock.openai.usage import Usage
from penstock.stores.memory import MemoryRecords

CELL = Cell.of("e", experiment(), "control")
LEFT_OUT = Cell.of("other", experiment(), "control")


DOLLAR = Usage(1_000_000, 0)


class House:
    """One exchange that costs a dollar, in an arm that counts it and in one that does not."""

    def __init__(self, usage=DOLLAR):
        self.clock = testing.FrozenClock()
        self.tally = Tally(MemoryRecords(), KEYRING, self.clock)
        self.exchange = testing.exchange()
        self.exchange.policies = policies()
        self.exchange.attempts, self.exchange.calls = 1, [Call("m", usage)]
        seats = [Seat(CELL, 5), Seat(LEFT_OUT, None)]
        self.counting = Counting(self.exchange, seats, self.tally, self.clock)

    @property
    def counts(self):
        assert self.tally.of(LEFT_OUT).requests == 0
        return self.tally.of(CELL)

    async def read(self, reply):
        reply.observed_by(CountedStream(self.counting, reply.stream))
        return await testing.read(reply)


def test_it_is_counted_with_its_time_and_cost():
    house = House()
    house.clock.advance(3)
    house.counting.ended(200)
    counts = house.counts
    assert (counts.requests, counts.sample("latency_s").total, counts.sample("cost_usd").total) == (1, 3, 1)
    assert counts.sample("error").buckets[5] == (1.0, 0.0)


def test_it_may_have_ended_earlier():
    house = House()
    at = house.clock.monotonic() + 1
    house.clock.advance(9)
    house.counting.ended(200, at)
    assert house.counts.sample("latency_s").total == 1


@pytest.mark.parametrize(
    ("status", "errors", "excluded"), [(500, 1, 0), (429, 1, 0), (404, 0, 1), (None, 0, 1), (200, 0, 0)]
)
def test_how_it_ended_is_counted(status, errors, excluded):
    house = House()
    house.counting.ended(status)
    assert (house.counts.sample("error").total, house.counts.excluded) == (errors, excluded)


async def test_a_stream_is_counted_once_it_is_whole():
    house = House()
    reply = testing.chat_stream("a", "b")()
    house.clock.advance(2)
    await house.read(reply)
    assert house.counts.requests == 1
    assert house.counts.sample("latency_s").total == 2


async def test_a_stream_that_broke_is_an_error():
    house = House()
    await house.read(testing.chat_stream("a", ending=Refusal(502, "broken", "broken"))())
    assert house.counts.sample("error").total == 1


async def test_a_stream_that_the_client_left_says_nothing():
    house = House()
    reply = testing.chat_stream("a", "b")()
    reply.observed_by(CountedStream(house.counting, reply.stream))
    await reply.aclose()
    assert (house.counts.requests, house.counts.excluded, house.counts.metrics) == (1, 1, {})


async def test_a_usage_that_comes_a_moment_late_is_waited_for(monkeypatch):
    monkeypatch.setattr(module, "_USAGE_S", 0.01)
    house = House(usage=None)
    house.clock.advance(2)
    await house.read(testing.chat_stream("a")())
    assert house.counts.requests == 0
    house.exchange.calls[0].usage = Usage(2_000_000, 0)
    house.clock.advance(7)
    async with asyncio.timeout(5):
        while not house.counts.requests:  # noqa: ASYNC110 - a timer counts it
            await asyncio.sleep(0.005)
    assert house.counts.sample("cost_usd").total == 2
    assert house.counts.sample("latency_s").total == 2, "the client did not wait for it"
