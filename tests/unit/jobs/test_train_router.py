"""The trainer: one process trains, beside the event loop, and only a scorer that wins becomes live."""

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from routing_house import alias, cascade, of, settle

from penstock import testing
from penstock.jobs import train_router as module
from penstock.jobs.train_router import TrainRouter
from penstock.jobs.turn import Turn
from penstock.routing.cascade import judgement
from penstock.routing.compare import compared
from penstock.routing.features import prompt_features
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.routing.policy import Cascade, RoutingPolicy
from penstock.routing.versions import Versions
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryLedger, MemoryRecords

HARD, EASY = "prove the deep theorem number {}", "say a kind hello number {}"
LEARN = {"learn": {"every_s": 1, "least_outcomes": 100}}
PLACE = "acme", "auto"


def learned(prompt, served=Served.SMALL):
    return Learned.of(prompt_features(prompt), served, 1.0, None).packed()


def outcomes(count, hard=1.0, easy=0.0, **fields):
    """Give outcomes of both models: the large one is better by so much where it is hard, or easy."""
    for number in range(count):
        prompt, gain = ((HARD, hard), (EASY, easy))[number % 2]
        small, large = (0.0, gain) if gain >= 0 else (-gain, 0.0)
        yield Outcome(*PLACE, learned(prompt.format(number)), small, large, **fields)


class Shop:
    """Stores and clock that processes share."""

    def __init__(self, its=None, **routing):
        self.ledger, self.records, self.clock = MemoryLedger(), MemoryRecords(), testing.FrozenClock()
        self.policy = of(RoutingPolicy, aliases={"auto": its or alias()}, **{**LEARN, **routing})
        self.keyring = Keyring(bytes(32))
        self.sender = Outcomes(self.records, self.keyring)
        self.trainers = []

    def process(self, seed=1):
        """Give the trainer of one more process, and what that process knows."""
        versions = Versions(self.records, self.keyring)
        turn = Turn(self.ledger, self.clock, "train_router")
        mine = Outcomes(self.records, self.keyring)
        trainer = TrainRouter(mine, versions, turn, self.clock, lambda: self.policy, random.Random(seed))  # noqa: S311
        self.trainers.append(trainer)
        return trainer, versions

    async def send(self, those):
        for outcome in those:
            self.sender.put(outcome)
        await self.sender.stop()


@pytest.fixture
async def open_shop():
    shops = []

    def make(*given, **routing):
        shops.append(Shop(*given, **routing))
        return shops[-1]

    yield make
    for shop in shops:
        for trainer in shop.trainers:
            await trainer.stop()


async def until(come_true):
    """Wait for what happens elsewhere; the suite's own limit ends it."""
    while not come_true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def gains(versions):
    return [versions.weights(*PLACE).gain(prompt_features(prompt.format(5))) for prompt in (HARD, EASY)]


async def test_a_scorer_that_wins_becomes_live_and_one_that_does_not_win_does_not(open_shop, caplog):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(600))
    await trainer.look()
    hard, easy = gains(versions)
    assert hard > easy + 0.2
    (first,) = versions.history(*PLACE).versions
    assert (first.number, first.outcomes, first.made_at) == (1, 600, shop.clock.now())
    assert first.why.startswith("wins by +")
    assert versions.histories() == [versions.history(*PLACE)]

    shop.clock.advance(2)
    await shop.send(outcomes(200))
    await trainer.look()
    assert [each.number for each in versions.history(*PLACE).versions] == [1]
    assert any("stays: no better" in line for line in caplog.messages)

    other = shop.process()[1]  # as after a restart
    await other.look()
    assert gains(other) == pytest.approx([hard, easy])


async def test_a_world_that_turned_is_learned_and_versions_are_numbered_on(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(400))
    await trainer.look()
    history = versions.history(*PLACE)
    history.live = 0
    await versions.write(history)  # put back by hand
    shop.clock.advance(2)
    await shop.send(outcomes(4_000, hard=-1.0, easy=1.0))
    await trainer.look()
    history = versions.history(*PLACE)
    assert ([each.number for each in history.versions], history.live) == ([1, 2], 2)
    hard, easy = gains(versions)
    assert easy > hard


