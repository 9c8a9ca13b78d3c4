"""The stamp's own test: no socket, no file but its own, and a frozen clock."""
# ruff: noqa: D103, S101

from pathlib import Path

import pytest

from penstock import testing
from penstock.errors import Refusal
from penstock.policy.load import load
from penstock.stage import AnyStage, find_stages

Stamp = find_stages(Path(__file__).parent)["stamp"]  # as `--stage-dir` finds it


@pytest.fixture
async def stamp() -> AnyStage:
    stage = Stamp()
    await stage.start(testing.resources())
    return stage


async def test_every_answer_has_the_next_number(stamp: AnyStage) -> None:
    upstream = testing.FakeUpstream(testing.chat("hello"), testing.chat_stream("hel", "lo"))
    for number in (1, 2):
        exchange = testing.exchange(given=[Stamp.policy(text="visitor")])
        reply = await testing.run_stage(stamp, exchange, upstream)
        assert b"hel" in await testing.read(reply)
        assert exchange.answer_headers["x-dac-stamp"] == f"visitor {number}"
        assert [decision.action for decision in exchange.decisions] == ["stamp"]


async def test_an_error_is_stamped_too(stamp: AnyStage) -> None:
    exchange = testing.exchange(given=[Stamp.policy()])
    with pytest.raises(Refusal):
        await testing.run_stage(stamp, exchange, testing.FakeUpstream(Refusal(502, "x", "x")))
    assert exchange.answer_headers["x-dac-stamp"] == "no 1"


async def test_it_explains_itself(stamp: AnyStage) -> None:
    decision = stamp.plan(testing.exchange(given=[Stamp.policy(text="visitor")]))
    assert (decision.action, decision.reason) == ("stamp", "with the word 'visitor'")


def test_the_policy_beside_it_is_good() -> None:
    assert load(Path(__file__).parent, [Stamp.policy])[Stamp.policy].text == "visitor"
