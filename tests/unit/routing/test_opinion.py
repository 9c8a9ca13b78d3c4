"""A second opinion: asked for plainly, awaited no longer than may be, and ended whatever happens."""

import asyncio
import random

import pytest
from routing_house import House, refuse, settle, tasks

from penstock.routing.ask import Asker
from penstock.routing.balance import Balance
from penstock.routing.opinion import Opinion
from penstock.routing.think import Thinker
from penstock.routing.weights import NOTHING


def text(answer):
    return answer["choices"][0]["message"]["content"]


class Asking:
    def __init__(self, **answers):
        self.house = House()
        self.house.upstream.answers.update(answers)
        clock = self.house.clock
        thinker = Thinker(clock, lambda tenant, alias: NOTHING)
        self.asker = Asker(thinker, Balance(clock, random.Random(0)), clock)  # noqa: S311
        self.exchange = self.house.exchange(stream=True, stream_options={"include_usage": True})

    def begin(self):
        asked = self.exchange.request
        return Opinion.begun(self.exchange, asked, "nano", self.asker, self.house.upstream)


async def test_it_is_told():
    asking = Asking(nano="7")
    opinion = asking.begin()
    assert text(await opinion.told(None)) == "7"
    await opinion.close()
    assert asking.house.upstream.seen[0].request.body["stream"] is False


async def test_it_is_paid_by_the_exchange_and_leaves_no_other_trace_on_it():
    asking = Asking()
    before = asking.exchange.request
    await asking.begin().told(None)
    assert [call.model for call in asking.exchange.calls] == ["nano"]
    assert asking.exchange.request is before
    assert (asking.exchange.answer_headers, asking.exchange.model) == ({}, None)


@pytest.mark.parametrize("answer", [refuse(), 500, 400])
async def test_one_that_fails_is_none(answer):
    assert await Asking(nano=answer).begin().told(None) is None


@pytest.mark.parametrize("longest_s", [0.0, 0.01])
async def test_one_that_comes_late_is_none(longest_s):
    before = tasks()
    asking = Asking()
    asking.house.upstream.gates["nano"] = asyncio.Event()
    opinion = asking.begin()
    await settle()
    assert await opinion.told(longest_s) is None
    await opinion.close()
    assert asking.house.upstream.cancelled == ["nano"]
    assert tasks() == before


async def test_one_that_breaks_otherwise_is_no_secret():
    opinion = Asking(nano=ValueError("a bug")).begin()
    with pytest.raises(ValueError, match="a bug"):
        await opinion.told(None)
    await opinion.close()
