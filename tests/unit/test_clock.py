"""The clocks: the machine's goes on while one waits, the processor's stands still."""

import asyncio

from penstock.clock import PROCESSOR, SYSTEM


async def test_who_waits_spends_no_time_on_the_processor():
    began, computed = SYSTEM.monotonic(), PROCESSOR.monotonic()
    await asyncio.sleep(0.05)
    waited, spent = SYSTEM.monotonic() - began, PROCESSOR.monotonic() - computed
    assert waited > 0.04
    assert 0 <= spent < waited / 2


def test_who_computes_does():
    computed = PROCESSOR.monotonic()
    sum(range(200_000))
    assert PROCESSOR.monotonic() > computed


def test_both_tell_the_same_day():
    assert abs(SYSTEM.now() - PROCESSOR.now()) < 5
