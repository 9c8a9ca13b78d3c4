"""The judge writes, adds up, stops what does harm, tells where experiments are, and folds the past."""

import asyncio

import pytest
from experiment_bits import KEYRING, experiment, guarded, policies
from prometheus_client import REGISTRY

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.experiment import judge as module
from penstock.experiment.judge import Judge
from penstock.experiment.tally import CLOSED_S, PAGE_S, TABLE, Cell
from penstock.experiment.totals import Totals
from penstock.experiment.verdicts import Verdict, Verdicts
from penstock.stores.memory import MemoryRecords

GUARDED = guarded(min_sample=50)


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def clock():
    return testing.FrozenClock()


@pytest.fixture
def judge(records, clock):
    return Judge(records, KEYRING, clock)


def count(judge, failing, its=GUARDED, name="e"):
    """Count a hundred requests of each arm, of which so many of the treatment's have failed."""
    for arm, failed in (("control", 0), ("treatment", failing)):
        counts = judge.tally.of(Cell.of(name, its, arm))
        for place in range(100):
            counts.requests += 1
            counts.add("error", float(place < failed), place % 32)


async def test_an_arm_that_does_harm_stops_the_experiment(judge, records, clock, caplog):
    judge.accept(policies(e=GUARDED))
    count(judge, failing=90)
    await judge.look()
    verdict = (await Verdicts(records, KEYRING).look())["e"]
    assert (verdict.state, verdict.arm, verdict.by, verdict.at) == (
        "stopped",
        "control",
        "guardrail",
        clock.now(),
    )
    assert verdict.evidence.startswith("treatment: error 0.9 beside 0")
    assert "experiment e is stopped by a guardrail" in caplog.text


@pytest.mark.parametrize(("failing", "its"), [(1, GUARDED), (90, experiment(min_sample=50))])
async def test_one_that_does_none_or_is_not_guarded_goes_on(judge, failing, its):
    judge.accept(policies(e=its))
    count(judge, failing, its)
    await judge.look()
    assert judge.verdicts.known == {}


async def test_what_another_process_counted_counts_too(records, clock, judge):
    other = Judge(records, KEYRING, clock)
    count(other, failing=90)
    await other.look()  # it has no experiments: its policies are not there yet
    judge.accept(policies(e=GUARDED))
    await judge.look()
    assert judge.verdicts.known["e"].by == "guardrail"


async def test_a_verdict_is_not_given_twice(judge):
    judge.accept(policies(e=GUARDED))
    promoted = Verdict("promoted", "treatment", "cli", 1.0)
    await judge.verdicts.put("e", promoted)
    count(judge, failing=90)
    await judge.look()
    assert judge.verdicts.known == {"e": promoted}


async def test_a_store_that_is_gone_loses_nothing(judge, records):
    judge.accept(policies(e=GUARDED))
    count(judge, failing=90)
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await judge.look()
    records.gone = False
    await judge.look()
    assert "e" in judge.verdicts.known


async def test_by_itself_it_looks_again_and_again_whatever_happens(judge, records, monkeypatch, caplog):
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    judge.accept(policies(e=GUARDED))
    await judge.start()
    records.gone = True
    count(judge, failing=90)
    plain = judge._metrics.states
    judge._metrics.states = None  # broken: it says so, and goes on
    await until(lambda: "experiments can't be judged: TypeError" in caplog.text)
    judge._metrics.states = plain
    records.gone = False
    await until(lambda: "e" in judge.verdicts.known)
    await judge.stop()


async def until(come_true):
    async with asyncio.timeout(5):
        while not come_true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_a_stop_writes_what_is_counted(judge, records):
    await judge.start()
    count(judge, failing=0)
    await judge.stop()
    assert (await Totals(records, KEYRING).look())[Cell.of("e", GUARDED, "control")].requests == 100


async def test_a_stop_without_a_start_or_a_store_is_quiet(judge, records):
    count(judge, failing=0)
    records.gone = True
    await judge.stop()


def state(experiment):
    at = {"experiment": experiment}
    name = "penstock_experiment_state"
    states = ("running", "stopped", "promoted")
    return [each for each in states if REGISTRY.get_sample_value(name, {**at, "state": each})]


async def test_the_metrics_say_where_an_experiment_is(judge):
    judge.accept(policies(judged=GUARDED))
    await judge.look()
    assert state("judged") == ["running"]
    await judge.verdicts.put("judged", Verdict("stopped", "control", "cli", 1.0))
    await judge.look()
    assert state("judged") == ["stopped"]
    judge.accept(policies())
    await judge.look()
    assert state("judged") == []


async def test_the_past_is_folded_every_ten_minutes(judge, records, clock):
    judge.accept(policies(e=GUARDED))
    for _ in range(3):
        count(judge, failing=0)
        await judge.look()
        clock.advance(PAGE_S)
        await judge.look()
    clock.advance(CLOSED_S + PAGE_S)
    await judge.look()
    clock.advance(599)
    await judge.look()
    before = (await records.read(TABLE))[1]
    clock.advance(1)
    await judge.look()
    after = (await records.read(TABLE))[1]
    assert len(after) == 2 < len(before)
    told = (await Totals(records, KEYRING).look())[Cell.of("e", GUARDED, "control")]
    assert told.requests == 300