async def test_not_before_enough_is_new_nor_too_often(open_shop):
    shop = open_shop(learn={"every_s": 60, "least_outcomes": 100})
    trainer, versions = shop.process()
    await shop.send(outcomes(99))
    await trainer.look()
    assert trainer._pool is None
    await shop.send(outcomes(301))
    await trainer.look()
    assert len(versions.history(*PLACE).versions) == 1
    fitted = []
    trainer._fitted = lambda taught: fitted.append(taught) or asyncio.sleep(0, versions.weights(*PLACE))
    await shop.send(outcomes(150))
    await trainer.look()
    assert fitted == []
    shop.clock.advance(60)
    await trainer.look()
    assert len(fitted) == 1


async def test_what_cannot_be_read_teaches_nothing(open_shop):
    shop = open_shop()
    trainer, _ = shop.process()
    broken = [Outcome(*PLACE, junk, 0.0, 1.0) for junk in (b"", b"\xc1", b"junk")]
    broken.append(Outcome(*PLACE, Learned(*[frozenset()] * 3, "medium", 1.0, None).packed(), 0.0, 1.0))
    await shop.send([*broken, Outcome(*PLACE, learned("good"), 0.0, 1.0)])
    await trainer.look()
    assert trainer._schools[PLACE].fresh == 1


async def test_of_three_processes_one_trains_and_another_takes_over(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    shop = open_shop(learn={"every_s": 1, "least_outcomes": 10_000})
    three = [shop.process()[0] for _ in range(3)]

    async def all_taken(count):
        schools = lambda: [school for each in three for school in each._schools.values()]  # noqa: E731
        await until(lambda: sum(len(school.learner) for school in schools()) >= count)

    for trainer in three:
        trainer.start()
    await shop.send(outcomes(10))
    await all_taken(10)
    (first,) = [trainer for trainer in three if trainer._schools]
    await first.stop()
    await shop.send(outcomes(5))
    await all_taken(15)
    (second,) = [trainer for trainer in three if trainer._schools and trainer is not first]
    second._running.cancel()  # it dies without a word
    await settle()
    shop.clock.advance(31)
    await shop.send(outcomes(5))
    await all_taken(20)
    assert sorted(len(each._schools[PLACE].learner) for each in three) == [5, 5, 10]


async def test_without_aliases_nobody_takes_a_turn(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    shop = open_shop()
    shop.policy = RoutingPolicy()
    trainer, _ = shop.process()
    trainer.start()
    await settle()
    assert await shop.ledger.held("_jobs", now=shop.clock.now()) == 0


async def test_a_store_that_goes_and_comes_back_does_not_end_it(open_shop, monkeypatch, caplog):
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    shop = open_shop()
    trainer, _ = shop.process()
    trainer.start()
    shop.ledger.gone = shop.records.gone = True
    await settle()
    shop.ledger.gone = shop.records.gone = False
    await shop.send(outcomes(5))
    await settle(60)
    assert trainer._schools[PLACE].fresh == 5
    trainer._outcomes.take = None  # broken: it says so, and goes on
    await settle()
    assert any("could not be trained" in line for line in caplog.messages)
    assert not trainer._running.done()


async def test_training_does_not_stop_the_event_loop(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(3_000))
    ticks = 0

    async def beat():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    beating = asyncio.ensure_future(beat())
    await trainer.look()
    beating.cancel()
    assert len(versions.history(*PLACE).versions) == 1
    assert ticks > 30


async def test_the_turn_is_kept_while_a_fit_takes_its_time(open_shop, monkeypatch):
    monkeypatch.setattr(module, "_RENEW_S", 0.001)
    shop = open_shop()
    trainer, _ = shop.process()
    assert await trainer._turn.mine()
    await shop.send(outcomes(400))
    training = asyncio.ensure_future(trainer.look())
    others = Turn(shop.ledger, shop.clock, "train_router")
    for _ in range(20):
        await asyncio.sleep(0.02)
        assert not await others.mine()
        shop.clock.advance(2)  # half a minute and more in all
    await training


async def test_a_worker_that_was_killed_is_replaced(open_shop):
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    training = asyncio.ensure_future(trainer.look())
    await until(lambda: trainer._pool is not None and trainer._pool._processes)
    os.kill(next(iter(trainer._pool._processes)), signal.SIGKILL)
    with suppress(module.BrokenExecutor):
        await training
    shop.clock.advance(2)
    await shop.send(outcomes(300))
    await trainer.look()
    assert len(versions.history(*PLACE).versions) == 1


SCRIPT = """
import asyncio, sys
from penstock.jobs.train_router import TrainRouter

async def main():
    trainer = TrainRouter(None, None, None, None, None, None)
    await trainer._fitted([])
    print(*trainer._pool._processes, flush=True)
    if "stop" not in sys.argv:
        await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_no_worker_outlives_a_process_that_was_killed(tmp_path):
    script = tmp_path / "gateway.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    os.kill(worker, 0)
    process.kill()
    process.wait()
    process.stdout.close()
    for _ in range(1_000):
        told = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(worker)], capture_output=True, text=True, check=False
        )
        if told.stdout.strip()[:1] in ("", "Z"):
            return
        time.sleep(0.01)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("the worker lives on")


def judged_outcomes(count, wrong_share=0.0):
    """Give outcomes with the small model's answers: those that hedge are wrong, and a share of the rest."""
    rng = random.Random(5)  # noqa: S311
    for number in range(count):
        prompt = f"How many apples are left of {number}?"
        doubts = number % 4 == 0
        wrong = doubts or rng.random() < wrong_share
        text = f"Perhaps, maybe, I am unsure, 7 of {number}" if doubts else "The answer is certainly 8"
        large = "1" if wrong else text
        request = testing.exchange(body={"messages": []}).request
        features = prompt_features(prompt)
        answers = [{"choices": [{"message": {"content": said}}]} for said in (text, large)]
        found = compared(request, prompt, features, *answers)
        yield Outcome(*PLACE, learned(prompt), found.small, 1.0, found.answer_features, found.small > 0)


@pytest.mark.parametrize("wrong_share", [0.0, 0.5])
async def test_a_promise_finds_its_threshold_or_is_infeasible(open_shop, caplog, wrong_share):
    caplog.set_level(logging.INFO, "penstock.routing")
    shop = open_shop(cascade(max_error=0.03))
    trainer, versions = shop.process()
    await shop.send(judged_outcomes(1_500, wrong_share))
    await trainer.look()
    promise = versions.trust(*PLACE).promise
    if wrong_share:
        assert promise is None
        assert any("the promise of acme/auto is infeasible" in line for line in caplog.messages)
        return
    assert promise.share == pytest.approx(0.75, abs=0.05)
    assert promise.bound <= 0.03
    sure, unsure = ("The answer is certainly 8", "Perhaps, maybe, I am unsure, 7 of 500")
    assert kept(versions, sure)
    assert not kept(versions, unsure)


def kept(versions, text):
    prompt = "How many apples are left of 500?"
    request = testing.exchange(body={"messages": []}).request
    answer = {"choices": [{"message": {"content": text}}]}
    its = of(Cascade, max_error=0.03)
    trust = versions.trust(*PLACE)
    return judgement(its, request, prompt, prompt_features(prompt), answer, trust, None).passed


async def test_nothing_personal_is_logged(open_shop, caplog):
    caplog.set_level(logging.DEBUG)
    shop = open_shop()
    trainer, versions = shop.process()
    await shop.send(outcomes(300))
    await trainer.look()
    said = json.dumps([caplog.messages, [each.why for each in versions.history(*PLACE).versions]])
    assert "theorem" not in said
    assert str(next(iter(prompt_features(HARD.format(0)).words))) not in said


async def test_the_end_does_not_wait_for_a_fit(open_shop):
    shop = open_shop()
    trainer, _ = shop.process()
    trainer.start()
    trainer._pool = module.ProcessPoolExecutor(1, mp_context=module.multiprocessing.get_context("spawn"))
    fitting = trainer._pool.submit(time.sleep, 600)
    await until(lambda: trainer._pool._processes and fitting.running())
    (worker,) = trainer._pool._processes.values()
    await trainer.stop()
    await until(lambda: not worker.is_alive())
    assert worker.exitcode == -signal.SIGTERM
